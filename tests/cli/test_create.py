"""`persona create`: arguments, results and refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from persona.cli.create import Args
from persona.cli.main import main


@pytest.fixture
def empty_room(tmp_path):
    path = tmp_path / "room.png"
    Image.fromarray(np.full((600, 450, 3), 200, np.uint8)).save(path)
    return path


def test_defaults_are_standard_and_complete():
    args = Args(photo=Path("ada.jpg"))
    assert (args.preset, args.seed, args.person, args.allow_partial) == ("standard", 0, None, False)


def test_nobody_in_the_picture_is_refused_and_leaves_nothing(empty_room, tmp_path, capsys):
    out = tmp_path / "room.persona"
    assert main(["create", str(empty_room), "--out", str(out)]) == 2
    heard = capsys.readouterr().err
    assert "why:" in heard
    assert "fix:" in heard
    assert [path.name for path in tmp_path.iterdir()] == ["room.png"]


def test_programs_are_told_in_json(empty_room, tmp_path, capsys):
    code = main(["create", str(empty_room), "--out", str(tmp_path / "x.persona"), "--json"])
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 2
    assert events[-1]["event"] == "error"
    assert events[-1]["kind"] == "PhotoError"


def test_a_missing_file_is_refused(tmp_path, capsys):
    assert main(["create", str(tmp_path / "no.jpg"), "--out", str(tmp_path / "a.persona")]) == 2
    assert "no.jpg" in capsys.readouterr().err


def test_another_ending_is_refused(empty_room, tmp_path, capsys):
    assert main(["create", str(empty_room), "--out", str(tmp_path / "a.zip")]) == 2
    assert ".persona" in capsys.readouterr().err
