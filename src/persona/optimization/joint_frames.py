"""Frames to train on: a picture, its pose and camera, and what is known of it beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from persona.avatar.avatar import Avatar
from persona.body.regions import PART_IDS
from persona.core.errors import InputError
from persona.core.types import Mask
from persona.geometry.cameras import Camera
from persona.kernels.similarity import WINDOW
from persona.optimization.seams import FACE_REACH, REACH, find_seams
from persona.records.body_params import BodyParams
from persona.records.frame_set import (
    PHOTO,
    Clip,
    FrameSet,
    JointRates,
    Picture,
)
from persona.records.observation import Part
from persona.rendering import render
from persona.rendering.body_maps import draw_body_maps

CHANNELS: Final = {"depth": "depth_m", "normal": "normal_8", "parts": "parts"}
"""Maps that a picture may lack, and where it keeps them."""
HEAD_JOINTS: Final = (15, 22, 23, 24)
"""Head, jaw and eyes."""
HANDS: Final = ("left_hand", "right_hand")
"""Parts of the body that generators draw badly."""
EYES: Final = ("left_eye", "right_eye")
"""Parts that are looked at first."""
ROOM_PX: Final = 8
"""Pixels kept around person and avatar: splats fade over a few."""
FIVE_SCALES_PX: Final = 176
"""Least side of a picture that MS-SSIM takes [px]."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture to learn from, cut to the person; nothing of it changes while training."""

    name: str
    """For people: which frame of whose clip."""
    is_photo: bool
    """Whether it is no invention."""
    params: BodyParams
    """The pose, without batch axes."""
    rates: JointRates
    """How fast it changes, one row."""
    picture: Picture
    """What a camera saw, cut to where person or avatar are."""
    offsets: Float[Tensor, "k 3"] | None = None
    """Where the nodes are, if that is known exactly [m]."""
    seam: Bool[Tensor, "h w"] | None = None
    """Pixels near a self-occlusion; the photo's alone."""
    hands: Bool[Tensor, "h w"] | None = None
    """Where the body's hands show; generated frames alone."""
    eyes: Bool[Tensor, "h w"] | None = None
    """Where the body's eyes show."""
    patch: "Frame | None" = None
    """The face again, larger."""

    @property
    def comparable(self) -> bool:
        """Whether a window of SSIM fits into it."""
        return min(self.picture.mask_8.shape) >= WINDOW

    @property
    def has_scales(self) -> bool:
        """Whether the five scales of MS-SSIM fit into it."""
        return min(self.picture.mask_8.shape) >= FIVE_SCALES_PX


def gather_frames(
    avatar: Avatar, frames: FrameSet, *, with_seams: bool, threads: int
) -> tuple[Frame, ...]:
    """List all pictures to learn from, with seams of the photo and hands of the others."""
    return tuple(
        frame
        for clip in frames.taught
        for frame in (
            _photo_frames(avatar, clip, with_seams=with_seams, threads=threads)
            if clip.source == PHOTO
            else [_generated_frame(avatar, clip, picture, threads) for picture in clip.pictures]
        )
    )


def missing_channels(frames: Sequence[Frame]) -> tuple[str, ...]:
    """Say which terms are left out where, in sentences."""
    notes = []
    generated = [frame for frame in frames if not frame.is_photo]
    for name, field in CHANNELS.items():
        lacking = sum(getattr(frame.picture, field) is None for frame in generated)
        if lacking:
            notes.append(
                f"{lacking} of {len(generated)} generated pictures came without {name}: "
                f"the term {name} was left out there."
            )
    small = sum(not frame.comparable for frame in frames)
    if small:
        notes.append(
            f"{small} of {len(frames)} pictures are smaller than {WINDOW} pixels: "
            "colours were compared there without SSIM."
        )
    narrow = sum(not frame.has_scales for frame in frames)
    if narrow:
        notes.append(
            f"{narrow} of {len(frames)} pictures are smaller than {FIVE_SCALES_PX} pixels: "
            "they were compared there without MS-SSIM."
        )
    if not generated:
        notes.append("No generated picture is trusted or given: only the photo was learned from.")
    return tuple(notes)


def main_joints(avatar: Avatar) -> Int[Tensor, " n"]:
    """Name the joint that carries most of each Gaussian."""
    main = avatar.binding.bone_weights.argmax(1, keepdim=True)
    return avatar.binding.bone_ids.gather(1, main)[:, 0]


def cut(picture: Picture, left: int, top: int, width: int, height: int) -> Picture:
    """Cut a window out of a picture, its maps and its camera."""
    rows, columns = slice(top, top + height), slice(left, left + width)
    maps = {
        name: None if value is None else value[rows, columns].clone()
        for name, value in (
            ("image_8", picture.image_8),
            ("mask_8", picture.mask_8),
            ("depth_m", picture.depth_m),
            ("normal_8", picture.normal_8),
            ("parts", picture.parts),
        )
    }
    return replace(picture, camera=picture.camera.cropped(left, top, width, height), **maps)


def _photo_frames(avatar: Avatar, clip: Clip, *, with_seams: bool, threads: int) -> list[Frame]:
    """Make one frame of the photo's pictures: the whole, and the face as its patch."""
    whole, *patches = (
        _seen_by_photo(avatar, clip, picture, reach=reach if with_seams else None, threads=threads)
        for picture, reach in zip(clip.pictures, (REACH, FACE_REACH), strict=False)
    )
    return [replace(whole, patch=patches[0] if patches else None)]


