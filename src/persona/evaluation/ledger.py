"""What is already measured, kept batch by batch, so that a run that was cut off goes on."""

from dataclasses import dataclass
from pathlib import Path

from persona.core.config import load_config, save_config
from persona.core.errors import FileFormatError
from persona.core.progress import current


@dataclass(frozen=True, kw_only=True)
class FrameScore:
    """What was measured in one frame."""

    index: int
    """Which."""
    name: str
    """What the data set calls it."""
    unfitted: dict[str, float]
    """Metric -> value, the pose as it was given."""
    fitted: dict[str, float] | None = None
    """The same, the pose refined against the picture; None where it was not."""
    draw_seconds: float = 0.0
    """To draw it, unfitted, the pictures' loading and comparing not counted [s]."""
    fit_seconds: float = 0.0
    """To refine its pose [s]."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Frames that were measured together."""

    key: str
    """What they were measured of, and how."""
    scores: tuple[FrameScore, ...]
    """In order."""


@dataclass(frozen=True)
class Ledger:
    """A folder of batches of one method on one subject."""

    folder: Path
    """Where they are."""
    key: str
    """Batches of another key are not taken: something has changed."""

    def load(self, number: int) -> tuple[FrameScore, ...] | None:
        """Give a batch; None where it must be measured."""
        path = self._path(number)
        if not path.is_file():
            return None
        try:
            batch = load_config(path, Batch)
        except FileFormatError as error:
            current().warn(f"{path.name} cannot be read back ({error.what}); measured again")
            return None
        return batch.scores if batch.key == self.key else None

    def save(self, number: int, scores: tuple[FrameScore, ...]) -> None:
        """Keep a batch, whole or not at all."""
        save_config(self._path(number), Batch(key=self.key, scores=scores))

    def _path(self, number: int) -> Path:
        return self.folder / f"batch_{number:05d}.json"
