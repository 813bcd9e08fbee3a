"""`persona export`, run as a person would run it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from persona.animation.exchange import open_motion
from persona.animation.motion_files import read_motion
from persona.avatar.avatar import RECORD_NAME, Avatar
from persona.cli.main import main
from persona.core.conventions import PROVENANCE, RIGHTS
from persona.export.reading.opening import read_splats
from persona.geometry.rotations import axis_angle_to_matrix
from persona.records.body_params import rest_params
from persona.records.storage import save_record
from tests.gltf_eval import Glb
from tests.plain_avatar import make_plain_avatar

LICENSES = {"persona": "Apache-2.0", "photo": "its owner's"}


@pytest.fixture(scope="module")
def plain() -> Avatar:
    return make_plain_avatar(1500)


@pytest.fixture(scope="module")
def folder(plain, tmp_path_factory):
    path = tmp_path_factory.mktemp("people") / "ada.persona"
    save_record(path / RECORD_NAME, plain, about={"licenses": LICENSES})
    return path


def export(folder, to: str, *words: str) -> int:
    return main(["export", str(folder), "--to", to, *words])


def assert_told(text: str) -> None:
    for line in (PROVENANCE, RIGHTS, "license of persona: Apache-2.0"):
        assert line in text


@pytest.mark.parametrize("pose", ["rest", "photo", "mine"])
def test_a_cloud_in_any_pose(folder, plain, tmp_path, pose):
    out, word = tmp_path / "a.ply", pose
    params = plain.photo_params if pose == "photo" else rest_params()
    if pose == "mine":
        word = str(tmp_path / "mine.npz")
        turned = 0.1 * torch.randn(55, 3, generator=torch.Generator().manual_seed(0))
        params = plain.photo_params.with_full_pose(turned)
        np.savez(word, full_pose=turned)
    assert export(folder, "ply", "--pose", word, "--out", str(out)) == 0
    wanted = plain.pose(params).means
    if pose == "rest":
        wanted = wanted + plain.photo_params.transl
    torch.testing.assert_close(read_splats(out).gaussians.means, wanted, atol=1e-6, rtol=0)
    assert_told(out.read_bytes()[:2000].decode("latin1"))


def test_bvh_has_the_persons_own_bones(folder, plain, tmp_path, capsys):
    out = tmp_path / "wave.bvh"
    words = ["--motion", "wave", "--seconds", "0.5", "--out", str(out), "--json"]
    assert export(folder, "bvh", *words) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["frames"] == 15
    assert_told(out.with_name("wave.bvh.license").read_text())
    knee = plain.rest_joints[4] - plain.rest_joints[1]
    row = " ".join(f"{100 * value:.6f}" for value in knee.tolist())
    assert row in out.read_text()
    back = open_motion(out, feet="keep").motion
    assert export(folder, "npz", *words[:4], "--out", str(tmp_path / "wave.npz")) == 0
    same = read_motion(tmp_path / "wave.npz")
    turns = [axis_angle_to_matrix(m.params.full_pose.double()) for m in (back, same)]
    torch.testing.assert_close(turns[0][:, :22], turns[1][:, :22], atol=2e-3, rtol=0)


def test_npz_says_whose_skeleton_and_terms(folder, plain, tmp_path):
    out = tmp_path / "a.npz"
    assert export(folder, "npz", "--motion", "squat", "--out", str(out)) == 0
    assert open_motion(out).motion.frame_count == read_motion(out).frame_count > 30
    with np.load(out) as arrays:
        np.testing.assert_array_equal(arrays["rest_joints"], plain.rest_joints)
        assert_told("\n".join(arrays["notice"]))


def test_a_rigged_glb_with_several_motions(folder, plain, tmp_path, capsys):
    out = tmp_path / "ada.glb"
    words = ["--motion", "walk", "wave", "--fps", "12", "--out", str(out), "--json"]
    assert export(folder, "glb", *words) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["animations"] == ["walk", "wave"]
    glb = Glb(out)
    assert [item["name"] for item in glb.json["animations"]] == ["walk", "wave"]
    assert glb.json["asset"]["extras"]["licenses"] == LICENSES
    # Walk loops: its last key is a step further, in the pose of the first.
    keys = len(glb.array(glb.json["animations"][0]["samplers"][0]["input"]))
    first, last = glb.posed(0, 0), glb.posed(0, keys - 1)
    knee, pelvis = glb.node_of("left_knee"), glb.node_of("pelvis")
    np.testing.assert_allclose(first[knee]["rotation"], last[knee]["rotation"], atol=1e-6)
    assert np.linalg.norm(first[pelvis]["translation"] - last[pelvis]["translation"]) > 0.5


def test_films_are_transparent(folder, tmp_path):
    words = ["--size", "48", "--seconds", "0.1"]
    assert export(folder, "frames", *words, "--out", str(tmp_path / "frames")) == 0
    with Image.open(tmp_path / "frames" / "00000.png") as picture:
        assert picture.mode == "RGBA"
        assert picture.info["Source"] == PROVENANCE
        assert np.asarray(picture)[0, 0, 3] == 0
    for kind in ("webm", "mov"):
        assert export(folder, kind, *words, "--out", str(tmp_path / f"a.{kind}")) == 0
        assert (tmp_path / f"a.{kind}").stat().st_size > 500


def test_left_out_the_name_is_the_avatars(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert export(folder, "ply") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["ada.ply"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ply", "--out", "a.glb"], "--out is a.glb and --to is ply"),
        (["bvh", "--motion", "walk", "run", "--out", "a.bvh"], "2 motions"),
        (["glb", "--fps", "-3", "--out", "a.glb"], "above 0"),
        (["webm", "--motion", "walk", "run", "--out", "a.webm"], "2 motions"),
        (["npz", "--motion", "moonwalk", "--out", "a.npz"], "no motion called"),
        (["ply", "--pose", "absent.npz", "--out", "a.ply"], "no such file"),
        (["frames", "--seconds", "0", "--out", "a"], "above 0"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(folder, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    assert export(folder, *words) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_licences_that_are_no_texts_are_refused(plain, tmp_path, capsys):
    save_record(tmp_path / "b.persona" / RECORD_NAME, plain, about={"licenses": {"x": 3}})
    assert export(tmp_path / "b.persona", "ply", "--out", str(tmp_path / "b.ply")) == 2
    assert "no texts" in capsys.readouterr().err
