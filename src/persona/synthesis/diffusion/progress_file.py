"""What a stopped generation goes on from: the state after each window, and pictures as decoded."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from jaxtyping import Float, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from persona.core.atomic import replacing_file
from persona.core.errors import FileFormatError

EVERY_SECONDS: Final = 20.0
"""At most so much work is lost by a kill, besides the window at work."""


@dataclass(kw_only=True)
class Denoised:
    """How far one process has come."""

    step: int
    """Steps that are done."""
    latents: Float[Tensor, "n 4 y x"]
    """After them."""
    sums: Float[Tensor, "2 n 4 y x"]
    """Weighted predictions of this process's pieces of the next step so far."""
    done: int
    """How many pieces those are."""


@dataclass
class ProgressFile:
    """State of one process in a folder; without a folder nothing is kept."""

    folder: Path | None
    key: str
    """Fingerprint of all that the result depends on; a state of another key is not taken."""
    rank: int = 0
    world: int = 1
    _last: float = field(default_factory=time.monotonic)

    def load(self) -> Denoised | None:
        """Give the saved state, or None where there is none of this key.

        Raises:
            FileFormatError: The file is damaged.
        """
        path = self._path()
        if path is None or not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                told = file.metadata() or {}
                if told.get("key") != self.key:
                    return None
                state = Denoised(
                    step=int(told["step"]),
                    latents=file.get_tensor("latents"),
                    sums=file.get_tensor("sums"),
                    done=int(told["done"]),
                )
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise FileFormatError(
                f"{path} cannot be read: {error}",
                why="a stopped generation goes on from it",
                fix="delete it to begin again",
            ) from error
        if int(told["world"]) != self.world:
            # Pieces are shared out otherwise: the step that was begun is done again.
            state.sums.zero_()
            state.done = 0
        return state

    def due(self) -> bool:
        """Whether there is a folder, and nothing was kept in it a moment ago."""
        return self.folder is not None and time.monotonic() - self._last >= EVERY_SECONDS

    def save(self, state: Denoised, *, now: bool = False) -> None:
        """Keep the state, unless that was done a moment ago."""
        path = self._path()
        if path is None or not (now or self.due()):
            return
        told = {
            "key": self.key,
            "step": str(state.step),
            "done": str(state.done),
            "world": str(self.world),
        }
        held = {"latents": state.latents.cpu(), "sums": state.sums.cpu()}
        with replacing_file(path) as partial:
            save_file(held, partial, metadata=told)
        self._last = time.monotonic()

    def pictures(self, start: int) -> UInt8[Tensor, "k 3 h w"] | None:
        """Give the decoded pictures from ``start`` on, if they were kept."""
        part = self.part(f"pictures-{start:05d}")
        return None if part is None else part["pictures"]

    def keep_pictures(self, start: int, pictures: UInt8[Tensor, "k 3 h w"]) -> None:
        """Keep decoded pictures."""
        self.keep_part(f"pictures-{start:05d}", {"pictures": pictures.contiguous()})

    def keep_part(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Keep a finished part of the film."""
        if self.folder is not None:
            with replacing_file(self.folder / f"{name}.safetensors") as partial:
                save_file(tensors, partial, metadata={"key": self.key})
            self._last = time.monotonic()

    def part(self, name: str) -> dict[str, Tensor] | None:
        """Give a finished part, or None where there is none of this key.

        Raises:
            FileFormatError: The file is damaged.
        """
        path = None if self.folder is None else self.folder / f"{name}.safetensors"
        if path is None or not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                if (file.metadata() or {}).get("key") != self.key:
                    return None
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise FileFormatError(
                f"{path} cannot be read: {error}",
                why="it holds a part of the film that was finished before",
                fix="delete it to make that part again",
            ) from error

    def _path(self) -> Path | None:
        return None if self.folder is None else self.folder / f"state-{self.rank}.safetensors"


def chunks(count: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut a range into pieces of one size, the last shorter."""
    for start in range(0, count, size):
        yield start, min(start + size, count)
