"""Avatar: canonical Gaussians, their binding to a body, and whose body that is."""

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from persona.avatar.appearance import Appearance, split_light
from persona.avatar.binding import Binding
from persona.avatar.cloth import Cloth
from persona.avatar.posing import CanonicalGaussians, puppet_of, puppet_pose, rig_of
from persona.avatar.slopes import Moved
from persona.body import SmplxBody, body_of
from persona.core.moving import moved
from persona.geometry.cameras import Camera, photo_camera
from persona.kernels import PosedPicture, Puppet, Rig, bend_puppet, draw_posed, pose_gaussians
from persona.records.body_fit import Identity
from persona.records.body_params import BodyParams, rest_params
from persona.records.frame_set import JointRates
from persona.records.gaussians import Gaussians
from persona.records.storage import load_record, save_record
from persona.rendering import Rendered, render

LEGS_APART = 1.0 / 3.0
"""Turn of each hip about z in the canonical pose [rad]; METHOD.md C."""

RECORD_NAME = "avatar"
"""Stem of the two files an avatar is kept in."""


def neutral_vertices(body: SmplxBody, identity: Identity) -> Float[Tensor, "v 3"]:
    """Give a person's naked body in rest pose without expression [m]."""
    rest = body.forward(
        replace(rest_params(), betas=identity.betas),
        joint_offsets=identity.joint_offsets,
        vertex_offsets=identity.vertex_offsets,
        with_pose_correctives=False,
    )
    return rest.rest_vertices


