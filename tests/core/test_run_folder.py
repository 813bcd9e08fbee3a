import json
import subprocess
import sys
from pathlib import Path

import pytest

from persona.core.errors import InputError
from persona.core.progress import PlainProgress
from persona.core.run_folder import STAGE_FILE, JsonCodec, RunFolder


class Counter:
    """A stage that knows how often it ran."""

    def __init__(self):
        self.calls = 0

    def __call__(self, *values):
        self.calls += 1
        return [*values, "done"]


def open_run(path, **changes):
    return RunFolder.open(path, **{"codec": JsonCodec(), "code": "1", **changes})


def run_twice(path, first, second):
    """Run two stages; return how often each really ran, and what came out."""
    with open_run(path) as run:
        seen = run.step("perceive", first, 1)
        return run.step("fit", second, seen)


def test_a_finished_stage_is_not_run_again(tmp_path):
    first, second = Counter(), Counter()
    results = [run_twice(tmp_path, first, second) for _ in range(3)]
    assert results == [[[1, "done"], "done"]] * 3
    assert (first.calls, second.calls) == (1, 1)


def test_a_resumed_run_reports_what_the_stages_cost_when_they_ran(tmp_path):
    with open_run(tmp_path) as run:
        run.step("perceive", Counter(), 1)
        before = run.reports
    with open_run(tmp_path) as run:
        run.step("perceive", Counter(), 1)
        assert run.reports == before
        assert run.resumed == {"perceive"}


@pytest.mark.parametrize(
    ("inputs", "key", "code", "runs"),
    [((1,), None, "1", 1), ((2,), None, "1", 2), ((1,), {"seed": 1}, "1", 2), ((1,), None, "2", 2)],
    ids=["nothing changed", "another input", "other settings", "other code"],
)
def test_a_stage_runs_again_when_something_it_depends_on_changed(tmp_path, inputs, key, code, runs):
    stage = Counter()
    with open_run(tmp_path) as run:
        run.step("perceive", stage, 1)
    with open_run(tmp_path, code=code) as run:
        run.step("perceive", stage, *inputs, key=key)
    assert stage.calls == runs


def test_later_stages_run_again_only_when_the_earlier_result_changed(tmp_path):
    second = Counter()
    with open_run(tmp_path) as run:
        run.step("fit", second, run.step("perceive", lambda: [1]))
    with open_run(tmp_path) as run:
        run.step("fit", second, run.step("perceive", lambda: [1], key="other settings"))
    assert second.calls == 1
    with open_run(tmp_path) as run:
        run.step("fit", second, run.step("perceive", lambda: [2], key="yet others"))
    assert second.calls == 2


@pytest.mark.parametrize("damage", [b"", b"[1,", b'[1, "other"]'])
def test_a_damaged_stage_runs_again_and_says_so(tmp_path, damage, capsys):
    stage = Counter()
    with open_run(tmp_path) as run:
        run.step("perceive", stage, 1)
    (tmp_path / "stages" / "perceive" / "value.json").write_bytes(damage)
    with open_run(tmp_path, progress=PlainProgress()) as run:
        assert run.step("perceive", stage, 1) == [1, "done"]
    assert stage.calls == 2
    assert "warning: perceive" in capsys.readouterr().err


def test_a_damaged_report_of_a_stage_runs_it_again(tmp_path):
    stage = Counter()
    for _ in range(2):
        with open_run(tmp_path) as run:
            run.step("perceive", stage, 1)
        (tmp_path / "stages" / "perceive" / STAGE_FILE).write_text("{")
    assert stage.calls == 2


def test_a_stage_that_fails_leaves_nothing(tmp_path):
    def fail():
        raise InputError("nobody", why="needs one", fix="take another")

    with pytest.raises(InputError), open_run(tmp_path) as run:
        run.step("perceive", fail)
    assert list((tmp_path / "stages").iterdir()) == []


def test_two_processes_do_not_share_a_run(tmp_path):
    with open_run(tmp_path), pytest.raises(InputError, match="is in use"), open_run(tmp_path):
        pass
    with open_run(tmp_path):
        pass


def test_kill_nine_loses_nothing(tmp_path):
    script = Path(__file__).with_name("kill_writers.py")
    command = [sys.executable, str(script), str(tmp_path), "40"]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    count = json.loads(out.stdout)
    assert count["safe"] == 0
    assert count["leftovers"] == []
    # The negative control: had the writer without rename lost nothing, the test would see nothing.
    assert count["naive"] > 0
