"""The code keeps the shape we agreed on; what import-linter cannot see."""

import ast
import builtins
import re
import subprocess
import symtable
import sys
import tomllib
from pathlib import Path

import pytest

import persona
from persona.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "persona"
MODULES = sorted(SOURCE.rglob("*.py"))
LONGER_ON_PURPOSE: dict[str, str] = {}  # path -> reason

HEAVY = ("torch", "numpy", "scipy", "cv2", "PIL", "mediapipe", "av", "rich")
"""Packages that take longer to import than help may take to appear."""


def name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def loaded_heavy_modules(code: str) -> list[str]:
    """Run code in a fresh interpreter; return which heavy packages it loaded."""
    probe = f"import sys\n{code}\nprint('loaded:', *[m for m in {HEAVY} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return out.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_fits_in_a_reading(path):
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "begin the file with one sentence that says what it is for"
    if name(path) not in LONGER_ON_PURPOSE:
        assert text.count("\n") <= 400, "split it at its second idea"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            end = (body[-1].end_lineno or 0) if body else 0
            lines = end - body[0].lineno + 1 if body else 0
            assert lines <= 60, f"{node.name} has {lines} lines of body; the limit is 60"


def undefined_names(text: str) -> set[str]:
    """Find global names that are used and nowhere bound; the words of shapes are only strings."""
    top = symtable.symtable(text, "module", "exec")
    bound = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    bound |= {child.get_name() for child in top.get_children()} | set(dir(builtins))
    bound |= {"__file__", "__name__"}
    used, tables = set(), [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        used |= {s.get_name() for s in table.get_symbols() if s.is_global() and _only_used(s)}
    return used - bound


def _only_used(symbol: symtable.Symbol) -> bool:
    # What is bound in a function called "top" counts as global, too: Python 3.11's own slip.
    return symbol.is_referenced() and not (symbol.is_assigned() or symbol.is_parameter())


def test_undefined_names_are_found():
    assert undefined_names("def f(x):\n    return g(x) + len(x)\n") == {"g"}
    assert undefined_names("import g\nx: 'n 3' = 1\ndef f():\n    return g(x)\n") == set()


# ruff's F821 and pyright take the shapes in "n 3" for names, and are told to be silent.
@pytest.mark.parametrize("path", MODULES, ids=name)
def test_every_name_is_bound(path):
    assert not undefined_names(path.read_text())


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_has_a_name_that_says_something(path):
    assert path.stem not in {"utils", "util", "common", "misc", "helpers", "helper", "tools"}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_is_finished(path):
    text = path.read_text()
    assert not re.search(r"\b(TODO|FIXME|XXX|raise NotImplementedError)\b", text)
    assert "from __future__ import annotations" not in text, "it disables the shape checks"
    swallowed = [
        handler.lineno
        for handler in ast.walk(ast.parse(text))
        if isinstance(handler, ast.ExceptHandler)
        and all(isinstance(line, ast.Pass) for line in handler.body)
    ]
    assert not swallowed, f"lines {swallowed} swallow an exception"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_environment_is_read_in_two_places_only(path):
    if path.parent.name != "core" and name(path) != "kernels/dispatch.py":
        text = path.read_text()
        reads = re.search(r"os\.environ\.get|os\.getenv", text)
        assert not reads, "take it as an argument"


def test_no_private_path_stands_in_the_tree():
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    texts = {".py", ".md", ".toml", ".txt", ".cpp", ".h", ".json", ".html", ".js", ""}
    private = re.compile(r"(^|[^A-Za-z0-9_.])/(home|root|Users|work|mnt)/[A-Za-z0-9]")
    found = [
        file
        for file in listed.stdout.decode().split("\0")
        if file and (ROOT / file).suffix in texts and (ROOT / file).is_file()
        if private.search((ROOT / file).read_text(errors="replace"))
    ]
    assert found == []


def test_importing_persona_is_cheap():
    assert loaded_heavy_modules("import persona") == []


@pytest.mark.parametrize("line", ["--help", "--version", "nonsense", ""])
def test_the_command_line_answers_without_heavy_packages(line):
    words = line.split()
    assert loaded_heavy_modules(f"from persona.cli.main import main; main({words!r})") == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_needs_no_torch(command):
    code = f"from persona.cli.main import main; assert main([{command!r}, '--help']) == 0"
    # tyro itself may draw with rich.
    assert [m for m in loaded_heavy_modules(code) if m != "rich"] == []


def test_the_version_stands_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" in project["dynamic"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", persona.__version__)


@pytest.mark.parametrize("public", sorted(persona._HOMES))
def test_public_names_resolve(public):
    assert getattr(persona, public) is not None
    assert public in dir(persona)


def test_a_name_that_is_not_public_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = persona.nonsense