def _seen_by_photo(
    avatar: Avatar, clip: Clip, picture: Picture, *, reach: float | None, threads: int
) -> Frame:
    frame = _frame(avatar, clip, picture)
    frame = replace(frame, eyes=_body_shows(avatar, frame, EYES, threads))
    if reach is None:
        return frame
    posed = avatar.pose(frame.params)
    device = posed.means.device
    face = torch.isin(main_joints(avatar), torch.tensor(HEAD_JOINTS, device=device))
    face &= avatar.parts != int(Part.HAIR)
    camera = frame.picture.camera
    # What is drawn as colour is where it lies at rest.
    drawn = render(
        replace(posed, colors=avatar.canonical.means),
        camera,
        extra_features=face.float()[:, None],
        threads=threads,
    )
    assert drawn.depth is not None
    assert drawn.extra is not None
    solid = drawn.alpha > 0.5
    distance = float(drawn.depth[solid].median()) if bool(solid.any()) else 0.0
    seam = find_seams(
        drawn.color,
        drawn.alpha,
        frame.picture.mask,
        pixel_m=distance / camera.focal_px,
        reach=reach,
        spared=drawn.extra[..., 0] > 0.5 * drawn.alpha,
    )
    return replace(frame, seam=seam)


def _generated_frame(avatar: Avatar, clip: Clip, picture: Picture, threads: int) -> Frame:
    frame = _frame(avatar, clip, picture)
    picture = frame.picture
    hands = _body_shows(avatar, frame, HANDS, threads) & (picture.mask > 0.5)
    if picture.parts is not None:
        # The naked body does not know of sleeves that hang over a hand.
        hands &= picture.parts == int(Part.SKIN)
    eyes = _body_shows(avatar, frame, EYES, threads)
    return replace(frame, hands=hands, eyes=eyes, patch=_face(avatar, clip, picture))


def _face(avatar: Avatar, clip: Clip, picture: Picture) -> Frame | None:
    """Give the enlarged face; None without one, or where the avatar's is elsewhere."""
    near = picture.face
    if near is None:
        return None
    with torch.no_grad():
        means = avatar.pose(clip.motion.params.frame(near.frame)).means
    return _frame(avatar, clip, near) if bool(_within(near.camera, means).any()) else None


def _body_shows(
    avatar: Avatar, frame: Frame, parts: Sequence[str], threads: int
) -> Bool[Tensor, "h w"]:
    """Find the pixels where the naked body in the frame's pose shows some of its parts."""
    body, identity = avatar.body, avatar.identity
    posed = body.forward(
        replace(frame.params, betas=identity.betas),
        joint_offsets=identity.joint_offsets,
        vertex_offsets=identity.vertex_offsets,
    )
    maps = draw_body_maps(
        posed.vertices.cpu(), body.faces.cpu(), frame.picture.camera, threads=threads
    )
    by_face = body.regions.part_ids.cpu()[body.faces.cpu()[:, 0]]
    wanted = torch.tensor([PART_IDS[name] for name in parts])
    return torch.isin(maps.parts(by_face), wanted).to(frame.picture.mask_8.device)


def _frame(avatar: Avatar, clip: Clip, picture: Picture) -> Frame:
    row = torch.tensor([picture.frame])
    params = clip.motion.params.frame(picture.frame)
    name = f"frame {picture.frame} by {clip.source}"
    known = None if clip.source == PHOTO or clip.offsets is None else clip.offsets[picture.frame]
    with torch.no_grad():
        means = avatar.pose(params).means
    return Frame(
        name="the photo" if clip.source == PHOTO else name,
        is_photo=clip.source == PHOTO,
        params=params,
        rates=clip.rates.rows(row),
        picture=cut(picture, *_window(picture.camera, picture.mask, means, name)),
        offsets=known,
    )


def _window(
    camera: Camera, mask: Mask, means: Float[Tensor, "n 3"], name: str
) -> tuple[int, int, int, int]:
    """Box in what is the person or will be drawn: left, top, width and height [px].

    Raises:
        InputError: The avatar is not in the picture.
    """
    if not bool(_within(camera, means).any()):
        raise InputError(
            f"the avatar is not in the picture of {name}",
            why="its camera looks past where the motion puts the person, or stands before them",
            fix="give the camera that the picture was taken or generated with, in world axes",
        )
    pixels, depth = camera.project(means)
    pixels = pixels[depth > 0]
    rows, columns = torch.nonzero(mask > 0.5, as_tuple=True)
    spans = []
    for seen, drawn, size in (
        (columns, pixels[:, 0], camera.width),
        (rows, pixels[:, 1], camera.height),
    ):
        low, high = float(seen.min()), float(seen.max()) + 1
        if len(drawn):
            low, high = min(low, float(drawn.min())), max(high, float(drawn.max()))
        spans.append(_span(low, high, size))
    (left, width), (top, height) = spans
    return left, top, width, height


def _within(camera: Camera, means: Float[Tensor, "n 3"]) -> Bool[Tensor, " n"]:
    """Tell which centres are in the picture."""
    pixels, depth = camera.project(means)
    size = pixels.new_tensor([camera.width, camera.height])
    return (depth > 0) & ((pixels > 0) & (pixels < size)).all(1)


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    """Widen an interval by some room, and to five scales where the picture is that large."""
    first, last = max(int(low) - ROOM_PX, 0), min(int(high) + 1 + ROOM_PX, size)
    missing = max(min(FIVE_SCALES_PX, size) - (last - first), 0)
    first = max(first - missing // 2, 0)
    last = min(max(last, first + min(FIVE_SCALES_PX, size)), size)
    first = max(min(first, last - min(FIVE_SCALES_PX, size)), 0)
    return first, last - first
