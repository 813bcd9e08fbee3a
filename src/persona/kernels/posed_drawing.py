"""Draw a body in a pose, from joint angles to pixels in one call: what callers use."""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.core.errors import BackendError, InputError
from persona.geometry.cameras import Camera
from persona.kernels.checks import check_camera, check_floats, check_ids, check_thread_count
from persona.kernels.dispatch import Backend, implementation
from persona.kernels.posing import MAX_STRETCH, Rig, check_stretch, without_way_back
from persona.kernels.projection import EPS2D, NEAR
from persona.kernels.splatting import MAX_CHANNELS


@dataclass(frozen=True, eq=False, kw_only=True)
class Puppet:
    """A body that bends, the Gaussians on it, and what they look like. Checked once, here.

    Backends keep what they prepare from it: treat its tensors as constants.

    Raises:
        InputError: Shapes, dtypes or devices do not fit, a number is not finite, or an id names
            what does not exist.
    """

    rig: Rig
    """Gaussians at rest and what carries them."""
    opacities: Float[Tensor, " n"]
    """In [0, 1]."""
    features: Float[Tensor, "n c"]
    """Colours, or any 1 to 32 numbers."""
    parents: Int[Tensor, " j"]
    """Parent of each joint, an earlier one; -1 for a root."""
    rest_joints: Float[Tensor, "j 3"]
    """Joints of the person at rest [m]."""
    joint_dirs: Float[Tensor, "j 3 e"]
    """Change of the joints per expression coefficient [m]."""
    expression_dirs: Float[Tensor, "v 3 e"]
    """Change of the skin per expression coefficient [m]."""
    corrective_joints: Int[Tensor, " m"]
    """Pose correctives: the joint whose rotation reshapes ..."""
    corrective_vertices: Int[Tensor, " m"]
    """... this vertex ..."""
    corrective_directions: Float[Tensor, "m 3 9"]
    """... by this offset per entry of ``R - I``, row by row [m]."""

    def __post_init__(self) -> None:
        n, v, j = self.rig.means.shape[0], self.rig.vertex_count, self.rig.bone_count
        m = self.corrective_directions.shape[0]
        check_floats(
            means=(self.rig.means, (None, 3)),
            opacities=(self.opacities, (n,)),
            features=(self.features, (n, None)),
            rest_joints=(self.rest_joints, (j, 3)),
            joint_dirs=(self.joint_dirs, (j, 3, self.expression_dirs.shape[-1])),
            expression_dirs=(self.expression_dirs, (v, 3, None)),
            corrective_directions=(self.corrective_directions, (m, 3, 9)),
        )
        means = self.rig.means
        check_ids("corrective_joints", self.corrective_joints, (m,), j, beside=means)
        check_ids("corrective_vertices", self.corrective_vertices, (m,), v, beside=means)
        check_ids("parents", self.parents, (j,), j, beside=means, low=-1)
        if not 1 <= self.features.shape[1] <= MAX_CHANNELS:
            raise InputError(
                f"features has {self.features.shape[1]} channels",
                why=f"one pass draws 1 to {MAX_CHANNELS}",
                fix="draw in several passes",
            )
        if not bool((self.parents < torch.arange(j, device=self.parents.device)).all()):
            raise InputError(
                f"parents is {self.parents.tolist()}",
                why="joints are bent in order, so that a parent comes before its children",
                fix="sort the joints from the root outwards",
            )

    @property
    def requires_grad(self) -> bool:
        """Whether some tensor wants a gradient."""
        values = (getattr(self, f.name) for f in fields(self))
        own = any(isinstance(value, Tensor) and value.requires_grad for value in values)
        return own or self.rig.requires_grad


@dataclass(frozen=True, eq=False, kw_only=True)
class PuppetPose:
    """What a puppet does in one frame; checked by `draw_posed`."""

    rotations: Float[Tensor, "j 3"]
    """Of each joint relative to its parent, axis-angle [rad]."""
    expression: Float[Tensor, " e"]
    """Expression coefficients [-]."""
    translation: Float[Tensor, " 3"]
    """Added after bending [m], world frame."""
    vertex_offsets: Float[Tensor, "v 3"] | None = None
    """Added to the rest skin, for example by learned correctives [m]."""
    gaussian_offsets: Float[Tensor, "n 3"] | None = None
    """Added to the rest means, for example by a network that knows the pose [m]."""
    gaussian_slopes: Float[Tensor, "n 3 3"] | None = None
    """Change of these offsets for every metre along the rest surface: added to the identity, they
    turn and stretch the tangents [-]."""

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What was given, by name."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, eq=False, kw_only=True)
class PosedPicture:
    """A drawn pose."""

    image: Float[Tensor, "c h w"]
    """Features weighted by coverage (premultiplied), over zero."""
    alpha: Float[Tensor, "h w"]
    """Coverage in [0, 1]."""
    means: Float[Tensor, "n 3"]
    """Where the Gaussians went [m], world frame."""


