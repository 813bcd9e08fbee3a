"""Refine a driven pose against the picture it should give, the avatar frozen: the *fitted* mode.

Papers do this to their test frames, so that an error of the tracker is not counted as one of the
avatar. It also forgives poses that nobody would have in use, which is why the unfitted number
always stands beside it.
"""

from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.errors import InputError
from persona.evaluation.methods import SUPERSAMPLING, Drawn, Posable, averaged
from persona.evaluation.picture_metrics import PLAIN
from persona.evaluation.regions import Box, person_region
from persona.evaluation.subjects import SubjectFrame, over_plain
from persona.geometry.cameras import Camera
from persona.images.crops import resize
from persona.records.body_params import BodyParams
from persona.rendering import render

TURNED: Final = ("global_orient", "body_pose", "jaw_pose", "left_hand_pose", "right_hand_pose")
"""Rotations that are refined; expression and gaze stay as they were given."""


@dataclass(frozen=True, kw_only=True)
class RefitConfig:
    """How a pose is refined.

    Raises:
        InputError: A number makes no sense.
    """

    steps: int = 40
    """Steps of each frame, as published."""
    rows: int = 256
    """Rows of the person's box while fitting [px]; a smaller box is not enlarged."""
    turn_rate: float = 0.01
    """Step size of rotations [rad]."""
    move_rate: float = 0.004
    """Step size of the place [m]."""
    outline_weight: float = 1.0
    """Weight of the outline's mean error over that of colours."""
    stay_weight: float = 0.02
    """Weight of the mean squared turn away from the given pose [1/rad^2]."""

    def __post_init__(self) -> None:
        if not (1 <= self.steps <= 10_000 and 32 <= self.rows <= 4096):
            raise InputError(
                f"poses were to be refined in {self.steps} steps on {self.rows} rows",
                why="1 to 10,000 steps and 32 to 4096 rows make sense",
                fix="leave both away for the published 40 steps on 256 rows",
            )


def refit(drawer: Posable, frame: SubjectFrame, config: RefitConfig | None = None) -> BodyParams:
    """Refine a frame's pose by gradient descent on its picture.

    Args:
        drawer: The frozen avatar.
        frame: Picture, mask, camera, and the pose to begin with.
        config: How; None is as published.

    Returns:
        The pose with the least loss that was met, the given one included.

    Raises:
        InputError: The frame has no pose.
    """
    config = RefitConfig() if config is None else config
    given = frame.params
    if given is None:
        raise InputError(
            f"frame {frame.name} has no pose",
            why="a refinement begins with one",
            fix="track the frames first",
        )
    region = person_region(frame.mask)
    if region is None:
        return given
    window, camera = _window(frame, region, config.rows)
    leaves = {name: getattr(given, name).detach().clone() for name in (*TURNED, "transl")}
    for leaf in leaves.values():
        leaf.requires_grad_()
    optimizer = torch.optim.Adam(
        [
            {"params": [leaves[name] for name in TURNED], "lr": config.turn_rate},
            {"params": [leaves["transl"]], "lr": config.move_rate},
        ]
    )
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    best, least = given, float("inf")
    for _ in range(config.steps):
        params = replace(given, **leaves)
        loss = _loss(drawer, frame, params, window, camera, config)
        if float(loss.detach()) < least:
            least = float(loss.detach())
            best = replace(given, **{name: leaf.detach().clone() for name, leaf in leaves.items()})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        slower.step()
    return best


def draw_fitted(drawer: Posable, frame: SubjectFrame, params: BodyParams) -> Drawn:
    """Draw a frame in a refined pose, with as many rays a pixel as everybody."""
    with torch.no_grad():
        cloud = drawer.gaussians(frame, params)
        fine = render(cloud, frame.camera.scaled(SUPERSAMPLING), maps=False)
    return averaged(fine.color, fine.alpha)


def _loss(
    drawer: Posable,
    frame: SubjectFrame,
    params: BodyParams,
    window: Float[Tensor, "h w 4"],
    camera: Camera,
    config: RefitConfig,
) -> Float[Tensor, ""]:
    drawn = render(drawer.gaussians(frame, params), camera, maps=False)
    found = drawn.color + (1 - drawn.alpha[..., None]) * PLAIN
    colors = (found - window[..., :3]).abs().mean()
    outline = (drawn.alpha - window[..., 3]).abs().mean()
    assert frame.params is not None
    turned = torch.cat(
        [(getattr(params, n) - getattr(frame.params, n)).reshape(-1) for n in TURNED]
    )
    return (
        colors
        + config.outline_weight * outline
        + config.stay_weight * turned.square().mean()
    )  # fmt: skip


def _window(frame: SubjectFrame, region: Box, rows: int) -> tuple[Float[Tensor, "h w 4"], Camera]:
    """Cut the person out of picture and camera, and shrink both."""
    true = over_plain(frame.picture, frame.mask, PLAIN)
    layers = region.of(torch.cat([true, frame.mask[..., None]], -1))
    height, width = layers.shape[:2]
    camera = frame.camera.cropped(region.left, region.top, width, height)
    if height <= rows:
        return layers, camera
    camera = camera.scaled(rows / height)
    return resize(layers.contiguous(), width=camera.width, height=camera.height), camera
