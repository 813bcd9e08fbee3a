"""Move garments with a body over the frames of a motion."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.errors import InputError
from persona.core.seeds import Seeds
from persona.kernels import ClothBody, run_cloth
from persona.records.garment import Garment
from persona.synthesis.physics.drape import drape, skinned
from persona.synthesis.physics.settings import ClothSettings
from persona.synthesis.physics.weave import weave

DEFAULTS = ClothSettings()
"""What is used when nothing else is asked for."""


def simulate(
    garments: Sequence[Garment],
    body_vertices: Float[Tensor, "t b 3"],
    body: ClothBody,
    bones: Float[Tensor, "t 55 4 4"],
    *,
    fps: float,
    settings: ClothSettings = DEFAULTS,
    settled: Float[Tensor, "v 3"] | None = None,
    stir_m: float = 0.0,
    tick: Callable[[], None] | None = None,
    threads: int | None = None,
) -> tuple[Float[Tensor, "t _ 3"], ...]:
    """Dress a moving body in garments, all at once, so that they meet each other.

    The garments settle on the first pose; then body and held vertices move at constant speed from
    frame to frame. Same input, same bits, whatever the number of threads.

    It fails softly: cloth in a crease is pressed out of it, but cloth caught between two limbs that
    pass into each other has no place to be and lies inside one of them until they part; cloth that
    has passed through cloth of its own layer stays there. A limb that moves farther in a frame than
    it is thick may pass through cloth: give more frames, see `persona.animation.resampling`.

    Args:
        garments: At least one; layers say who lies over whom.
        body_vertices: Skin in every frame [m], correctives included.
        body: Which faces of it stop cloth, see `collider.collider_of`.
        bones: Rest to posed, in every frame.
        fps: Frames a second.
        settings: How cloth moves.
        settled: Where all vertices hang on the first pose, one garment after another [m]; None lets
            them settle, which takes as long as twenty frames.
        stir_m: How far free vertices are moved at random before the first frame [m]: what a second
            run, stirred, does not repeat is chance.
        tick: Called after every frame.
        threads: Threads of the solver; None takes torch's number.

    Returns:
        For each garment its vertices in every frame [m].

    Raises:
        InputError: There are no garments or no frames, frames do not belong together, a number is
            not finite, or the rate is not positive.
        BackendError: The native core is not built.
    """
    _check(garments, body_vertices, bones, fps)
    mesh = weave(garments, settings)
    if settled is None:
        first = body_vertices[0], bones[0]
        settled = drape(garments, mesh, body, *first, settings, threads=threads).positions
    if stir_m > 0:
        noise = torch.randn(mesh.rest.shape, generator=Seeds(0).torch("stir"))
        settled = settled + stir_m * noise * (mesh.inverse_masses > 0)[:, None]
    run = run_cloth(mesh, body, settled, threads=threads)
    sizes = [garment.vertex_count for garment in garments]
    films = [torch.empty(len(bones), size, 3) for size in sizes]
    before = skinned(garments, bones[0])
    for frame in range(len(bones)):
        if frame > 0:
            after = skinned(garments, bones[frame])
            skin = body_vertices[frame - 1], body_vertices[frame]
            run.frame(skin, (before, after), 1 / fps, rules=settings.rules)
            before = after
        for film, part in zip(films, run.positions.split(sizes), strict=True):
            film[frame] = part
        if tick is not None:
            tick()
    return tuple(films)


def _check(garments: Sequence[Garment], skin: Tensor, bones: Tensor, fps: float) -> None:
    if not garments or not len(bones) or len(bones) != len(skin):
        raise InputError(
            f"{len(garments)} garments, {len(skin)} frames of skin, {len(bones)} of bones",
            why="there is at least one garment, and each frame has skin and bones",
            fix="take both from the same posed body",
        )
    if not 1 <= fps < float("inf"):
        raise InputError(
            f"fps is {fps}",
            why="cloth cannot be followed from second to second",
            fix="give 24 or more frames a second; 30 is a good choice",
        )
