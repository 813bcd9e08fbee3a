"""Who draws: a method makes something of a photo once, then draws any pose for any camera.

A `Method` is given a subject's photo and gives a `Drawer`; all drawers get identical frames.
Methods that need the pipeline (avatars, made and kept) are in `pipeline.evaluated`.
"""

from dataclasses import dataclass, replace
from typing import Final, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from persona.body import SmplxBody
from persona.core.errors import InputError
from persona.core.types import Image, Mask
from persona.evaluation.subjects import Subject, SubjectFrame
from persona.geometry.cameras import Camera
from persona.records.body_fit import Identity
from persona.records.body_params import BodyParams
from persona.records.gaussians import Gaussians

PLACING: Final = 22
"""Pelvis and body joints: those that place a body; fingers and face do not."""


SUPERSAMPLING: Final = 2
"""Every method is drawn with so many rays a pixel in each direction."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Drawn:
    """What a method draws of one frame."""

    color: Image
    """sRGB in [0, 1], premultiplied by alpha: ``color + (1 - alpha) * plain`` is compared."""
    alpha: Mask
    """Coverage in [0, 1]."""
    depth: Float[Tensor, "h w"] | None = None
    """Along the camera's z [m], 0 where nothing is; None unasked, or where there is no surface."""
    normal: Float[Tensor, "h w 3"] | None = None
    """Unit normals in the camera's frame, 0 where nothing is; None as for depth."""

    def over(self, plain: float = 1.0) -> Image:
        """Give the picture in front of a plain background."""
        return self.color + (1 - self.alpha[..., None]) * plain


def averaged(color: Image, alpha: Mask) -> Drawn:
    """Shrink a picture that was drawn `SUPERSAMPLING` times as large."""
    layers = torch.cat([color, alpha[..., None]], -1).permute(2, 0, 1)
    small = torch.nn.functional.avg_pool2d(layers, SUPERSAMPLING)
    return Drawn(color=small[:3].permute(1, 2, 0), alpha=small[3])


@runtime_checkable
class Drawer(Protocol):
    """A method, ready to draw one person."""

    def draw(
        self, frame: SubjectFrame, *, camera: Camera | None = None, maps: bool = False
    ) -> Drawn:
        """Draw a frame; of the frame only pose, rates, joints and camera may be used.

        Args:
            frame: What is wanted. Frames come in rising order, which a simulation needs.
            camera: Another camera than the frame's: for surfaces seen from all sides.
            maps: Whether depth and normals are wanted.
        """
        ...


@runtime_checkable
class Posable(Protocol):
    """A drawer that can be fitted to a picture: differentiable in the pose."""

    def gaussians(self, frame: SubjectFrame, params: BodyParams) -> Gaussians:
        """Give the posed cloud in the world of ``frame.camera``.

        Args:
            frame: Which frame; its pose is not used.
            params: The pose, in the subject's world, as in ``frame.params``.
        """
        ...


@runtime_checkable
class Method(Protocol):
    """A way from one photo to something that draws."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def about(self) -> str:
        """What it is, in half a sentence."""
        ...

    def prepare(self, subject: Subject) -> Drawer:
        """Make of the subject's photo what is needed to draw; kept where it is expensive."""
        ...


@runtime_checkable
class Timed(Protocol):
    """A method that knows how long it took to make what it draws."""

    def made_seconds(self, subject: Subject) -> float | None:
        """Say how long it took [s]; None where that was not seen."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class Placement:
    """Put a body that was measured in one photo where a person of exact size stands.

    One photo does not say how large a person is, and other bones carry a head elsewhere. So the
    size is set once for a subject, such that in the photo the body is as large in pixels as it was
    fitted: metres a pixel at the person, of the fit's camera over the dataset's. In each frame the
    body is moved, never turned, so that its 22 body joints lie nearest to the dataset's. Rotations
    are used as they are given, and no picture is looked at.
    """

    body: SmplxBody
    """What the identity's numbers belong to."""
    identity: Identity
    """The shape found in the photo."""
    scale: float = 1.0
    """The dataset's metre in the body's metres [-]."""

    @classmethod
    def of(
        cls,
        subject: Subject,
        body: SmplxBody,
        identity: Identity,
        *,
        photo_params: BodyParams,
        photo_camera: Camera,
    ) -> "Placement":
        """Measure the size in the photo; where its joints are not known the body keeps its own.

        Args:
            subject: Whose photo.
            body: The body model of the fit.
            identity: The shape that was fitted.
            photo_params: The pose that was fitted to the photo.
            photo_camera: The camera of the fit.
        """
        plain = cls(body=body, identity=identity)
        still = subject.still
        if still is None or still.joints is None:
            return plain
        ours = _metres_a_pixel(plain.joints(photo_params), photo_camera)
        return replace(plain, scale=ours / _metres_a_pixel(still.joints[:PLACING], still.camera))

    def params(self, frame: SubjectFrame, params: BodyParams | None = None) -> BodyParams:
        """Give the frame's pose, or another of it, placed in the body's own metres.

        Raises:
            InputError: The frame has no pose.
        """
        wanted = frame.params if params is None else params
        if wanted is None:
            raise InputError(
                f"frame {frame.name} has no pose",
                why="this method is driven by one",
                fix="track the frames first, or leave the method away",
            )
        if frame.joints is None:
            return wanted
        given = wanted if frame.params is None else frame.params
        asked = wanted.transl - given.transl  # a fit may have moved it
        found = self.joints(given) - given.transl
        way = (frame.joints[:PLACING] * self.scale - found).mean(0)
        return replace(wanted, transl=way + asked * self.scale)

    def camera(self, frame: SubjectFrame, camera: Camera | None = None) -> Camera:
        """Give a camera of the dataset's world in the body's own metres: the same picture."""
        seen = frame.camera if camera is None else camera
        if frame.joints is None or self.scale == 1.0:
            return seen
        T = seen.T_camera_world.clone()
        T[:3, 3] *= self.scale
        return replace(seen, T_camera_world=T)

    def joints(self, params: BodyParams) -> Float[Tensor, "22 3"]:
        """Give the body joints in a pose [m]."""
        with torch.no_grad():
            shaped = replace(params, betas=self.identity.betas)
            bent = self.body.forward(shaped, joint_offsets=self.identity.joint_offsets)
        return bent.joints[:PLACING]


def _metres_a_pixel(joints: Float[Tensor, "22 3"], camera: Camera) -> float:
    """Measure at a person's distance, in pixels of a picture of one row."""
    depth = float(camera.to_camera(joints)[:, 2].mean())
    return depth * camera.height / camera.focal_px
