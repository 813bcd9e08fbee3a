"""Whether photo and generated pictures are learned from together, and how: presets and wishes."""

from pathlib import Path

from persona.optimization.joint import JointConfig
from persona.optimization.stage import OptimizeConfig
from persona.pipeline.presets import preset_refine_steps
from persona.pipeline.refined import RefineJointly
from persona.pipeline.watching import WatchFolder


def refinement(
    preset: str,
    config: OptimizeConfig,
    steps: int | None,
    *,
    lpips: Path | None,
    watch: Path | None,
) -> RefineJointly | None:
    """Set up joint training; None where it is not wanted.

    Args:
        preset: Name of the settings.
        config: Settings of the fit to the photo, whose person is as high.
        steps: How long; None leaves it to the preset, 0 does without.
        lpips: Folder of the weights of LPIPS.
        watch: Folder for curves and previews.
    """
    steps = preset_refine_steps(preset) if steps is None else steps
    if steps == 0:
        return None
    return RefineJointly(
        config=JointConfig(steps=steps),
        person_height=config.person_height,
        lpips=lpips,
        onlooker=None if watch is None else WatchFolder(watch),
    )
