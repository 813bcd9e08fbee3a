"""Who is evaluated: one photo to make an avatar from, and frames of the same person to judge it by.

Every dataset gives `Subject`s, whatever it is read from: clips, turntables, several cameras, or
people that were generated and are known exactly. Frames are streamed, one in memory at a time.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.checks import check_finite, check_shape
from persona.core.errors import InputError
from persona.core.types import Faces, Image, Mask
from persona.geometry.cameras import Camera
from persona.records.body_params import BodyParams
from persona.records.frame_set import JointRates
from persona.records.photo import Photo


@dataclass(frozen=True, eq=False, kw_only=True)
class TrueSurface:
    """Everything of a person that can be seen from outside, as one mesh in the posed frame."""

    vertices: Float[Tensor, "n 3"]
    """Skin that shows, clothes, shoes, hair [m], world frame."""
    faces: Faces
    """Counter-clockwise seen from outside."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SubjectFrame:
    """One picture of a person, and what is known about it.

    Raises:
        InputError: Picture, mask and camera have different sizes.
    """

    index: int
    """Counts the frames of the subject from 0."""
    name: str
    """What the report calls it."""
    picture: Image
    """As it was taken, sRGB in [0, 1]. What is compared is ``mask * picture + (1 - mask) * plain``,
    so that where the mask is soft this is the person's own colour where a dataset knows it."""
    mask: Mask
    """How much of each pixel the person covers, in [0, 1]."""
    camera: Camera
    """Who took it; the same size as the picture."""
    params: BodyParams | None = None
    """Pose, expression and place that drive a method, without batch axes; betas are those of the
    dataset's body and mean nothing to an avatar. None where the dataset has no pose."""
    rates: JointRates | None = None
    """How fast the pose changes, as `avatar.rates.RateTracker` says; None stands still."""
    joints: Float[Tensor, "55 3"] | None = None
    """Where the person's joints are [m], world frame, in the dataset's own body: methods place
    bodies of another size by them, see `methods.Placement`. None means that ``params`` were found
    with the avatar's own bones and hold as they are."""
    surface: TrueSurface | None = None
    """What is really there; None where that is not known."""

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        check_shape("picture", self.picture, (*size, 3))
        check_shape("mask", self.mask, size)
        if self.joints is not None:
            check_finite("joints", self.joints)


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """One person: a photo, and the frames that an avatar of it is judged by.

    Raises:
        InputError: There are no frames.
    """

    name: str
    """What tables call the person."""
    dataset: str
    """Where the person is from: "truth", "neuman", "video" ..."""
    photo: Photo
    """The only picture that a method may see."""
    frame_count: int
    """Frames to be judged by; the photo is none of them."""
    read: Callable[[int], Iterator[SubjectFrame]]
    """Give the frames from an index on, in order, one in memory at a time."""
    fps: float | None = None
    """Frames a second, where the frames follow each other in time."""
    still: SubjectFrame | None = None
    """The photo as a frame, where its pose is known: bodies of another size are measured by it."""
    person: int | None = None
    """Which person of several in the photo, counted from the left from 1."""

    def __post_init__(self) -> None:
        if self.frame_count < 1:
            raise InputError(
                f"{self.name} has {self.frame_count} frames",
                why="nothing could be judged",
                fix="give at least one frame beside the photo",
            )

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[SubjectFrame]:
        """Give the frames from ``start`` up to, not including, ``stop``; None goes to the end."""
        end = self.frame_count if stop is None else min(stop, self.frame_count)
        return islice(self.read(start), max(end - start, 0))


def over_plain(picture: Image, mask: Mask, plain: float = 1.0) -> Image:
    """Put a person in front of a plain background of one grey: what both sides are compared on."""
    return mask[..., None] * picture + (1 - mask[..., None]) * torch.tensor(plain)
