"""FrameSet: what an avatar is trained on, from the photo and from generators."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int, Int8, UInt8
from torch import Tensor

from persona.core.checks import check_finite, check_range
from persona.core.errors import InputError
from persona.core.types import Image, Mask
from persona.geometry.cameras import Camera
from persona.records.motion import Motion
from persona.records.nodes import Nodes

PHOTO: Final = "photo"
"""Source of the one clip that is no invention."""
MAX_PICTURES: Final = 2_000
"""Pictures that one set may hold."""
FACE_PX: Final = 256
"""Rows of a face's patch, the most that training looks at; METHOD.md A."""
FACE_ROOM: Final = 0.15
"""Free space around the face in it, share of its height."""
NORMAL_STEPS: Final = 127.0
"""A unit normal's component as an 8-bit number."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture of one frame: what a camera saw, and the maps that came with it.

    Maps that are None were not made; whoever needs one says what happens without it. Eight bits a
    channel, as pictures come from generators: a set of hundreds fits into memory.

    Raises:
        InputError: Sizes do not fit the camera's, the mask shows nobody, or the trust is no share.
    """

    frame: int
    """Which frame of the clip."""
    camera: Camera
    """Who looks, and the size of the picture."""
    image_8: UInt8[Tensor, "h w 3"]
    """sRGB, 0 to 255."""
    mask_8: UInt8[Tensor, "h w"]
    """Coverage by the person, 0 to 255."""
    depth_m: Float[Tensor, "h w"] | None = None
    """Along the camera's z [m]; 0 where nothing is."""
    normal_8: Int8[Tensor, "h w 3"] | None = None
    """Unit normals times 127, camera frame; 0 where nothing is."""
    parts: UInt8[Tensor, "h w"] | None = None
    """A `records.observation.Part` for every pixel."""
    trust: float = 1.0
    """How much to believe the picture, in [0, 1]."""
    face: "Picture | None" = None
    """The face again, enlarged; of generated pictures alone."""

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        maps = (self.image_8, self.mask_8, self.depth_m, self.normal_8, self.parts)
        if any(m is not None and tuple(m.shape[:2]) != size for m in maps):
            shapes = ", ".join(str(tuple(m.shape[:2])) for m in maps if m is not None)
            raise InputError(
                f"maps of {shapes} rows and columns came with a camera of {size}",
                why="each pixel of a map is one pixel of the camera",
                fix="resize the maps, or scale and crop the camera with them",
            )
        if not bool((self.mask_8 > 127).any()):
            raise InputError(
                f"the mask of a picture of frame {self.frame} shows nobody",
                why="there is nothing to learn from an empty picture",
                fix="leave the picture out",
            )
        if not 0 <= self.trust <= 1 or self.frame < 0:
            raise InputError(
                f"frame {self.frame} is trusted by {self.trust}",
                why="frames count from 0, and trust is a share from 0 to 1",
                fix="leave trust at 1 unless something is known",
            )
        if self.depth_m is not None:
            check_finite("depth_m", self.depth_m)

    @property
    def image(self) -> Image:
        """Colours."""
        return self.image_8.float() / 255

    @property
    def mask(self) -> Mask:
        """Coverage."""
        return self.mask_8.float() / 255

    @property
    def normal(self) -> Float[Tensor, "h w 3"] | None:
        """Unit normals in the camera's frame."""
        return None if self.normal_8 is None else self.normal_8.float() / NORMAL_STEPS


