"""`persona`: list the commands, parse one, run it, and report errors kindly.

A command is a module of this package with a frozen dataclass ``Args``, whose field docstrings are
the help, and ``run(args) -> int``. It is imported only when it is asked for, and it imports what
is heavy only inside ``run``, so that help is instant.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import persona
from persona.core.errors import PersonaError
from persona.core.progress import JsonProgress, Progress, choose_voice, speaking
from persona.core.threads import wait_patiently

COMMANDS: Final = {
    "create": "turn a photo of a person into an avatar",
    "generate": "make pictures of a photo's person in other poses, by video diffusion",
    "animate": "draw an avatar in motion, as a video or as pictures",
    "render": "draw one picture of an avatar",
    "export": "write an avatar or its motion for other programs",
    "serve": "show an avatar on a live page on this machine",
    "track": "follow a person through a video, and write their motion",
    "motion": "convert motions between formats, and measure them",
    "evaluate": "measure how good avatars are, against frames they have not seen",
    "ablate": "leave one technique away at a time, and see what it was worth",
    "batch": "do that for thousands, on one machine or a cluster",
    "weights": "list, fetch and verify the weights of larger models",
    "sample": "draw a photo of a person who does not exist, to try things on",
    "bench": "measure how fast this machine draws, trains and animates",
    "doctor": "show what works on this machine, and how to mend the rest",
}
"""Command -> what it does. The module has the command's name."""

EXIT_BUG: Final = 1
"""Something broke that persona did not foresee."""
EXIT_USAGE: Final = 2
"""The command line itself, or what it names, cannot be used."""
EXIT_INTERRUPTED: Final = 130
"""Stopped by Ctrl-C: 128 + SIGINT, as shells count."""

_FLAGS: Final = {
    "--json": "report progress, result and errors as one JSON object a line",
    "--debug": "show the traceback of a refusal",
}
"""Flags of every command, accepted anywhere on the line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; return the exit code.

    Args:
        argv: Words after ``persona``; None takes those of the process.
    """
    wait_patiently()
    words = list(sys.argv[1:] if argv is None else argv)
    flags = {word for word in words if word in _FLAGS}
    words = [word for word in words if word not in _FLAGS]
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(_help())
        return 0 if words else EXIT_USAGE
    if words[0] in ("-V", "--version"):
        sys.stdout.write(f"persona {persona.__version__}\n")
        return 0
    if words[0] not in COMMANDS:
        sys.stderr.write(f"persona: {words[0]!r} is no command\n\n{_help()}")
        return EXIT_USAGE
    # Read when torch loads. Threads that wait by spinning take the cores from each other where
    # anything else runs: a standard avatar then takes 78 to 142 s instead of 26.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with speaking(choose_voice(as_json="--json" in flags)) as voice:
        return _run(words[0], words[1:], voice, debug="--debug" in flags)


def _run(command: str, words: list[str], voice: Progress, *, debug: bool) -> int:
    module = importlib.import_module(f"persona.cli.{command}")
    args = _parse(module, command, words)
    if isinstance(args, int):
        return args
    try:
        return module.run(args)
    except PersonaError as error:
        if debug:
            raise
        voice.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        voice.say("stopped; what is finished is kept, the same command goes on from there")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left; nothing more can be written to them.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BUG
    except Exception as error:
        # Not handled: a program that reads our events must learn of the end, then it is a bug.
        if isinstance(voice, JsonProgress):
            voice.emit("error", kind=type(error).__name__, what=str(error), why="a bug", fix="")
        raise


def _parse(module: Any, command: str, words: list[str]) -> Any:
    """Return the command's arguments, or the exit code when tyro has already answered."""
    import tyro

    try:
        return tyro.cli(
            module.Args,
            prog=f"persona {command}",
            description=module.__doc__,
            args=words,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
    except SystemExit as answered:
        return answered.code if isinstance(answered.code, int) else EXIT_USAGE


def _help() -> str:
    options = {**_FLAGS, "--help": "say what the command takes", "--version": "say which this is"}
    width = max(map(len, (*COMMANDS, *options)))
    return "\n".join(
        (
            "usage: persona COMMAND ...",
            "",
            "One photo of a person in, a moving avatar out.",
            "",
            "commands:",
            *(f"  {name:<{width}}  {what}" for name, what in COMMANDS.items()),
            "",
            "options:",
            *(f"  {name:<{width}}  {what}" for name, what in options.items()),
            "",
            "exit codes: 0 done, 1 a bug, 2 unusable input, 3 something is missing or cannot run",
            "here, 4 the optimisation failed, 5 worse than the baseline, 6 part of a batch failed,",
            "130 interrupted",
            "",
        )
    )
