import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.animation.clips import clip
from persona.animation.performance import perform
from persona.avatar import Avatar
from persona.avatar.light import Light
from persona.avatar.posing import puppet_pose
from persona.body import SmplxBody, load_body
from persona.body.arkit import arkit_matrix
from persona.core.errors import InputError
from persona.export.quantization import quantize_ranges, quantize_shares, quantize_signed
from persona.export.web_asset import web_asset
from persona.geometry.cameras import Camera, look_at
from persona.geometry.rotations import quaternion_to_matrix
from persona.images.colors import from_linear
from persona.kernels import draw_posed
from tests.export.asset_reader import read_asset
from tests.plain_avatar import dressed, make_plain_avatar, repeated

MEAN_ERROR_M = 1.0e-4
"""What docs/serve.md promises for the place of a Gaussian in any pose of the motions."""
PICTURE_PSNR_DB = 40.0
STANDARD_COUNT = 54_848
NODES = 4096
MOST_BYTES = 10_000_000


@pytest.fixture(scope="module")
def body() -> SmplxBody:
    return load_body()


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return make_plain_avatar(4000)


def a_camera() -> Camera:
    eye, target = torch.tensor([0.4, 1.2, 3.2]), torch.tensor([0.0, 0.9, 0.0])
    return Camera(
        width=240, height=320, focal_px=380.0, center_px=(120.0, 160.0),
        T_camera_world=look_at(eye, target),
    )  # fmt: skip


def test_a_standard_avatar_with_cloth_takes_ten_megabytes_at_most(avatar, tmp_path):
    large = dressed(repeated(avatar, STANDARD_COUNT), nodes=NODES, exactly=True)
    data = web_asset(large)
    head = read_asset(data, tmp_path / "a").head
    assert head["count"] == STANDARD_COUNT
    assert len(data) <= MOST_BYTES


@pytest.mark.parametrize("motion", ["dance", "squat", "kick"])
def test_posed_gaussians_are_where_the_avatar_puts_them(avatar, motion, tmp_path):
    asset = read_asset(web_asset(avatar), tmp_path / "a")
    performed = perform(avatar, clip(motion))
    for frame in range(0, performed.frame_count, max(1, performed.frame_count // 4)):
        params = performed.params.frame(frame)
        pose = puppet_pose(params, avatar.puppet.expression_dirs.shape[2])
        kept = draw_posed(asset.puppet, pose, a_camera())
        true = avatar.draw(params, a_camera())
        assert float((kept.means - true.means).norm(dim=1).max()) < MEAN_ERROR_M
        person = true.alpha > 0.5
        error = (kept.image - true.image)[:, person].square().mean()
        assert -10 * math.log10(float(error)) > PICTURE_PSNR_DB


def test_an_expression_and_bent_joints_move_the_same_flesh(avatar, tmp_path):
    asset = read_asset(web_asset(avatar), tmp_path / "a")
    params = avatar.photo_params
    pose = params.body_pose.clone()
    pose[17, 1], pose[3, 0] = -2.0, 1.8
    params = replace(params, body_pose=pose, expression=2 * torch.ones(10))
    kept = draw_posed(asset.puppet, puppet_pose(params, 10), a_camera())
    true = avatar.draw(params, a_camera())
    assert float((kept.means - true.means).norm(dim=1).max()) < MEAN_ERROR_M


def test_the_baked_cloth_moves_alike(avatar, tmp_path):
    avatar = dressed(avatar, nodes=300)
    asset = read_asset(web_asset(avatar), tmp_path / "a")
    params = perform(avatar, clip("dance")).params.frame(7)
    true = avatar.cloth.offsets(params, None, baked=True)
    kept = asset.slopes.carry(asset.correctives.offsets(params.full_pose[None], None)[0])
    assert float(true.offsets.norm(dim=1).max()) > 0.002
    assert float((kept.offsets - true.offsets).norm(dim=1).max()) < MEAN_ERROR_M
    assert float((kept.slopes - true.slopes).abs().max()) < 0.01


def test_the_look_in_another_light_is_kept(avatar, tmp_path):
    asset = read_asset(web_asset(avatar), tmp_path / "a")
    lamp = Light.from_direction(torch.tensor([1.0, 1.0, 0.5]))
    true = avatar.appearance.albedo
    assert float((from_linear(asset.albedo) - from_linear(true)).abs().max()) < 0.02
    normals = quaternion_to_matrix(avatar.canonical.quats_wxyz)[..., 2]
    lit = avatar.appearance.relit(normals, lamp)
    kept = from_linear(asset.albedo * lamp.shade(asset.light_normals))
    assert float((kept - lit).abs().max()) < 0.03
    assert float((lit - avatar.canonical.colors).abs().max()) > 0.1


def test_what_the_files_say_of_themselves_travels(avatar, tmp_path):
    asset = read_asset(
        web_asset(avatar, about={"name": "Ada", "licenses": {"a": "b"}}), tmp_path / "a"
    )
    assert asset.head["about"] == {"name": "Ada", "licenses": {"a": "b"}}
    assert asset.head["format"] == "persona-web-asset"
    assert len(asset.head["joints"]) == 55
    assert len(asset.head["arkit"]) == 52


def test_a_body_of_too_many_vertices_is_refused(avatar, monkeypatch):
    monkeypatch.setattr("persona.export.web_asset.MOST_VERTICES", 100)
    with pytest.raises(InputError, match="vertices"):
        web_asset(avatar)


def test_arkit_shapes_do_what_their_names_say(body):
    matrix = arkit_matrix(body)
    row = dict(zip(body.face_units.names, matrix, strict=True))
    assert float(row["jawOpen"][-1]) > 0.25  # radians, downwards
    smile = (body.exprdirs @ row["mouthSmileLeft"][:-1]).flatten()
    assert (
        float(
            torch.cosine_similarity(
                smile,
                body.face_units.offsets_of(
                    {"mouthSmileLeft": 0.5, "mouthSmileRight": 0.5}
                ).flatten(),
                0,
            )
        )
        > 0.8
    )
    assert float(matrix.abs().max()) < 2


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=40),
    st.sampled_from([np.uint8, np.uint16]),
)
def test_rounding_is_within_half_a_step(numbers, dtype):
    values = np.array(numbers, np.float32)[:, None]
    packed = quantize_ranges(values, dtype)
    assert (
        np.abs(packed.values - values).max() <= 0.5 * packed.step[0] + 1e-6 * np.abs(values).max()
    )
    signed = quantize_signed(values, np.int16)
    assert (
        np.abs(signed.values - values).max() <= 0.5 * signed.step[0] + 1e-6 * np.abs(values).max()
    )
    assert signed.values[values == 0].sum() == 0


def test_shares_sum_exactly():
    shares = torch.softmax(3 * torch.randn(500, 6), 1).numpy()
    shares[::7] = 0
    sums = quantize_shares(shares).astype(np.int64).sum(1)
    assert set(sums.tolist()) == {0, 65535}
    assert sums[7] == 0
