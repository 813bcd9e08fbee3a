"""Avatar, Outfit, Motion -> what simulated clothes do to the Gaussians in every frame."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar import Avatar
from persona.avatar.worn import wear, worn_offsets
from persona.core.errors import InputError
from persona.records.motion import Motion
from persona.records.observation import Part
from persona.records.outfit import Outfit
from persona.synthesis.physics.collider import collider_of
from persona.synthesis.physics.solver import simulate

CLOTH = (Part.UPPER, Part.LOWER)
"""Parts that go with garments."""
POSED_AT_ONCE = 16
"""Frames of a motion posed at once: the mixed bones of every vertex are ten times its place."""


def simulate_worn(
    avatar: Avatar,
    outfit: Outfit,
    motion: Motion,
    *,
    stir_m: float = 0.0,
    tick: Callable[[], None] | None = None,
) -> Iterator[Float[Tensor, "n 3"]]:
    """Simulate what somebody wears through a motion that begins in the photo's pose.

    How the clothes hang in the photo is what the avatar already looks like. So offsets count from
    the first frame, in which the clothes have come to rest: there they are zero.

    Args:
        avatar: Who moves.
        outfit: What they wear.
        motion: What they do; its first frame is the photo's pose.
        stir_m: See `solver.simulate`.
        tick: Called after every simulated frame.

    Yields:
        For each frame what to add to the rest means [m], as `animation.player.draw` takes it.

    Raises:
        InputError: The outfit holds no garment.
    """
    if not outfit.garments:
        raise InputError(
            "this avatar wears nothing that could be simulated",
            why="; ".join(outfit.warnings) or "no garment was found in its photo",
            fix="leave --simulate away, or correct garments.toml and create the avatar again",
        )
    hair = any(garment.name == "hair" for garment in outfit.garments)
    parts = torch.tensor([*CLOTH, *((Part.HAIR,) if hair else ())])
    is_cloth = torch.isin(avatar.parts, parts)
    worn = wear(avatar.canonical.means, avatar.binding, is_cloth, outfit.garments)
    body = body_in_motion(avatar, motion)
    films = simulate(
        outfit.garments,
        body.vertices,
        collider_of(avatar.body),
        body.T_posed_rest,
        fps=motion.fps,
        stir_m=stir_m,
        tick=tick,
    )
    first = None
    for frame in range(motion.frame_count):
        cloth = torch.cat([film[frame] for film in films])
        offsets = worn_offsets(worn, cloth, body.T_posed_rest[frame])
        first = offsets if first is None else first
        yield offsets - first


@dataclass(frozen=True, eq=False, kw_only=True)
class MovingBody:
    """The naked body inside an avatar, in every frame of a motion."""

    vertices: Float[Tensor, "t v 3"]
    """Posed skin [m], world frame."""
    T_posed_rest: Float[Tensor, "t 55 4 4"]
    """Takes rest points to the world."""


def body_in_motion(avatar: Avatar, motion: Motion) -> MovingBody:
    """Move the naked body inside an avatar through all frames of a motion, some at a time."""
    vertices, bones = [], []
    with torch.no_grad():
        for ids in torch.arange(motion.frame_count).split(POSED_AT_ONCE):
            rows = {f.name: getattr(motion.params, f.name)[ids] for f in fields(motion.params)}
            betas = avatar.identity.betas.expand(len(ids), -1)
            posed = avatar.body.forward(
                replace(motion.params, **{**rows, "betas": betas}),
                joint_offsets=avatar.identity.joint_offsets,
                vertex_offsets=avatar.identity.vertex_offsets,
            )
            vertices.append(posed.vertices)
            bones.append(posed.T_posed_rest)
    return MovingBody(vertices=torch.cat(vertices), T_posed_rest=torch.cat(bones))
