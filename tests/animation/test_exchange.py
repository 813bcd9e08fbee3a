"""Motions in files of others: what comes back, what is detected, what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from persona.animation.clips import clip
from persona.animation.exchange import open_motion, save_motion
from persona.core.errors import FileFormatError, InputError, PersonaError
from persona.geometry.rotations import axis_angle_to_matrix
from persona.records.body_params import rest_params
from persona.records.motion import Motion
from tests.joblib_files import joblib_bytes

SHARED = Path(__file__).parents[3] / "shared" / "data" / "motions"


def turns_apart(a, b):
    """Largest angle between two motions' rotations [rad]."""
    first, second = (axis_angle_to_matrix(m.params.full_pose.double()) for m in (a, b))
    chord = (first - second).flatten(-2).norm(dim=-1) / 8**0.5
    return float(2 * torch.asin(chord.clamp(max=1)).max())


def wild(seed=0, frames=20):
    """A motion with every joint turned at random, upright, face and shape given."""
    generator = torch.Generator().manual_seed(seed)
    pose = torch.randn(frames, 55, 3, generator=generator)
    pose[:, 0] *= 0.2
    params = rest_params(frames).with_full_pose(pose)
    params = replace(
        params,
        transl=torch.randn(frames, 3, generator=generator),
        betas=torch.randn(10, generator=generator).expand(frames, -1),
        expression=torch.randn(frames, 10, generator=generator),
    )
    return Motion(params=params, fps=24.0, name="wild")


@pytest.mark.parametrize(
    ("name", "kind"), [("m.npz", "persona"), ("m.npz", "amass"), ("m", "json"), ("m.bvh", "bvh")]
)
@pytest.mark.parametrize("motion", [clip("dance"), wild()], ids=["dance", "wild"])
def test_a_motion_comes_back_from_every_format_that_is_written(tmp_path, name, kind, motion):
    assert save_motion(motion, tmp_path / name, kind=kind) == kind
    back = open_motion(tmp_path / name, fps=motion.fps if kind == "json" else None).motion
    assert back.fps == pytest.approx(motion.fps, rel=1e-6)
    assert turns_apart(back, motion) < 1e-4
    assert float((back.params.transl - motion.params.transl).abs().max()) < 1e-5
    if kind in ("amass", "json"):
        torch.testing.assert_close(back.params.expression, motion.params.expression)
        torch.testing.assert_close(back.params.betas, motion.params.betas)


def amass_arrays(motion, layout):
    pose = motion.params.full_pose.numpy()
    frames = len(pose)
    trans = motion.params.transl.numpy()
    if layout == "pieces":
        return {
            "root_orient": pose[:, 0],
            "pose_body": pose[:, 1:22].reshape(frames, -1),
            "pose_jaw": pose[:, 22],
            "pose_eye": pose[:, 23:25].reshape(frames, -1),
            "pose_hand": pose[:, 25:].reshape(frames, -1),
            "trans": trans,
            "mocap_frame_rate": 120.0,
            "surface_model_type": "smplx",
        }
    if layout == "smplh":
        both = np.concatenate([pose[:, :22], pose[:, 25:]], 1)
        return {"poses": both.reshape(frames, 156), "trans": trans, "mocap_framerate": 120.0}
    return {"poses": pose.reshape(frames, 165), "trans": trans, "mocap_frame_rate": 120.0}


