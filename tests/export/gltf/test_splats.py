"""The rigged glTF, posed by a reader of its own, is where our skinning puts it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from persona.avatar.avatar import Avatar
from persona.avatar.binding import carry
from persona.avatar.posing import skinning_maps
from persona.body.skeleton import JOINT_NAMES, PARENTS
from persona.core.conventions import PROVENANCE, RIGHTS
from persona.export.gltf.splats import write_splat_glb
from persona.geometry.rotations import quaternion_to_matrix
from persona.records.body_params import rest_params
from persona.records.motion import Motion
from persona.records.notice import Notice
from tests.gltf_eval import Glb, turn
from tests.plain_avatar import make_plain_avatar

CLOSE = 1e-4
"""What the file may be off by [m]."""


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    plain = make_plain_avatar(1200)
    generator = torch.Generator().manual_seed(1)
    betas = torch.randn(10, generator=generator)
    scales = 0.05 * torch.randn(7, generator=generator)
    identity = replace(
        plain.identity,
        betas=betas,
        joint_offsets=plain.body.joint_offsets_from_bone_scales(scales, betas),
    )
    face = 0.5 * torch.randn(10, generator=generator)
    jaw = torch.tensor([0.1, 0.0, 0.02])
    photo = replace(plain.photo_params, expression=face, jaw_pose=jaw)
    return replace(plain, identity=identity, photo_params=photo)


def some_motion(avatar: Avatar, *, seed: int, talks: bool) -> Motion:
    generator = torch.Generator().manual_seed(seed)
    pose = 0.9 * torch.randn(5, 55, 3, generator=generator)
    pose[:, 3] = 0.0  # somebody with one stiff joint
    params = rest_params(5).with_full_pose(pose)
    face = avatar.photo_params.expression.expand(5, -1)
    if talks:
        face = face + torch.randn(5, 10, generator=generator)
    transl = torch.randn(5, 3, generator=generator)
    return Motion(params=replace(params, expression=face, transl=transl), fps=24.0, name="jig")


@pytest.fixture(scope="module")
def written(avatar, tmp_path_factory):
    path = tmp_path_factory.mktemp("glb") / "ada.glb"
    motions = [some_motion(avatar, seed=k, talks=k == 1) for k in range(2)]
    write_splat_glb(avatar, motions, path, Notice(licenses=(("persona", "Apache-2.0"),)))
    return Glb(path), motions


def ours(avatar: Avatar, params) -> tuple[torch.Tensor, torch.Tensor]:
    """Joints and centres by our own skinning, without what a file cannot say."""
    bent = avatar.body.forward(
        replace(params, betas=avatar.identity.betas), joint_offsets=avatar.identity.joint_offsets
    )
    flesh = avatar.body.exprdirs @ params.expression
    means = avatar.canonical.means + carry(avatar.binding, avatar.body.faces, flesh)
    linear, shift, _ = skinning_maps(means, avatar.binding, bent.T_posed_rest)
    return bent.joints, (linear @ means[..., None])[..., 0] + shift


@pytest.mark.parametrize("animation", [0, 1])
@pytest.mark.parametrize("frame", [0, 3])
def test_joints_and_gaussians_are_where_we_put_them(avatar, written, animation, frame):
    glb, motions = written
    joints, means = ours(avatar, motions[animation].params.frame(frame))
    worlds = glb.worlds(glb.posed(animation, frame))
    found = np.stack([worlds[glb.node_of(name)][:3, 3] for name in JOINT_NAMES])
    assert np.abs(found - joints.numpy()).max() < CLOSE
    moved = glb.skinned(glb.node_of("ada"), 0, animation, frame)
    assert np.abs(moved - means.numpy()).max() < CLOSE


def test_it_is_stored_on_the_floor_in_a_t_with_the_photos_face(avatar, written):
    glb, _ = written
    params = replace(
        rest_params(),
        expression=avatar.photo_params.expression,
        jaw_pose=avatar.photo_params.jaw_pose,
    )
    _, means = ours(avatar, params)
    found = glb.skinned(glb.node_of("ada"), 0)
    apart = found - means.numpy()
    assert np.abs(apart - apart.mean(0)).max() < CLOSE
    assert abs(found[:, 1].min()) < 0.01
    assert np.abs(apart.mean(0)[[0, 2]]).max() < CLOSE


def test_names_parents_and_times(written):
    glb, motions = written
    for joint, (name, parent) in enumerate(zip(JOINT_NAMES, PARENTS, strict=True)):
        node = glb.node_of(name)
        assert glb.json["skins"][0]["joints"][joint] == node
        if parent >= 0:
            assert node in glb.json["nodes"][glb.node_of(JOINT_NAMES[parent])]["children"]
    assert [a["name"] for a in glb.json["animations"]] == ["jig", "jig_2"]
    times = glb.array(glb.json["animations"][0]["samplers"][0]["input"])[:, 0]
    np.testing.assert_allclose(times, np.arange(5) / motions[0].fps, atol=1e-6)


def test_expressions_are_arkits_and_the_bodys(avatar, written):
    glb, _ = written
    mesh = glb.json["meshes"][0]
    names = mesh["extras"]["targetNames"]
    assert names[:52] == list(avatar.body.face_units.names)
    assert names[52:] == [f"expression_{k}" for k in range(10)]
    units = avatar.body.face_units.offsets_of({"jawOpen": 1.0})
    wanted = carry(avatar.binding, avatar.body.faces, units)
    target = mesh["primitives"][0]["targets"][names.index("jawOpen")]
    assert np.abs(glb.array(target["POSITION"]) - wanted.numpy()).max() < 2e-5
    assert wanted.norm(dim=1).max() > 0.005


def test_gaussians_look_as_ours(avatar, written):
    glb, _ = written
    drawn = glb.json["meshes"][0]["primitives"][0]
    names, looks = drawn["attributes"], avatar.canonical
    assert drawn["mode"] == 0
    said = drawn["extensions"]["KHR_gaussian_splatting"]
    assert (said["kernel"], said["colorSpace"]) == ("ellipse", "srgb_rec709_display")
    assert glb.json["extensionsUsed"] == ["KHR_gaussian_splatting"]
    key = "KHR_gaussian_splatting:"
    turns = np.stack([turn(row) for row in glb.array(names[f"{key}ROTATION"])])
    np.testing.assert_allclose(turns, quaternion_to_matrix(looks.quats_wxyz), atol=1e-5)
    np.testing.assert_allclose(glb.array(names[f"{key}SCALE"]), looks.log_scales.exp(), rtol=1e-5)
    np.testing.assert_allclose(glb.array(names[f"{key}OPACITY"])[:, 0], looks.opacities)
    colors = 0.5 + 0.28209479177387814 * glb.array(names[f"{key}SH_DEGREE_0_COEF_0"])
    np.testing.assert_allclose(colors, looks.colors, atol=1e-6)


def test_where_it_comes_from_travels(written):
    asset = written[0].json["asset"]
    assert asset["copyright"] == RIGHTS
    assert asset["extras"]["provenance"] == PROVENANCE
    assert asset["extras"]["licenses"] == {"persona": "Apache-2.0"}
