"""Let garments settle on the first pose: the warm start of a simulation."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.body.skinning import skin_points
from persona.kernels import ClothBody, ClothMesh, run_cloth
from persona.kernels.cloth import ClothRun
from persona.records.garment import Garment
from persona.synthesis.physics.settings import ClothSettings

SECONDS_A_LOOK: Final = 1 / 30
"""Time between two looks at whether the cloth has settled [s]."""
CALM: Final = 0.01
"""Mean speed below which it has [m/s]."""
STARTLED: Final = 0.2
"""At first cloth is stopped after every look: what skinning tore comes together unhurried [s]."""


def skinned(garments: Sequence[Garment], bones: Float[Tensor, "55 4 4"]) -> Float[Tensor, "v 3"]:
    """Carry all garments along with the bones, one after the other."""
    return torch.cat([skin_points(g.rest_vertices, bones, g.body_weights) for g in garments])


def drape(
    garments: Sequence[Garment],
    mesh: ClothMesh,
    body: ClothBody,
    skin: Float[Tensor, "b 3"],
    bones: Float[Tensor, "55 4 4"],
    settings: ClothSettings,
    *,
    threads: int | None = None,
) -> ClothRun:
    """Put garments on a body that stands still, and wait until they hang.

    They start where skinning carries them, which is torn between the legs and folded into the
    armpits; springs and skin set that right, slowly at first.

    Args:
        garments: What hangs.
        mesh: The same, woven.
        body: The skin.
        skin: The body's vertices in the first pose [m].
        bones: Rest to first pose.
        settings: How long to wait, and how cloth moves.
        threads: Threads of the solver; None takes torch's number.

    Returns:
        The cloth at rest, to be moved on from there.
    """
    start = skinned(garments, bones)
    run = run_cloth(mesh, body, start, threads=threads)
    rules = replace(settings.rules, drag=settings.drape_drag)
    for look in range(round(settings.drape_seconds / SECONDS_A_LOOK)):
        run.frame((skin, skin), (start, start), SECONDS_A_LOOK, rules=rules)
        if look * SECONDS_A_LOOK < STARTLED:
            run.stop()
        elif float(run.velocities.norm(dim=1).mean()) < CALM:
            break
    run.stop()
    return run