@dataclass(frozen=True, kw_only=True)
class Avatar:
    """A person made of Gaussians, posed by SMPL-X parameters.

    Example:
        >>> avatar = Avatar.load("ada.persona")  # doctest: +SKIP
        >>> picture = avatar.render(avatar.photo_params, avatar.photo_camera)  # doctest: +SKIP
    """

    identity: Identity
    """Shape, bone lengths and face; never changes when the person moves."""
    canonical: CanonicalGaussians
    """Gaussians in the rest pose."""
    binding: Binding
    """What carries them."""
    seen: Bool[Tensor, " n"]
    """Whether the photo shows this Gaussian well; the others are completed."""
    parts: Int[Tensor, " n"]
    """What it shows, as a `records.observation.Part`."""
    photo_params: BodyParams
    """Pose, expression and place of the photo."""
    photo_focal_px: float
    """Focal length of the photo [px]."""
    photo_size: tuple[int, int]
    """Width and height of the photo [px]."""
    cloth: Cloth | None = None
    """How the clothes move; None where they follow the skin."""
    numbers: dict[str, float] = field(default_factory=dict)
    """Measured at creation; the report explains them."""
    warnings: tuple[str, ...] = ()
    """What was doubtful or invented, in sentences."""

    @property
    def count(self) -> int:
        """Number of Gaussians."""
        return self.canonical.means.shape[0]

    @property
    def feels_motion(self) -> bool:
        """Whether the clothes have learned to swing."""
        return self.cloth is not None and self.cloth.deformation.feels_motion

    @cached_property
    def body(self) -> SmplxBody:
        """The body the avatar stands on, where the avatar is.

        Raises:
            InputError: It is a licensed one that was not given; the text says which.
        """
        device = self.canonical.means.device
        body = body_of(self.identity.body_name, self.identity.body_digest)
        return body if device.type == "cpu" else body.to(device)

    @cached_property
    def rig(self) -> Rig:
        """The Gaussians as the posing kernel wants them; made at the first pose, then kept."""
        return rig_of(self.canonical, self.binding, self.body)

    @cached_property
    def rest_joints(self) -> Float[Tensor, "55 3"]:
        """The person's own skeleton in T-pose, without expression [m]."""
        return self.rest_joints_with(rest_params().expression)

    def rest_joints_with(self, expression: Float[Tensor, " e"]) -> Float[Tensor, "55 3"]:
        """Give the person's own skeleton in T-pose: faces move the jaw by fractions of a mm [m]."""
        rest = replace(rest_params(), expression=expression)
        rest = replace(moved(rest, self.canonical.means.device), betas=self.identity.betas)
        few = self.body.subset(rest.betas.new_zeros(1, dtype=torch.int64))
        return few.forward(rest, joint_offsets=self.identity.joint_offsets).rest_joints

    @cached_property
    def puppet(self) -> Puppet:
        """The person as the drawing kernel wants them; made at the first `draw`, then kept."""
        return puppet_of(self.canonical, self.rig, self.body, self.rest_joints)

    @cached_property
    def appearance(self) -> Appearance:
        """Albedo and the photo's light apart; estimated when first asked for, then kept."""
        with torch.no_grad():
            normals = self.pose(self.photo_params).normals
        return split_light(self.canonical, normals, self.parts, self.seen)

    @property
    def photo_camera(self) -> Camera:
        """The camera of the photo, at the photo's size."""
        return photo_camera(*self.photo_size, self.photo_focal_px)

    @property
    def canonical_params(self) -> BodyParams:
        """Arms out, legs apart, at the origin: the pose in which everything is visible."""
        params = rest_params()
        pose = params.body_pose.clone()
        pose[0, 2], pose[1, 2] = LEGS_APART, -LEGS_APART
        return replace(params, betas=self.identity.betas, body_pose=pose)

    def to(self, device: torch.device | str) -> "Avatar":
        """Give the same avatar on another device, where it is then posed and drawn."""
        return moved(self, device)

    def pose(
        self,
        params: BodyParams,
        *,
        rates: JointRates | None = None,
        gaussian_offsets: Float[Tensor, "n 3"] | Moved | None = None,
    ) -> Gaussians:
        """Put the person into a pose.

        Args:
            params: One pose without batch axes, on the avatar's device. Its betas are ignored: the
                avatar keeps its own.
            rates: How fast the pose changes, as `rates.RateTracker` says; None stands still.
            gaussian_offsets: Added to the rest means instead of what the cloth has learned [m];
                those that are `Moved` turn the Gaussians, too.

        Returns:
            Gaussians in the world frame.
        """
        flesh, bones = self._bent(params)
        offsets, slopes = self._offsets(params, rates, gaussian_offsets)
        means, covariances, normals = pose_gaussians(
            self.rig, flesh, bones, offsets=offsets, slopes=slopes
        )
        return Gaussians(
            means=means,
            covariances=covariances,
            opacities=self.canonical.opacities,
            colors=self.canonical.colors,
            normals=normals,
        )

    def render(
        self,
        params: BodyParams,
        camera: Camera,
        *,
        rates: JointRates | None = None,
        background: Float[Tensor, " 3"] | Float[Tensor, "h w 3"] | None = None,
    ) -> Rendered:
        """Draw the person in a pose, seen by a camera; None leaves the background transparent."""
        return render(self.pose(params, rates=rates), camera, background=background)

    def draw(
        self,
        params: BodyParams,
        camera: Camera,
        *,
        rates: JointRates | None = None,
        vertex_offsets: Float[Tensor, "v 3"] | None = None,
        gaussian_offsets: Float[Tensor, "n 3"] | Moved | None = None,
        threads: int | None = None,
    ) -> PosedPicture:
        """Draw the person in a pose at once, for films and live use.

        As `render` without maps and background, several times faster, and without a gradient. On
        the CPU in one call of the native core, on CUDA in a few launches.

        Args:
            params: One pose without batch axes. Its betas are ignored: the avatar keeps its own.
            camera: Who looks, and the size of the picture.
            rates: How fast the pose changes, as `rates.RateTracker` says; None stands still.
            vertex_offsets: Added to the body's rest skin [m].
            gaussian_offsets: As for `pose`.
            threads: CPU threads to use; None takes torch's number.
        """
        pose = puppet_pose(params, self.puppet.expression_dirs.shape[2])
        with torch.no_grad():
            offsets, slopes = self._offsets(params, rates, gaussian_offsets)
        pose = replace(
            pose,
            vertex_offsets=vertex_offsets,
            gaussian_offsets=offsets,
            gaussian_slopes=slopes,
        )
        return draw_posed(self.puppet, pose, camera, threads=threads)

    def _offsets(
        self,
        params: BodyParams,
        rates: JointRates | None,
        given: Float[Tensor, "n 3"] | Moved | None,
    ) -> tuple[Float[Tensor, "n 3"] | None, Float[Tensor, "n 3 3"] | None]:
        """Take offsets and slopes that were given, or what the cloth has learned, if it has."""
        if given is None and self.cloth is not None:
            given = self.cloth.offsets(params, rates)
        if isinstance(given, Moved):
            return given.offsets, given.slopes
        return given, None

    def _bent(self, params: BodyParams) -> tuple[Float[Tensor, "v 3"], Float[Tensor, "55 4 4"]]:
        """Bend the body: what is added to its rest skin, and its bones."""
        values = [getattr(r, f.name) for r in (params, self.identity) for f in fields(r)]
        learns = any(isinstance(value, Tensor) and value.requires_grad for value in values)
        if self.canonical.means.is_cuda and not (learns and torch.is_grad_enabled()):
            # One launch instead of forty, which is most of a frame; only without a way back.
            return bend_puppet(
                self.puppet, puppet_pose(params, self.puppet.expression_dirs.shape[2])
            )
        bent = self.body.articulate(
            replace(params, betas=self.identity.betas), joint_offsets=self.identity.joint_offsets
        )
        return bent.flesh, bent.T_posed_rest

    def save(self, folder: Path | str) -> None:
        """Write ``avatar.safetensors`` and ``avatar.json`` into a folder, whole or not at all."""
        save_record(Path(folder) / RECORD_NAME, self)

    @classmethod
    def load(cls, folder: Path | str, *, body: Path | None = None) -> "Avatar":
        """Read what `save` wrote.

        Args:
            folder: Where it is.
            body: The user's own body file, for an avatar that stands on one; None looks among
                those that are loaded, then where ``PERSONA_BODY`` says.

        Raises:
            FileFormatError: The files are missing, damaged, or no avatar.
            InputError: It stands on a licensed body that is not there; the text says which.
        """
        from persona.avatar.integrity import check_avatar

        avatar = load_record(Path(folder) / RECORD_NAME, cls)
        body_of(avatar.identity.body_name, avatar.identity.body_digest, path=body)
        check_avatar(avatar)
        return avatar