def draw_posed(
    puppet: Puppet,
    pose: PuppetPose,
    camera: Camera,
    *,
    max_stretch: float = MAX_STRETCH,
    eps2d: float = EPS2D,
    near: float = NEAR,
    backend: Backend | None = None,
    threads: int | None = None,
) -> PosedPicture:
    """Bend the body, carry its Gaussians along, project and draw them.

    The same as `bend_puppet`, `pose_gaussians`, `project_gaussians` and `rasterize` one after the
    other; the native core does it in one call, and posed Gaussians never leave its caches. For
    drawing only: there is no way back to the inputs.

    Args:
        puppet: Who is drawn.
        pose: What they do.
        camera: Who looks, and the size of the picture.
        max_stretch: Most that a tangent may be lengthened [-].
        eps2d: Added to both variances of every ellipse [px^2].
        near: Gaussians at or before this depth draw nothing [m].
        backend: Force one implementation; None picks the fastest that runs here.
        threads: Threads of the native backend; None takes torch's number. The result is the
            same to the bit for any number.

    Raises:
        InputError: Shapes, dtypes or devices do not fit, or a number is not finite.
        BackendError: ``backend`` cannot run on these inputs, or a gradient is wanted.
    """
    _check_pose(puppet, pose)
    check_camera(camera, eps2d, near)
    check_stretch(max_stretch)
    check_thread_count(threads)
    if _wants_gradient(puppet, pose):
        raise BackendError(
            "a gradient of drawing a pose at once was asked for",
            why="posed Gaussians are not kept, so there is no way back",
            fix="pose, project and rasterize one after the other, or use torch.no_grad()",
        )
    means = puppet.rig.means
    run = implementation("draw_posed", means.device, means.dtype, backend=backend)
    image, alpha, means = run(
        puppet, pose, camera, max_stretch=max_stretch, eps2d=eps2d, near=near, threads=threads
    )
    return PosedPicture(image=image, alpha=alpha, means=means)


def bend_puppet(
    puppet: Puppet, pose: PuppetPose, *, backend: Backend | None = None
) -> tuple[Float[Tensor, "v 3"], Float[Tensor, "j 4 4"]]:
    """Bend the body alone: what `pose_gaussians` needs of it.

    Differentiable in the pose; the reference runs where a gradient is wanted.

    Args:
        puppet: Who is bent.
        pose: What they do; offsets of Gaussians have no part in it.
        backend: Force one implementation; None picks the fastest that runs here.

    Returns:
        What is added to the rest skin by expression, pose and offsets [m], and for each joint the
        transform that takes rest points to the world.

    Raises:
        InputError: Shapes, dtypes or devices do not fit, or a number is not finite.
        BackendError: ``backend`` cannot run on these inputs, or has no gradient and one is wanted.
    """
    _check_pose(puppet, pose)
    if _wants_gradient(puppet, pose):
        backend = without_way_back("bending", backend)
    means = puppet.rig.means
    run = implementation("bend_puppet", means.device, means.dtype, backend=backend)
    return run(puppet, pose)


def _check_pose(puppet: Puppet, pose: PuppetPose) -> None:
    rig = puppet.rig
    wanted = {
        "rotations": (rig.bone_count, 3),
        "expression": (puppet.expression_dirs.shape[2],),
        "translation": (3,),
        "vertex_offsets": (rig.vertex_count, 3),
        "gaussian_offsets": tuple(rig.means.shape),
        "gaussian_slopes": (*rig.means.shape, 3),
    }
    given = {name: (value, wanted[name]) for name, value in pose.tensors.items()}
    check_floats(means=(rig.means, (None, 3)), **given)


def _wants_gradient(puppet: Puppet, pose: PuppetPose) -> bool:
    asked = puppet.requires_grad or any(value.requires_grad for value in pose.tensors.values())
    return torch.is_grad_enabled() and asked
