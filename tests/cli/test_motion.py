"""`persona motion`: the tables people read and the events programs get."""

import json

import numpy as np
import pytest

from persona.animation.clips import CLIPS
from persona.cli.main import main


def events(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_coverage_is_a_table_of_axes_and_one_of_speeds(capsys):
    assert main(["motion", "coverage", "squat", "punch"]) == 0
    out = capsys.readouterr().out
    assert out.count("\njoint ") == 1  # the second head; the first begins the text
    assert "flexion/extension" in out
    assert "covered percent: " in out


def test_coverage_in_events(capsys):
    assert main(["motion", "coverage", "walk", "--speed", "1.2", "--json"]) == 0
    rows = events(capsys)
    knee = next(row for row in rows if row.get("joint") == "knee")
    assert (knee["event"], knee["people_high_deg"]) == ("axis", 135)
    assert 30 < knee["high_deg"] < 90
    assert rows[-1]["event"] == "result"
    assert 0 < rows[-1]["covered_percent"] < 100


def test_check_measures_each_motion(tmp_path, capsys):
    for frames in (1, 2, 3):
        np.savez(tmp_path / "still.npz", full_pose=np.zeros((frames, 55, 3)))
        assert main(["motion", "check", "idle", str(tmp_path / "still.npz"), "--json"]) == 0
        idle, still = events(capsys)
        assert (idle["motion"], still["motion"]) == ("idle", "still")
        assert idle["slide_mm"] == 0.0
        assert still["acceleration_deg_s2"] == 0


def test_a_motion_that_is_not_there_is_told(capsys):
    assert main(["motion", "check", "moonwalk"]) == 2
    assert "moonwalk" in capsys.readouterr().err


def test_the_help_of_animate_names_every_motion(capsys):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        assert main(["animate", "--help"]) == 0
    said = capsys.readouterr().out
    assert [name for name in CLIPS if name not in said] == []


def test_several_motions_flow_into_one_file(tmp_path, capsys):
    out = tmp_path / "both.npz"
    words = ["motion", "convert", "walk", "wave", "idle", str(out), "--blend", "0.5", "--json"]
    assert main(words) == 0
    said = events(capsys)[-1]
    with np.load(out) as file:
        assert len(file["full_pose"]) == 132 + 150 + 240 - 30
    assert "492 frames" in said["written"]
    assert main(["motion", "convert", "walk", "wave", str(out), "--blend", "60"]) == 2
    assert "crossing" in capsys.readouterr().err


def test_a_map_of_joints_is_read(tmp_path, capsys):
    assert main(["motion", "convert", "walk", str(tmp_path / "w.bvh")]) == 0
    text = (tmp_path / "w.bvh").read_text().replace("left_hip", "Bone.7")
    (tmp_path / "w.bvh").write_text(text)
    assert main(["motion", "info", str(tmp_path / "w.bvh")]) == 2
    (tmp_path / "map.toml").write_text('[joints]\nleft_hip = "Bone.7"\n')
    words = ["motion", "info", str(tmp_path / "w.bvh"), "--joint-map", str(tmp_path / "map.toml")]
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    assert "matched" in events(capsys)[-1]["joints"]