@dataclass(frozen=True, kw_only=True)
class JointRates:
    """How fast the joints of every frame move; see `avatar.rates.joint_rates`."""

    velocity: Float[Tensor, "t 22 3"]
    """Turning of pelvis and body joints relative to their parents [rad/s], child's frame."""
    acceleration: Float[Tensor, "t 22 3"]
    """Change of that [rad/s^2]."""
    swing: Float[Tensor, "t 22 3"]
    """The velocity as cloth remembers it: a slower mean of the past [rad/s]."""
    root: Float[Tensor, "t 3 3"]
    """The pelvis's velocity [m/s], acceleration [m/s^2] and swing [m/s], in its own frame."""

    def rows(self, ids: Int[Tensor, " m"]) -> "JointRates":
        """Pick some frames."""
        return JointRates(
            velocity=self.velocity[ids],
            acceleration=self.acceleration[ids],
            swing=self.swing[ids],
            root=self.root[ids],
        )


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Frames that belong together in time: the photo alone, or what a generator made of a motion.

    Raises:
        InputError: Rows do not belong together, a picture shows a frame that is not there, or an
            offset or a trust is out of range.
    """

    source: str
    """Who made it: "photo", "physics", the name of a diffusion model."""
    motion: Motion
    """The pose of every frame."""
    rates: JointRates
    """How fast it moves there."""
    pictures: tuple[Picture, ...] = ()
    """Pictures of some frames, or none."""
    offsets: Float[Tensor, "t k 3"] | None = None
    """How far the nodes are from where skinning puts them, rest frame [m]; None if unknown."""
    noise: Float[Tensor, "t k"] | None = None
    """How far a second run, started a hair's breadth away, ends from their mean [m]; None if the
    offsets are exact."""
    held_out: bool = False
    """Whether it judges instead of teaching."""

    def __post_init__(self) -> None:
        count = self.motion.frame_count
        rows = {count, len(self.rates.velocity)}
        rows |= {len(v) for v in (self.offsets, self.noise) if v is not None}
        if len(rows) != 1 or any(picture.frame >= count for picture in self.pictures):
            raise InputError(
                f"a clip by {self.source} has {count} poses, {len(self.rates.velocity)} rates and "
                f"pictures of frames {sorted({picture.frame for picture in self.pictures})}",
                why="every frame has one row in each, and pictures show frames that are there",
                fix="cut motion, rates and offsets to the same frames",
            )
        if self.offsets is not None:
            check_finite("offsets", self.offsets)
        if self.noise is not None:
            if self.offsets is None:
                raise InputError(
                    f"a clip by {self.source} knows the noise of offsets that it does not have",
                    why="noise says how much to believe an offset",
                    fix="give the offsets, or leave the noise away",
                )
            check_range("noise", self.noise, 0.0, float("inf"))

    @property
    def frame_count(self) -> int:
        """Frames."""
        return self.motion.frame_count


@dataclass(frozen=True, kw_only=True)
class FrameSet:
    """Everything that an avatar is trained on.

    Raises:
        InputError: It holds nothing to learn from, too many pictures, or offsets of other nodes.
    """

    clips: tuple[Clip, ...]
    """In no order."""
    nodes: Nodes | None = None
    """What the clips' offsets are offsets of."""
    notes: tuple[str, ...] = ()
    """What was left out, in sentences."""

    def __post_init__(self) -> None:
        pictures = sum(len(clip.pictures) for clip in self.clips)
        known = [clip.offsets for clip in self.clips if clip.offsets is not None]
        if pictures > MAX_PICTURES:
            raise InputError(
                f"{pictures} pictures were given",
                why=f"a set holds at most {MAX_PICTURES}; more would not fit into memory",
                fix="take every second frame",
            )
        if not pictures and not known:
            raise InputError(
                f"{len(self.clips)} clips hold neither a picture nor an offset",
                why="there is nothing to learn from",
                fix="generate frames first",
            )
        sizes = {offsets.shape[1] for offsets in known}
        if known and (self.nodes is None or sizes != {self.nodes.count}):
            raise InputError(
                f"offsets of {sorted(sizes)} nodes came with "
                f"{self.nodes.count if self.nodes else 'no'} nodes",
                why="each offset belongs to one node",
                fix="put the nodes that the offsets were measured at into the set",
            )

    @property
    def taught(self) -> tuple[Clip, ...]:
        """Clips to learn from."""
        return tuple(clip for clip in self.clips if not clip.held_out)

    @property
    def held_out(self) -> tuple[Clip, ...]:
        """Clips to be judged by."""
        return tuple(clip for clip in self.clips if clip.held_out)

    @property
    def predictable_share(self) -> float | None:
        """Share of the nodes' movement that a second run repeats, 0 to 1; None if none was made.

        Movement is the power of what differs from a node's own mean.
        """
        moved = lost = 0.0
        for clip in self.clips:
            if clip.offsets is not None and clip.noise is not None:
                moved += float((clip.offsets - clip.offsets.mean(0)).square().sum())
                lost += float(clip.noise.square().sum())
        return max(1 - lost / moved, 0.0) if moved > 0 else None


def join_frames(first: FrameSet, second: FrameSet) -> FrameSet:
    """Put the clips of two sets together; only one of them may hold offsets of nodes.

    Raises:
        InputError: Both know nodes, which need not be the same, or there are too many pictures.
    """
    if first.nodes is not None and second.nodes is not None:
        raise InputError(
            "two sets of frames both hold offsets of nodes",
            why="each set's offsets belong to its own nodes",
            fix="join a set by physics with sets of pictures",
        )
    return FrameSet(
        clips=(*first.clips, *second.clips),
        nodes=first.nodes if second.nodes is None else second.nodes,
        notes=(*first.notes, *second.notes),
    )


def picture_from(
    frame: int,
    camera: Camera,
    image: Image,
    mask: Mask,
    *,
    depth: Float[Tensor, "h w"] | None = None,
    normal: Float[Tensor, "h w 3"] | None = None,
    parts: Tensor | None = None,
    trust: float = 1.0,
) -> Picture:
    """Make a picture of floating-point maps, rounded to eight bits."""
    return Picture(
        frame=frame,
        camera=camera,
        image_8=(image.clamp(0, 1) * 255).round().to(torch.uint8),
        mask_8=(mask.clamp(0, 1) * 255).round().to(torch.uint8),
        depth_m=depth,
        normal_8=None if normal is None else (normal * NORMAL_STEPS).round().to(torch.int8),
        parts=None if parts is None else parts.to(torch.uint8),
        trust=trust,
    )
