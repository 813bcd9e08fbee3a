import json
import subprocess
import sys
import types

import pytest

from persona.cli.main import COMMANDS, main
from persona.core.errors import BackendError, PhotoError
from persona.core.progress import current


@pytest.fixture
def command(monkeypatch):
    """Put a command in the place of `doctor` that does what a test wants."""

    def install(run):
        from dataclasses import dataclass

        @dataclass(frozen=True)
        class Args:
            size: int = 512
            """Height of the picture [px]."""

        module = types.ModuleType("persona.cli.doctor", "A command for tests.")
        module.__dict__.update(Args=Args, run=run)
        monkeypatch.setitem(sys.modules, "persona.cli.doctor", module)

    return install


def refuse(args):
    raise PhotoError("nobody in beach.jpg", why="one person is needed", fix="take another")


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)
    assert "exit codes" in out


def test_nothing_and_nonsense_are_usage_errors(capsys):
    assert main([]) == 2
    assert main(["fly"]) == 2
    assert "'fly' is no command" in capsys.readouterr().err


def test_the_version_is_said(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("persona 0.")


def test_arguments_reach_the_command_and_its_code_comes_back(command):
    command(lambda args: args.size)
    assert main(["doctor", "--size", "7"]) == 7


def test_unknown_arguments_are_usage_errors(command, capsys):
    command(lambda args: 0)
    assert main(["doctor", "--nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_a_refusal_says_what_why_and_fix(command, capsys):
    command(refuse)
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err == (
        "persona: nobody in beach.jpg\n  why: one person is needed\n  fix: take another\n"
    )


def test_a_refusal_is_an_event_for_programs(command, capsys):
    command(refuse)
    assert main(["--json", "doctor"]) == 2
    assert json.loads(capsys.readouterr().out) == {
        "event": "error",
        "kind": "PhotoError",
        "what": "nobody in beach.jpg",
        "why": "one person is needed",
        "fix": "take another",
    }


def test_debug_shows_where_a_refusal_comes_from(command):
    command(refuse)
    with pytest.raises(PhotoError):
        main(["doctor", "--debug"])


def test_exit_codes_mean_something(command, capsys):
    def cannot(args):
        raise BackendError("no backend", why="not built", fix="build it")

    def interrupt(args):
        raise KeyboardInterrupt

    def bug(args):
        raise ZeroDivisionError("by zero")

    command(cannot)
    assert main(["doctor"]) == 3
    command(interrupt)
    assert main(["doctor"]) == 130
    assert "goes on from there" in capsys.readouterr().err
    command(bug)
    with pytest.raises(ZeroDivisionError):
        main(["doctor", "--json"])
    assert json.loads(capsys.readouterr().out)["why"] == "a bug"


def test_commands_speak_through_the_voice_of_the_line(command, capsys):
    def work(args):
        with current().stage("count", steps=2) as stage:
            stage.advance(2, note="all")
        current().result({"path": "a.png"})
        return 0

    command(work)
    assert main(["doctor"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "path: a.png\n"
    assert captured.err.startswith("count ...\ncount: 0.")
    assert main(["doctor", "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == [
        "stage_started",
        "progress",
        "stage_finished",
        "result",
    ]


def test_a_reader_that_leaves_is_no_crash():
    code = "from persona.cli.main import main; import sys; sys.exit(main(['--json', 'doctor']))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert "BrokenPipe" not in errors
