import io
import json
import time

import pytest

from persona.core import progress
from persona.core.errors import InputError
from persona.core.progress import (
    SILENT,
    JsonProgress,
    PlainProgress,
    Stage,
    TerminalProgress,
    choose_voice,
    current,
    speaking,
)

REFUSAL = InputError("it broke", why="it was thin", fix="take a thick one")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def work(voice):
    with voice.stage("fit", steps=10) as stage:
        for _ in range(10):
            stage.advance(note="3.1 px")
    voice.say("said")
    voice.warn("beware")
    voice.result({"out_path": "a.png", "numbers": (1, 2)})
    voice.error(REFUSAL)


def test_silence_keeps_count_and_says_nothing(capsys):
    with SILENT.stage("fit", steps=4) as stage:
        assert stage.seconds_left() is None
        stage.advance(3)
        assert stage.done == 3
        assert stage.seconds_left() >= 0
    work(SILENT)
    assert capsys.readouterr() == ("", "")


def test_plain_lines(monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.0)
    out, err = io.StringIO(), io.StringIO()
    work(PlainProgress(out=out, err=err))
    lines = err.getvalue().splitlines()
    assert lines[0] == "fit ..."
    assert lines[5].startswith("fit: 5/10, about 0 s left (3.1 px)")
    assert lines[11].startswith("fit: 0.0 s (3.1 px)")
    assert "warning: beware" in lines
    assert lines[-3:] == ["persona: it broke", "  why: it was thin", "  fix: take a thick one"]
    assert out.getvalue() == "out path: a.png\nnumbers: (1, 2)\n"


def test_plain_lines_are_few():
    err = io.StringIO()
    with PlainProgress(err=err).stage("fit", steps=1000) as stage:
        for _ in range(1000):
            stage.advance()
    assert len(err.getvalue().splitlines()) == 2


def test_a_terminal_shows_a_bar_and_leaves_one_line():
    err = Terminal()
    work(TerminalProgress(out=io.StringIO(), err=err))
    assert "done fit" in err.getvalue()
    assert "warning: beware" in err.getvalue()


def test_a_terminal_shows_what_is_under_way_below_the_bar():
    err = Terminal()
    with TerminalProgress(out=io.StringIO(), err=err).stage("batch", steps=2) as stage:
        stage.table([("f31", "learn", "12 s", "0.9 GiB")])
        stage.advance()
        time.sleep(0.3)
    assert "f31" in err.getvalue()
    assert "learn" in err.getvalue()


@pytest.mark.parametrize("voice", [PlainProgress, TerminalProgress])
def test_a_stage_that_fails_is_not_called_done(voice):
    err = Terminal()
    with pytest.raises(InputError), voice(err=err).stage("fit"):
        raise REFUSAL
    assert "done" not in err.getvalue()
    assert "fit: 0" not in err.getvalue()


def test_events_for_programs():
    out = io.StringIO()
    work(JsonProgress(out=out))
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    kinds = [event["event"] for event in events]
    expected = ["stage_started", "progress", "stage_finished", "note", "warning", "result", "error"]
    assert kinds == expected
    assert events[1]["done"] == 1
    assert events[1]["steps"] == 10
    assert events[2]["peak_memory"] > 1 << 20
    assert events[5] == {"event": "result", "out_path": "a.png", "numbers": [1, 2]}


def test_the_voice_of_a_block_is_the_current_one():
    assert current() is SILENT
    with pytest.raises(RuntimeError), speaking(PlainProgress()) as voice:
        assert current() is voice
        raise RuntimeError
    assert current() is SILENT


def test_the_voice_suits_the_place(monkeypatch):
    assert isinstance(choose_voice(as_json=True), JsonProgress)
    assert type(choose_voice()) is PlainProgress
    monkeypatch.setattr("sys.stderr", Terminal())
    assert isinstance(choose_voice(), TerminalProgress)


def test_time_left_follows_the_pace(monkeypatch):
    clock = iter([100.0, 110.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    stage = Stage("fit", 40)
    stage.done = 10
    assert stage.seconds_left() == pytest.approx(30.0)
