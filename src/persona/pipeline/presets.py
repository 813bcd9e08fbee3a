"""Named settings: draft to see whether it works, standard, studio to keep."""

from dataclasses import replace
from typing import Final, Literal

from persona.core.errors import InputError
from persona.optimization.stage import OptimizeConfig
from persona.optimization.trainer import TrainConfig
from persona.pipeline.stages import Generator

Preset = Literal["draft", "standard", "studio"]
"""How much time and detail."""

_STANDARD: Final = OptimizeConfig()

PRESETS: Final[dict[str, OptimizeConfig]] = {
    # Gaussians are the vertices of the body subdivided 0, 1 and 2 times, wherever they then go.
    "draft": replace(_STANDARD, gaussians=13_718, person_height=384, train=TrainConfig(steps=150)),
    "standard": _STANDARD,
    "studio": replace(
        _STANDARD, gaussians=219_368, person_height=1024, train=TrainConfig(steps=500)
    ),
}
"""Preset -> settings of the optimisation."""


def preset_config(preset: str) -> OptimizeConfig:
    """Give the settings of a preset.

    Raises:
        InputError: There is none of this name.
    """
    if preset not in PRESETS:
        raise InputError(
            f"there is no preset called {preset!r}",
            why=f"the presets are {', '.join(PRESETS)}",
            fix="choose one of them",
        )
    return PRESETS[preset]


def preset_generator(preset: str) -> Generator:
    """Say who makes frames for a preset: nobody for drafts, which only try a photo."""
    return "none" if preset == "draft" else "physics"