@pytest.mark.parametrize("layout", ["whole", "pieces", "smplh"])
def test_amass_layouts_turn_from_z_up(tmp_path, layout):
    upright = rest_params(5)
    pose = upright.full_pose.clone()
    pose[:, 0, 0] = torch.pi / 2  # standing where z is up
    pose[:, 18] = torch.tensor([0.1, -0.9, 0.2])
    pose[:, 30] = torch.tensor([0.0, 0.1, -0.5])
    walk = replace(upright.with_full_pose(pose), transl=torch.linspace(0, 1, 15).reshape(5, 3))
    np.savez(tmp_path / "a.npz", **amass_arrays(Motion(params=walk, fps=120.0), layout))
    found = open_motion(tmp_path / "a.npz")
    params = found.motion.params
    assert found.motion.fps == 120.0
    assert found.facts["up"].startswith("z (detected")
    torch.testing.assert_close(params.global_orient, torch.zeros(5, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(params.full_pose[:, 18], pose[:, 18])
    torch.testing.assert_close(params.full_pose[:, 30], pose[:, 30])
    moved = params.transl[-1] - params.transl[0]
    theirs = walk.transl[-1] - walk.transl[0]
    torch.testing.assert_close(moved, theirs[[0, 2, 1]] * torch.tensor([1.0, 1.0, -1.0]))


def test_the_blender_add_on_finds_what_it_opens(tmp_path):
    save_motion(clip("walk"), tmp_path / "w.npz", kind="amass")
    with np.load(tmp_path / "w.npz", allow_pickle=False) as file:
        assert {"trans", "gender", "mocap_frame_rate", "betas", "poses"} <= set(file.files)
        assert str(file["gender"]) == "neutral"
        assert file["poses"].shape == (clip("walk").frame_count, 165)
        assert file["betas"].shape == (16,)
        # It stands the body on the floor at z = 0: the pelvis is about 0.9 m above it.
        height = file["trans"][:, 2] + 0.012
        assert 0.8 < float(np.median(height)) < 1.1


@pytest.mark.parametrize("layout", ["GVHMR", "WHAM"])
def test_results_of_video_programs(tmp_path, layout):
    params = clip("squat").params
    pose = params.full_pose.numpy()
    frames, trans = len(pose), params.transl.numpy()
    if layout == "WHAM":
        palms = np.zeros((frames, 2, 3))
        body = np.concatenate([pose[:, :22], palms], 1).reshape(frames, 72)
        np.savez(tmp_path / "m.npz", pose_world=body, trans_world=trans)
    else:
        body = pose[:, 1:22].reshape(frames, 63)
        np.savez(tmp_path / "m.npz", body_pose=body, global_orient=pose[:, 0], transl=trans)
    found = open_motion(tmp_path / "m.npz", fps=25.0)
    assert (found.format, found.motion.fps) == (layout, 25.0)
    back = found.motion.params
    torch.testing.assert_close(back.full_pose[:, :22], params.full_pose[:, :22], atol=1e-5, rtol=0)
    torch.testing.assert_close(back.transl, params.transl, atol=1e-5, rtol=0)
    assert "assumed" in open_motion(tmp_path / "m.npz").facts["fps"]


def test_gvhmrs_own_file_is_read(tmp_path):
    params = clip("squat").params
    pose = params.full_pose
    motion = {
        "body_pose": pose[:, 1:22].flatten(1),
        "global_orient": pose[:, 0],
        "transl": params.transl,
        "betas": params.betas,
    }
    seen = {**motion, "transl": motion["transl"] + 3}
    torch.save(
        {
            "smpl_params_global": motion,
            "smpl_params_incam": seen,
            "K_fullimg": torch.eye(3),
            "net_outputs": {"static_conf_logits": torch.zeros(2, 6), "flag": None},
        },
        tmp_path / "hmr4d_results.pt",
    )
    found = open_motion(tmp_path / "hmr4d_results.pt", fps=25.0)
    assert (found.format, found.facts["space"]) == ("GVHMR", "smpl_params_global")
    back = found.motion.params
    torch.testing.assert_close(back.full_pose[:, :22], pose[:, :22], atol=1e-5, rtol=0)
    torch.testing.assert_close(back.transl, params.transl, atol=1e-5, rtol=0)


def test_whams_own_file_is_read_and_asked_for_a_person(tmp_path):
    params = clip("squat").params
    frames = len(params.transl)
    pose = np.concatenate([params.full_pose[:, :22].numpy(), np.zeros((frames, 2, 3))], 1)
    whole = {
        "pose_world": pose.reshape(frames, 72),
        "trans_world": params.transl.numpy(),
        "frame_ids": np.r_[np.arange(frames - 1), frames + 4],
        "verts": np.zeros((frames, 20, 3), np.float32),
    }
    short = {"pose_world": np.zeros((4, 72)), "trans_world": np.zeros((4, 3))}
    path = tmp_path / "wham_output.pkl"
    path.write_bytes(joblib_bytes({3: short, 7: whole}))
    found = open_motion(path, fps=25.0)
    assert found.format == "WHAM"
    assert found.facts["person"] == "2 of 2 (there longest)"
    assert found.facts["gaps"].startswith("5 frames")
    back = found.motion.params
    torch.testing.assert_close(back.transl, params.transl, atol=1e-5, rtol=0)
    assert open_motion(path, fps=25.0, person=1).motion.frame_count == 4
    with pytest.raises(FileFormatError, match="person 3"):
        open_motion(path, person=3)
    path.write_bytes(joblib_bytes({"weights": np.zeros(3)}))
    with pytest.raises(FileFormatError, match="nothing of theirs"):
        open_motion(path)


def test_bodies_of_others_and_unknown_endings_are_refused_with_the_reason(tmp_path):
    np.savez(tmp_path / "m.npz", mhr_model_params=np.zeros(204))
    with pytest.raises(FileFormatError, match="MHR"):
        open_motion(tmp_path / "m.npz")
    (tmp_path / "m.txt").write_text("{}")
    with pytest.raises(FileFormatError, match="known by their endings"):
        open_motion(tmp_path / "m.txt")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared motion files")
@pytest.mark.parametrize("path", sorted(SHARED.glob("*")), ids=lambda path: path.name)
def test_every_real_file_is_read_or_refused_with_a_reason(path):
    try:
        found = open_motion(path, feet="keep")
    except PersonaError as error:
        said = str(error)
    else:
        said = ""
    if said:
        assert path.suffix in (".txt", ".md", ".asf") or path.stem.startswith(("mhr", "pybvh_rot"))
        assert "fix: " in said
        return
    assert path.suffix in (".bvh", ".amc", ".vrma")
    assert found.motion.frame_count > 0
    assert {"fps", "up", "units"} <= set(found.facts)


def test_cameras_come_with_json_frames(tmp_path):
    save_motion(clip("idle"), tmp_path / "m", kind="json")
    found = open_motion(tmp_path / "m", fps=30.0)
    assert len(found.cameras) == found.motion.frame_count
    pelvis = found.motion.params.transl[0] + torch.tensor([0.0, -0.35, 0.012])
    pixel, depth = found.cameras[0].project(pelvis)
    assert float(depth) == pytest.approx(4.0, abs=0.1)
    assert float((pixel - 512).abs().max()) < 30


def test_json_without_a_pose_names_file_and_key(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "0.json").write_text(json.dumps({"root_pose": [0, 0, 0]}))
    with pytest.raises(FileFormatError, match="no body_pose") as caught:
        open_motion(tmp_path / "m")
    assert "0.json" in str(caught.value)


def test_unknown_kinds_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        save_motion(clip("idle"), tmp_path / "m.fbx")


@pytest.mark.parametrize("kind", ["persona", "amass", "bvh"])
def test_mutated_files_are_refused_by_typed_errors_only(tmp_path, kind):
    path = tmp_path / ("m.bvh" if kind == "bvh" else "m.npz")
    motion = clip("wave")
    save_motion(
        replace(
            motion,
            params=motion.params.__class__(
                **{name: value[:3] for name, value in vars(motion.params).items()}
            ),
        ),
        path,
        kind=kind,
    )
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(150):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), rng.integers(1, 6)):
            data[place] = rng.integers(0, 256)
        if rng.random() < 0.2:
            data = data[: rng.integers(0, len(data))]
        path.write_bytes(bytes(data))
        try:
            open_motion(path)
        except PersonaError:
            continue
