"""`persona generate` with tiny pictures and eyes that always see the sitter; for other processes.

python -m tests.cli.generate_tiny FOLDER KILL_AT PHOTO --out FRAMES ...

Every window and chunk adds a line to FOLDER/ticks-RANK; at line KILL_AT the first process is killed
(0 never).
"""

import os
import signal
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import torch

from persona.cli.main import main
from persona.pipeline import films
from persona.records.frame_labels import FrameLabels
from persona.records.observation import Part
from persona.synthesis.diffusion.settings import MimicMotionSettings
from tests.pipeline.conftest import CountingStages
from tests.plain_avatar import make_plain_avatar

SIZE: Final = {"width": 64, "height": 128, "window": 4, "overlap": 1, "decode_chunk": 3}


@contextmanager
def eyes():
    """See somebody in grey at the same place in every picture."""

    def label(picture):
        mask = torch.zeros(picture.shape[:2])
        mask[20:110, 20:44] = 1
        parts = (mask * int(Part.UPPER)).to(torch.uint8)
        return FrameLabels(mask=mask, parts=parts, body=torch.full((33, 2), 32.0))

    yield label


def see_the_sitter(patch: pytest.MonkeyPatch, stages: CountingStages) -> None:
    """Let photo and pose be known: finding them is tested elsewhere, and takes seconds."""
    patch.setattr("persona.pipeline.generate.PerceivePhoto", lambda: lambda _: stages.observation)
    patch.setattr(
        "persona.fitting.stage.FitBody",
        lambda body: lambda _, *, focal_px=None: stages.fit,
    )


def run(folder: Path, kill_at: int, arguments: list[str]) -> int:
    """Generate, and count windows and chunks."""
    torch.set_num_threads(1)
    rank = os.environ.get("RANK", "0")
    made = films.MimicMotionFilm.__call__

    def counted(self, photo, skeletons, *, face, folder=None, tick):
        def tell():
            tick()
            with (log := ticks).open("a") as file:
                file.write("tick\n")
            if rank == "0" and len(log.read_text().splitlines()) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        return made(self, photo, skeletons, face=face, folder=folder, tick=tell)

    ticks = folder / f"ticks-{rank}"
    settings = "persona.synthesis.diffusion.settings.MimicMotionSettings"
    with pytest.MonkeyPatch.context() as patch:
        see_the_sitter(patch, CountingStages(make_plain_avatar(3_000)))
        patch.setattr(settings, partial(MimicMotionSettings, **SIZE))
        patch.setattr("persona.pipeline.generators._labels", lambda *_: {"labels": eyes})
        # Random weights paint noise, which nobody would believe.
        patch.setattr("persona.pipeline.generated.LEAST_TRUST", 0.0)
        patch.setattr(films.MimicMotionFilm, "__call__", counted)
        patch.setattr("persona.synthesis.diffusion.progress_file.EVERY_SECONDS", 0.0)
        return main(["generate", *arguments])


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
