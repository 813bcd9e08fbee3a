"""The built-in motions by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from persona.animation.clips_dance import dance
from persona.animation.clips_lunge import lunge, sit
from persona.animation.clips_run import run
from persona.animation.clips_stand import idle, squat, wave
from persona.animation.clips_stretch import bend, reach, twist
from persona.animation.clips_strike import kick, punch
from persona.animation.clips_turn import turn
from persona.animation.clips_walk import walk
from persona.animation.resampling import resample
from persona.animation.sketch import BASE_FPS
from persona.core.errors import InputError
from persona.records.motion import Motion


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One built-in motion."""

    compose: Callable[..., Motion]
    """Makes it; ``speed`` says how many times faster than at ease."""
    speeds: tuple[float, float] = (0.5, 1.5)
    """Slowest and fastest that still looks like somebody doing it."""


CLIPS: Final[dict[str, Clip]] = {
    "idle": Clip(compose=idle),
    "walk": Clip(compose=walk, speeds=(0.6, 1.4)),
    "run": Clip(compose=run, speeds=(0.8, 1.4)),
    "turn": Clip(compose=turn),
    "squat": Clip(compose=squat),
    "lunge": Clip(compose=lunge),
    "kick": Clip(compose=kick, speeds=(0.5, 1.3)),
    "punch": Clip(compose=punch, speeds=(0.5, 1.3)),
    "reach": Clip(compose=reach),
    "twist": Clip(compose=twist),
    "bend": Clip(compose=bend),
    "sit": Clip(compose=sit),
    "wave": Clip(compose=wave),
    "dance": Clip(compose=dance, speeds=(0.6, 1.3)),
}
"""Every built-in motion by name. All of them loop."""


def clip(name: str, *, speed: float = 1.0, fps: float = BASE_FPS) -> Motion:
    """Give a built-in motion, composed for the mean body on a floor at y = 0.

    The person faces the viewer (+z). Use `grounding.ground_motion` to put it on another body.

    Args:
        name: One of `CLIPS`.
        speed: How many times faster than at ease. For walk and run it is the speed over ground:
            strides become longer and quicker. All else goes as far in another time.
        fps: Frames a second.

    Raises:
        InputError: There is no such clip, or nobody does it at such a speed.
    """
    if name not in CLIPS:
        raise InputError(
            f"there is no motion called {name!r}",
            why=f"the built-in ones are {', '.join(CLIPS)}",
            fix="choose one of them, or give the path of an npz",
        )
    slowest, fastest = CLIPS[name].speeds
    if not slowest <= speed <= fastest:
        raise InputError(
            f"{name} was asked for {speed:g} times as fast",
            why=f"it is composed for speeds from {slowest:g} to {fastest:g}",
            fix=f"choose a speed from {slowest:g} to {fastest:g}",
        )
    return resample(CLIPS[name].compose(speed=speed), fps=fps)
