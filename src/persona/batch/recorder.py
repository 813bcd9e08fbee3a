"""A voice that keeps what a job says of itself, for its receipt."""

from collections.abc import Callable

from persona.core.progress import Progress, Stage
from persona.core.timing import Stopwatch


class Recorder(Progress):
    """A voice that keeps the time of every stage, and the warnings."""

    def __init__(self, began: Callable[[str], None] = lambda _: None) -> None:
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []
        self.began = began

    def warn(self, text: str) -> None:
        """Keep a warning."""
        self.warnings.append(text)

    def _begin(self, name: str, steps: int | None) -> Stage:
        self.began(name)
        return super()._begin(name, steps)

    def _end(self, stage: Stage, watch: Stopwatch, *, finished: bool) -> None:
        if finished:
            self.seconds[stage.name] = round(watch.cost().seconds, 3)
