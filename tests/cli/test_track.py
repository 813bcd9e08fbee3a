"""persona track: what it refuses, and that nothing is written then; real films where they are."""

import json

import numpy as np
import pytest

from persona.animation.exchange import open_motion
from persona.cli.main import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["film.mp4"], "not told where to write"),
        (["film.mp4", "--out", "m.bvh"], "m.bvh cannot be written"),
        (["film.mp4", "--out", "m.npz", "--overlay", "x.gif"], "x.gif cannot be written"),
        (["0", "--out", "m.npz", "--overlay", "x.mp4"], "an overlay of a live picture"),
        (["film.mp4", "--out", "m.npz", "--person", "0"], "person 0 was asked for"),
        (["film.mp4", "--out", "m.npz", "--focal", "-3"], "focal length of -3"),
        (["film.mp4", "--out", "m.npz", "--seconds", "0"], "0 seconds of a camera"),
        (["film.mp4", "--out", "m.npz"], "no such file"),
    ],
)
def test_what_makes_no_sense_is_refused(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["track", *words]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_video_is_refused_and_nothing_written(tmp_path, capsys):
    film, out = tmp_path / "film.mp4", tmp_path / "m.npz"
    film.write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(500))
    assert main(["track", str(film), "--out", str(out)]) == 2
    assert "is not a video" in capsys.readouterr().err
    assert not out.exists()


def test_animate_knows_a_video_from_a_motion(tmp_path, capsys):
    words = ["--motion", str(tmp_path / "no.mp4"), "--out", str(tmp_path / "x.mp4")]
    assert main(["animate", str(tmp_path / "no.persona"), *words]) == 2
    assert not (tmp_path / "x.mp4").exists()


@pytest.mark.slow
def test_a_walk_through_a_real_film(real_data, tmp_path, capsys):
    out, overlay = tmp_path / "walk.npz", tmp_path / "walk.mp4"
    film = real_data / "videos" / "v08_walk_through_small.mp4"
    words = [str(film), "--out", str(out), "--overlay", str(overlay), "--json"]
    assert main(["track", *words]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "still" in str(said)
    assert overlay.is_file()
    with np.load(out) as arrays:
        count = len(arrays["times"])
        # The person comes in after three seconds and leaves before the end.
        assert 1.5 < arrays["times"][0] < 4.0
        assert arrays["confidence"].shape == (count, len(arrays["confidence_parts"]))
        walked = arrays["own_transl"][-1] - arrays["own_transl"][0]
        assert np.linalg.norm(walked[[0, 2]]) > 1.5
        assert abs(walked[1]) < 0.5
    found = open_motion(out)
    assert found.motion.frame_count == count
    assert found.format == "persona npz"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [("x02_no_person.mp4", "nobody was found"), ("x01_many_people.mp4", "people were found")],
)
def test_real_films_of_nobody_and_of_many_are_refused(real_data, tmp_path, capsys, name, said):
    out = tmp_path / "m.npz"
    assert main(["track", str(real_data / "videos" / name), "--out", str(out)]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()
