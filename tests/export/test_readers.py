"""Programs of others read what we export: `make readers` installs them, without it this is skipped.

Khronos' glTF validator, three's GLTFLoader and PlayCanvas' splat-transform.
"""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from persona.avatar.avatar import Avatar
from persona.body.skeleton import JOINT_NAMES
from persona.core.conventions import RIGHTS
from persona.export.gltf.mesh import write_mesh_glb
from persona.export.gltf.splats import write_splat_glb
from persona.export.ply import write_ply
from persona.export.reading.opening import read_splats
from persona.records.body_params import rest_params
from persona.records.motion import Motion
from persona.records.notice import Notice
from tests.gltf_eval import Glb
from tests.plain_avatar import make_plain_avatar

READERS = Path(__file__).parent / "readers"
CLOSE = 1e-4
"""Largest difference between three and us [m]."""

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (READERS / "node_modules").is_dir(),
    reason="needs Node.js, and once: make readers",
)


def node(*words: object) -> str:
    command = ["node", *map(str, words)]
    done = subprocess.run(command, cwd=READERS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    plain = make_plain_avatar(2000)
    return replace(plain, photo_params=replace(plain.photo_params, expression=torch.ones(10)))


@pytest.fixture(scope="module")
def motion(avatar) -> Motion:
    generator = torch.Generator().manual_seed(5)
    pose = 0.6 * torch.randn(4, 55, 3, generator=generator)
    face = avatar.photo_params.expression + torch.randn(4, 10, generator=generator)
    params = replace(rest_params(4).with_full_pose(pose), expression=face)
    return Motion(params=replace(params, transl=torch.ones(4, 3)), fps=10.0, name="jig")


@pytest.fixture(scope="module")
def files(avatar, motion, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("readers")
    write_splat_glb(avatar, [motion], folder / "splats.glb", Notice())
    write_mesh_glb(avatar, [motion], folder / "mesh.glb", Notice(), texels=128)
    write_ply(avatar.pose(avatar.photo_params), folder / "cloud.ply")
    return folder


def test_the_mesh_is_valid(files):
    report = json.loads(node("validate.mjs", files / "mesh.glb"))
    assert report["issues"] == []
    assert report["info"]["hasSkins"] is report["info"]["hasMorphTargets"] is True
    assert report["info"]["animationCount"] == 1


def test_the_splats_are_valid_but_for_names_the_validator_does_not_know(files):
    report = json.loads(node("validate.mjs", files / "splats.glb"))
    strange = []
    for issue in report["issues"]:
        known = issue["code"] == "MESH_PRIMITIVE_INVALID_ATTRIBUTE"
        if issue["code"] == "UNSUPPORTED_EXTENSION" or (
            known and "/attributes/KHR_gaussian_splatting:" in issue["pointer"]
        ):
            continue
        strange.append(issue)
    assert strange == []


@pytest.mark.parametrize("frame", [1, 2])
def test_three_poses_the_mesh_as_we_do(files, avatar, motion, frame):
    path = files / "mesh.glb"
    found = json.loads(node("three.mjs", path, "jig", frame / motion.fps))
    assert found["names"] == ["jig"]
    assert found["asset"]["copyright"] == RIGHTS
    glb = Glb(path)
    ids, places = np.split(np.array(found["vertices"]), [1], 1)
    ours = glb.skinned(glb.node_of("body"), 0, 0, frame)[ids[:, 0].astype(int)]
    assert len(ids) > 100
    assert np.abs(places - ours).max() < CLOSE
    params = replace(motion.params.frame(frame), betas=avatar.identity.betas)
    joints = avatar.body.forward(params).joints
    told = np.array([found["joints"][name] for name in JOINT_NAMES])
    assert np.abs(told - joints.numpy()).max() < CLOSE


def test_three_shows_the_splats_as_points(files):
    found = json.loads(node("three.mjs", files / "splats.glb", "jig", 0))
    assert found["points"] == 2000


@pytest.mark.parametrize("kind", ["ply", "glb", "compressed.ply"])
def test_splat_transform_reads_our_cloud(files, avatar, kind):
    """What it writes from our PLY, we read again: theirs of everybody's formats."""
    program = READERS / "node_modules" / "@playcanvas" / "splat-transform" / "bin" / "cli.mjs"
    out = files / f"theirs.{kind}"
    node(program, "-w", files / "cloud.ply", out)
    back, cloud = read_splats(out).gaussians, avatar.pose(avatar.photo_params)
    assert back.count == cloud.count
    # It sorts splats and, in glTF, may turn them; sizes and colours have no axes.
    sizes = [g.covariances[:, [0, 3, 5]].sum(1).sort().values for g in (back, cloud)]
    torch.testing.assert_close(*sizes, rtol=0.05 if "compressed" in kind else 1e-3, atol=1e-8)
    colors = [g.colors.sum(1).sort().values for g in (back, cloud)]
    torch.testing.assert_close(*colors, rtol=0, atol=0.01)
    spans = [(g.means.amax(0) - g.means.amin(0)).sort().values for g in (back, cloud)]
    torch.testing.assert_close(*spans, rtol=0, atol=2e-3)
    if kind == "ply":
        torch.testing.assert_close(back.means, cloud.means, rtol=0, atol=1e-5)
