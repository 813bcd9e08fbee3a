"""Frames to train on: a picture, its pose and camera, and what is known of it beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Bool
from torch import Tensor

from persona.avatar.avatar import Avatar
from persona.avatar.rates import at_rest
from persona.body.regions import PART_IDS
from persona.core.types import Mask
from persona.kernels.similarity import WINDOW
from persona.optimization.offsets import one_frame
from persona.optimization.seams import find_seams
from persona.optimization.view import WorkingView, extend_edges
from persona.records.body_params import BodyParams
from persona.records.frame_set import (
    PHOTO,
    Clip,
    FrameSet,
    JointRates,
    Picture,
    picture_from,
)
from persona.records.gaussians import Gaussians
from persona.records.motion import Motion
from persona.records.observation import Part
from persona.rendering import render
from persona.rendering.body_maps import draw_body_maps

EDGE_INSET_PX: Final = 2
"""Pixels at the photo's rim whose colours are replaced: they mix person and background."""
CHANNELS: Final = {"depth": "depth_m", "normal": "normal_8", "parts": "parts"}
"""Maps that a picture may lack, and where it keeps them."""
HEAD_JOINTS: Final = (15, 22, 23, 24)
"""Head, jaw and eyes."""


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture to learn from; nothing of it changes while training."""

    name: str
    """For people: which frame of whose clip."""
    is_photo: bool
    """Whether it is no invention."""
    params: BodyParams
    """The pose, without batch axes."""
    rates: JointRates
    """How fast it changes, one row."""
    picture: Picture
    """What a camera saw."""
    box: tuple[int, int, int, int] | None
    """Left, top, width, height around the person [px]; None if too small for SSIM."""
    seam: Bool[Tensor, "h w"] | None = None
    """Pixels near a self-occlusion; the photo's alone."""
    hands: Bool[Tensor, "h w"] | None = None
    """Where the body's hands show; generated frames alone."""


def photo_clip(avatar: Avatar, view: WorkingView) -> Clip:
    """Make the clip of one frame that the photo is, its colours continued beyond the outline."""
    picture = picture_from(
        0, view.camera, extend_edges(view, inset=EDGE_INSET_PX), view.mask, parts=view.parts
    )
    return Clip(
        source=PHOTO,
        motion=Motion(params=one_frame(avatar.photo_params), fps=1.0, name=PHOTO),
        rates=at_rest(),
        pictures=(picture,),
    )


def gather_frames(
    avatar: Avatar, frames: FrameSet, *, with_seams: bool, threads: int
) -> tuple[Frame, ...]:
    """List all pictures to learn from, with seams of the photo and hands of the others."""
    return tuple(
        _photo_frame(avatar, clip, picture, with_seams=with_seams, threads=threads)
        if clip.source == PHOTO
        else _generated_frame(avatar, clip, picture, threads)
        for clip in frames.taught
        for picture in clip.pictures
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
    small = sum(frame.box is None for frame in frames)
    if small:
        notes.append(
            f"{small} of {len(frames)} pictures are smaller than {WINDOW} pixels: "
            "colours were compared there without SSIM."
        )
    if not generated:
        notes.append("No generated picture is trusted or given: only the photo was learned from.")
    return tuple(notes)


def _photo_frame(
    avatar: Avatar, clip: Clip, picture: Picture, *, with_seams: bool, threads: int
) -> Frame:
    frame = _frame(clip, picture)
    if not with_seams:
        return frame
    posed = avatar.pose(frame.params)
    face = torch.isin(main_joints(avatar), torch.tensor(HEAD_JOINTS))
    face &= avatar.parts != int(Part.HAIR)
    # What is drawn as colour is where it lies at rest.
    drawn = render(
        _with_colors(posed, avatar.canonical.means),
        picture.camera,
        extra_features=face.float()[:, None],
        threads=threads,
    )
    assert drawn.depth is not None
    assert drawn.extra is not None
    distance = (
        float(drawn.depth[drawn.alpha > 0.5].median()) if bool((drawn.alpha > 0.5).any()) else 0
    )
    seam = find_seams(
        drawn.color,
        drawn.alpha,
        picture.mask,
        pixel_m=distance / picture.camera.focal_px,
        spared=drawn.extra[..., 0] > 0.5 * drawn.alpha,
    )
    return replace(frame, seam=seam)


def _generated_frame(avatar: Avatar, clip: Clip, picture: Picture, threads: int) -> Frame:
    frame = _frame(clip, picture)
    body, identity = avatar.body, avatar.identity
    posed = body.forward(
        replace(frame.params, betas=identity.betas),
        joint_offsets=identity.joint_offsets,
        vertex_offsets=identity.vertex_offsets,
    )
    maps = draw_body_maps(posed.vertices, body.faces, picture.camera, threads=threads)
    by_face = body.regions.part_ids[body.faces[:, 0]]
    hands = torch.tensor([PART_IDS["left_hand"], PART_IDS["right_hand"]])
    shown = torch.isin(maps.parts(by_face), hands) & (picture.mask > 0.5)
    if picture.parts is not None:
        # The naked body does not know of sleeves that hang over a hand.
        shown &= picture.parts == int(Part.SKIN)
    return replace(frame, hands=shown)


def _frame(clip: Clip, picture: Picture) -> Frame:
    row = torch.tensor([picture.frame])
    name = f"frame {picture.frame} by {clip.source}"
    return Frame(
        name="the photo" if clip.source == PHOTO else name,
        is_photo=clip.source == PHOTO,
        params=clip.motion.params.frame(picture.frame),
        rates=clip.rates.rows(row),
        picture=picture,
        box=_person_box(picture.mask),
    )


def main_joints(avatar: Avatar) -> Tensor:
    """Name the joint that carries most of each Gaussian."""
    main = avatar.binding.bone_weights.argmax(1, keepdim=True)
    return avatar.binding.bone_ids.gather(1, main)[:, 0]


def _with_colors(gaussians: Gaussians, colors: Tensor) -> Gaussians:
    return replace(gaussians, colors=colors)


def _person_box(mask: Mask) -> tuple[int, int, int, int] | None:
    """Box the person in, with room for SSIM's window; None where the picture has none."""
    height, width = mask.shape
    if min(height, width) < WINDOW:
        return None
    rows, columns = torch.nonzero(mask > 0.5, as_tuple=True)
    left, across = _span(int(columns.min()), int(columns.max()) + 1, width)
    top, down = _span(int(rows.min()), int(rows.max()) + 1, height)
    return left, top, across, down


def _span(low: int, high: int, size: int) -> tuple[int, int]:
    """Widen an interval by half a window, inside of the picture; start and length."""
    low, high = max(low - WINDOW // 2, 0), min(high + WINDOW // 2, size)
    low = max(min(low, size - WINDOW), 0)
    return low, max(high - low, WINDOW)
