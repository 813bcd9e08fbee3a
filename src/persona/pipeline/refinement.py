"""Whether photo and generated pictures are learned from together, and how."""

from pathlib import Path

from persona.optimization.joint import JointConfig
from persona.optimization.stage import OptimizeConfig
from persona.pipeline.refined import RefineJointly
from persona.pipeline.watching import WatchFolder


def refinement(
    config: OptimizeConfig,
    steps: int,
    *,
    lpips: Path | None,
    watch: Path | None,
    device: str,
) -> RefineJointly | None:
    """Set up joint training; None where it is not wanted.

    Args:
        config: Settings of the fit to the photo, whose person is as high.
        steps: How long; 0 does without.
        lpips: Folder of the weights of LPIPS.
        watch: Folder for curves and previews.
        device: auto, cpu or cuda.
    """
    if steps == 0:
        return None
    return RefineJointly(
        config=JointConfig(steps=steps),
        person_height=config.person_height,
        lpips=lpips,
        onlooker=None if watch is None else WatchFolder(watch),
        device=device,
    )
