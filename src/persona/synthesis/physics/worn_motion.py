"""Avatar, Outfit, Motion -> what simulated clothes do to the Gaussians in every frame."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar import Avatar
from persona.avatar.worn import wear, worn_offsets
from persona.core.errors import InputError
from persona.records.body_params import BodyParams
from persona.records.motion import Motion
from persona.records.observation import Part
from persona.records.outfit import Outfit
from persona.synthesis.physics.collider import collider_of
from persona.synthesis.physics.solver import simulate

CLOTH = (Part.UPPER, Part.LOWER)
"""Parts that go with garments."""
STILL_FPS = 20.0
"""Frames a second of a motion of one frame."""
POSED_AT_ONCE = 16
"""Frames of a motion posed at once: the mixed bones of every vertex are ten times its place."""


def simulate_worn(
    avatar: Avatar,
    outfit: Outfit,
    motion: Motion,
    *,
    settled: Float[Tensor, "v 3"] | None = None,
    stir_m: float = 0.0,
    tick: Callable[[], None] | None = None,
    threads: int | None = None,
) -> Iterator[Float[Tensor, "n 3"]]:
    """Simulate what somebody wears through a motion that begins in the photo's pose.

    How the clothes hang in the photo is what the avatar already looks like. So offsets count from
    the first frame, in which the clothes have come to rest: there they are zero.

    Args:
        avatar: Who moves.
        outfit: What they wear.
        motion: What they do; its first frame is the photo's pose.
        settled: How the clothes hang in the photo's pose, as `settle_worn` says [m].
        stir_m: See `solver.simulate`.
        tick: Called after every simulated frame.
        threads: Threads of the solver; None takes torch's number.

    Yields:
        For each frame what to add to the rest means [m], as `animation.player.draw` takes it.

    Raises:
        InputError: The outfit holds no garment.
    """
    _check_worn(outfit)
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
        settled=None if settled is None else settled + motion.params.transl[0],
        stir_m=stir_m,
        tick=tick,
        threads=threads,
    )
    first = None
    for frame in range(motion.frame_count):
        cloth = torch.cat([film[frame] for film in films])
        offsets = worn_offsets(worn, cloth, body.T_posed_rest[frame])
        first = offsets if first is None else first
        yield offsets - first


def settle_worn(
    avatar: Avatar, outfit: Outfit, *, threads: int | None = None
) -> Float[Tensor, "v 3"]:
    """Say how the clothes hang in the photo's pose, the pelvis at the origin [m].

    For several motions that begin there, wherever that is: `simulate_worn` carries it along.

    Raises:
        InputError: The outfit holds no garment.
    """
    _check_worn(outfit)
    values = {f.name: getattr(avatar.photo_params, f.name)[None] for f in fields(BodyParams)}
    still = BodyParams(**{**values, "transl": torch.zeros(1, 3)})
    body = body_in_motion(avatar, Motion(params=still, fps=STILL_FPS, name="photo"))
    collider = collider_of(avatar.body)
    films = simulate(
        outfit.garments, body.vertices, collider, body.T_posed_rest, fps=STILL_FPS, threads=threads
    )
    return torch.cat([film[0] for film in films])


def _check_worn(outfit: Outfit) -> None:
    if not outfit.garments:
        raise InputError(
            "this avatar wears nothing that could be simulated",
            why="; ".join(outfit.warnings) or "no garment was found in its photo",
            fix="leave --simulate away, or correct garments.toml and create the avatar again",
        )


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
