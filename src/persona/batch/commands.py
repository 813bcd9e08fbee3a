"""Jobs that are a persona command in a process of its own, listened to by its events."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from persona.batch.recorder import Recorder
from persona.core.errors import BackendError, InputError

BATCH_SUFFIX: Final = re.compile(r"-[0-9a-f]{8}$")
"""What a batch adds to the names of its results."""
METHOD: Final = "ours"
"""What an evaluation calls a finished avatar."""


def animate(
    source: Path, target: Path, options: dict[str, Any], recorder: Recorder
) -> dict[str, float]:
    """Draw an avatar in motion; see `run_command` for what is raised."""
    flags = [word for name, value in options.items() for word in _flag(name, value)]
    return run_command(["animate", str(source), f"--out={target}", *flags], recorder)


def evaluate(
    source: Path, target: Path, options: dict[str, Any], recorder: Recorder
) -> dict[str, float]:
    """Measure an avatar on the subject of the specification that has its name.

    Args:
        source: A finished avatar; the batch's addition to its name does not count.
        target: Folder of the report; it appears in one step.
        options: ``spec``, a file or a built-in name. ``spec_digest`` is there for the key alone.
        recorder: Hears of stages and warnings.

    Returns:
        Metric -> mean over the frames, poses as tracked.

    Raises:
        InputError: No subject has the avatar's name, or its data cannot be read.
        BackendError: The command broke.
    """
    name = BATCH_SUFFIX.sub("", source.name.removesuffix(".persona"))
    run = target.with_name(f".{target.name}.run")
    with tempfile.TemporaryDirectory(prefix="persona-") as folder:
        (Path(folder) / f"{name}.persona").symlink_to(source.resolve())
        words = ["evaluate", options["spec"], f"--out={run}", f"--subjects={name}"]
        run_command([*words, f"--methods={METHOD}", f"--finished={folder}"], recorder)
    from persona.evaluation.evaluate import NUMBERS
    from persona.evaluation.results import load_results

    row = load_results(run / NUMBERS).row(name, METHOD, "unfitted")
    # Films and cut-outs that can be made again, and an older report.
    for folder in (run / "work", target):
        if folder.is_dir():
            shutil.rmtree(folder)
    run.rename(target)
    return {} if row is None else {metric: found.mean for metric, found in row.numbers.items()}


def run_command(words: Sequence[str], recorder: Recorder) -> dict[str, float]:
    """Run ``persona`` with these words, listen, and give the plain numbers of its result.

    Raises:
        InputError: The command refused; it says why.
        BackendError: It broke, or was killed.
    """
    numbers: dict[str, float] = {}
    with _running([sys.executable, "-m", "persona", *words, "--json"]) as lines:
        for line in lines:
            event = json.loads(line)
            if event["event"] == "stage_started":
                recorder.began(event["stage"])
            elif event["event"] == "stage_finished":
                recorder.seconds[event["stage"]] = event["seconds"]
            elif event["event"] == "warning":
                recorder.warn(event["text"])
            elif event["event"] == "result":
                plain = {k: v for k, v in event.items() if isinstance(v, int | float)}
                numbers |= {k: float(v) for k, v in plain.items()}
            elif event["event"] == "error":
                raise InputError(event["what"], why=event["why"], fix=event["fix"])
    return numbers


@contextmanager
def _running(words: Sequence[str]) -> Iterator[Iterator[str]]:
    """Give the lines of a command's output; it must end well once they are read."""
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield iter(process.stdout.readline, "")
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise BackendError(
            f"persona {words[3]} ended with {process.returncode}",
            why="it broke, or was killed",
            fix="run it alone on this input to see more",
        )


def _flag(name: str, value: Any) -> list[str]:
    """Write an option as the command line wants it."""
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag] if value else []
    return [] if value is None else [f"{flag}={value}"]
