"""Motion: body parameters over time."""

from dataclasses import dataclass

from persona.core.errors import InputError
from persona.records.body_params import BodyParams


@dataclass(frozen=True, kw_only=True)
class Motion:
    """A pose for every frame.

    Raises:
        InputError: No frames, or no positive rate.
    """

    params: BodyParams
    """Batched over time on the first axis; betas are ignored when an avatar plays it."""
    fps: float
    """Frames a second."""
    name: str = "motion"
    """What to call it."""
    loops: bool = False
    """Whether the last frame leads back to the first."""

    def __post_init__(self) -> None:
        if self.frame_count == 0 or not self.fps > 0:
            raise InputError(
                f"a motion has {self.frame_count} frames at {self.fps} per second",
                why="there is nothing to play",
                fix="give at least one frame and a positive rate",
            )

    @property
    def frame_count(self) -> int:
        """Frames."""
        return self.params.global_orient.shape[0]

    @property
    def duration(self) -> float:
        """Length [s]."""
        return self.frame_count / self.fps
