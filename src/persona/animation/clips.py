"""The built-in motions by name."""

from collections.abc import Callable
from typing import Final

from persona.animation.clips_dance import dance
from persona.animation.clips_stand import idle, squat, wave
from persona.animation.clips_turn import turn
from persona.animation.clips_walk import walk
from persona.animation.resampling import resample
from persona.animation.sketch import BASE_FPS
from persona.core.errors import InputError
from persona.records.motion import Motion

CLIPS: Final[dict[str, Callable[[], Motion]]] = {
    "idle": idle,
    "walk": walk,
    "turn": turn,
    "wave": wave,
    "squat": squat,
    "dance": dance,
}
"""Name -> composer. All of them loop."""


def clip(name: str, *, fps: float = BASE_FPS) -> Motion:
    """Give a built-in motion, composed for the mean body on a floor at y = 0.

    The person faces the viewer (+z). Use `grounding.ground_motion` to put it on another body.

    Args:
        name: One of `CLIPS`.
        fps: Frames a second.

    Raises:
        InputError: There is no such clip.
    """
    if name not in CLIPS:
        raise InputError(
            f"there is no motion called {name!r}",
            why=f"the built-in ones are {', '.join(CLIPS)}",
            fix="choose one of them",
        )
    return resample(CLIPS[name](), fps=fps)
