"""Draw simulated frames: the photo's texture, and exact maps of mask, depth, normals and parts."""

import math
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.avatar import Avatar
from persona.avatar.slopes import slopes_of
from persona.geometry.cameras import Camera
from persona.records.frame_set import Picture, picture_from
from persona.records.gaussians import Gaussians
from persona.records.motion import Motion
from persona.records.nodes import Nodes
from persona.records.observation import Part
from persona.rendering import render
from persona.rendering.camera_paths import fit_camera

FAINT: Final = 1.0 / 255.0
"""Coverage below which a colour is not told apart from black [-]."""
ASPECT: Final = 0.75
"""Width over height of a picture."""


@dataclass(frozen=True, kw_only=True)
class PictureConfig:
    """Which frames are drawn, and from where."""

    every: int = 30
    """One frame of so many is drawn; 0 draws none: offsets teach more than pictures of them."""
    yaws_deg: tuple[float, ...] = (0.0, 90.0, 180.0, 270.0)
    """Where cameras stand around the person, taken in turn [deg]; 0 is in front."""
    height: int = 384
    """Rows [px]."""


def draw_pictures(
    avatar: Avatar,
    motion: Motion,
    nodes: Nodes,
    offsets: Float[Tensor, "t k 3"],
    config: PictureConfig,
) -> tuple[Picture, ...]:
    """Draw some frames of a motion whose offsets are known.

    Colours are the avatar's, that is the photo's where it shows them: as sharp, and with its light
    alone; no shadow of a fold is painted in. At the outline they are the person's alone, too: no
    background is mixed in. All maps are of the same Gaussians in one pass.
    """
    if config.every < 1:
        return ()
    pictures, slopes = [], slopes_of(nodes)
    with torch.no_grad():
        for turn, frame in enumerate(range(0, motion.frame_count, config.every)):
            moved = slopes.carry(offsets[frame])
            posed = avatar.pose(motion.params.frame(frame), gaussian_offsets=moved)
            camera = fit_camera(
                posed.means,
                width=round(ASPECT * config.height),
                height=config.height,
                yaw=math.radians(config.yaws_deg[turn % len(config.yaws_deg)]),
            )
            pictures.append(take_picture(posed, avatar.parts, camera, frame=frame))
    return tuple(pictures)


def take_picture(
    posed: Gaussians, parts: Int[Tensor, " n"], camera: Camera, *, frame: int = 0
) -> Picture:
    """Draw posed Gaussians as a picture with all its maps, all of them in one pass.

    Args:
        posed: The person.
        parts: What each Gaussian shows, as a `records.observation.Part`.
        camera: Who looks.
        frame: Which frame of its clip it is.
    """
    labels = torch.nn.functional.one_hot(parts, len(Part)).float()
    drawn = render(posed, camera, extra_features=labels)
    assert drawn.depth is not None
    assert drawn.normal is not None
    assert drawn.extra is not None
    solid = drawn.alpha > 0.5
    unit = torch.nn.functional.normalize(drawn.normal, dim=-1)
    return picture_from(
        frame,
        camera,
        drawn.color / drawn.alpha.clamp(min=FAINT)[..., None],
        drawn.alpha,
        depth=torch.where(solid, drawn.depth, 0.0),
        normal=torch.where(solid[..., None], unit, 0.0),
        parts=torch.where(solid, drawn.extra.argmax(-1), int(Part.BACKGROUND)),
    )
