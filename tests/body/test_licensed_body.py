"""The user's own SMPL-X file: every layout is read, bends as `smplx` says, and is understood."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from persona.body import body_of, load_body
from persona.body.regions import PART_NAMES
from persona.core.errors import FileFormatError, InputError
from persona.records.body_params import rest_params
from tests import smplx_files
from tests.smplx_package import assert_same, open_package, random_params

POSES, BATCH = 500, 50


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def random_file(folder):
    return smplx_files.write_npz(folder / "SMPLX_NEUTRAL.npz", smplx_files.random_arrays())


@pytest.fixture(scope="module")
def human_file(folder):
    arrays, _ = smplx_files.human_arrays(changed=True)
    return smplx_files.write_npz(folder / "SMPLX_FEMALE.npz", arrays)


@pytest.fixture(scope="module")
def package_model(random_file):
    return open_package(random_file, batch=BATCH, num_betas=300, num_expression_coeffs=100)


@pytest.mark.slow
def test_500_random_poses_agree_with_the_package(package_model, random_file):
    body = load_body(random_file, betas=300, expressions=100)
    for chunk in range(POSES // BATCH):
        params = random_params(chunk, count=BATCH, betas=300, expressions=100)
        assert_same(package_model, body.forward(params), params)


@pytest.mark.parametrize(("betas", "expressions"), [(10, 10), (300, 100), (16, 50)])
def test_as_many_coefficients_as_asked(random_file, betas, expressions):
    body = load_body(random_file, betas=betas, expressions=expressions)
    assert body.shapedirs.shape == (10_475, 3, betas)
    assert body.exprdirs.shape == (10_475, 3, expressions)
    assert body.faces.shape == (20_908, 3)


def test_small_files_have_ten_and_ten(folder):
    path = smplx_files.write_npz(folder / "small.npz", smplx_files.random_arrays(columns=20))
    body = load_body(path)
    assert body.shapedirs.shape[2] == body.exprdirs.shape[2] == 10
    with pytest.raises(InputError, match="300 betas were asked for"):
        load_body(path, betas=300)


@pytest.mark.parametrize("old", [False, True], ids=["plain", "chumpy and sparse"])
def test_pickle_holds_the_same_body(folder, random_file, old):
    arrays = smplx_files.random_arrays()
    path = smplx_files.write_pkl(folder / f"SMPLX_MALE{old}.pkl", arrays, old=old)
    ours, same = load_body(path), load_body(random_file)
    for name in ("v_template", "shapedirs", "J_regressor", "weights", "faces", "uv"):
        torch.testing.assert_close(getattr(ours, name), getattr(same, name), rtol=0, atol=0)
    assert ours.digest != same.digest
    assert ours.name == f"SMPLX_MALE{old}"


def test_hands_by_principal_components(random_file):
    body, arrays = load_body(random_file), smplx_files.random_arrays()
    coefficients = torch.randn(4, 12, generator=torch.Generator().manual_seed(0))
    for side, letter in (("left", "l"), ("right", "r")):
        flat = coefficients.double().numpy() @ arrays[f"hands_components{letter}"][:12]
        posed = body.hands.pose(side, coefficients)
        want = (flat + arrays[f"hands_mean{letter}"]).reshape(4, 15, 3)
        np.testing.assert_allclose(posed.numpy(), want, atol=1e-5)
        flat_hand = body.hands.pose(side, coefficients, flat_mean=True)
        np.testing.assert_allclose(flat_hand.numpy(), flat.reshape(4, 15, 3), atol=1e-5)
    with pytest.raises(InputError, match="46 hand coefficients"):
        body.hands.pose("left", torch.zeros(46))


@pytest.mark.parametrize(
    "turn",
    [
        *([0.0, 0.0, 0.0], [-1e-8, -1e-8, -1e-8], [1e-20, 0.0, 0.0], [torch.pi, 0.0, 0.0]),
        *([0.0, 2 * torch.pi, 0.0], [-torch.pi, 1e-9, 0.0], [4.0, -3.0, 9.0]),
    ],
    ids=str,
)
def test_everything_is_finite_at_every_rotation(random_file, turn):
    body = load_body(random_file).subset(torch.arange(0, 10_475, 50))
    pose = torch.tensor(turn).expand(3, 55, 3).clone().requires_grad_()
    betas = torch.zeros(3, 10, requires_grad=True)
    params = replace(rest_params(3).with_full_pose(pose), betas=betas)
    posed = body.forward(params)
    gradients = torch.autograd.grad(posed.vertices.square().sum(), (pose, betas))
    assert posed.vertices.shape == (3, 210, 3)
    for value in (posed.vertices, posed.joints, *gradients):
        assert torch.isfinite(value).all()


def test_landmarks_are_found_on_another_mesh_of_other_proportions(human_file):
    body, known = load_body(human_file), load_body()
    _, truth = smplx_files.human_arrays(changed=True)
    # Measured: face 0.8 and 2.0 mm, pose 0.3 and 5.6, contour 2.0 and 3.1, tips below 0.6.
    for name, median, most in (
        ("face51", 0.001, 0.002),
        ("mediapipe_face", 0.002, 0.007),
        ("mediapipe_pose", 0.002, 0.010),
        ("contour17", 0.004, 0.006),
        ("left_fingertips", 0.001, 0.002),
        ("right_fingertips", 0.001, 0.002),
    ):
        found = getattr(body.landmarks, name)
        wanted = getattr(known.landmarks, name)
        assert found.ids.tolist() == wanted.ids.tolist()
        miss = (found.on(body.v_template) - wanted.on(truth)).norm(dim=1)
        assert miss.median() < median, name
        assert miss.max() < most, name


def test_parts_and_sets_are_found_on_another_mesh(human_file):
    body, known = load_body(human_file), load_body()
    _, truth = smplx_files.human_arrays(changed=True)
    owner = torch.cdist(body.v_template, truth).argmin(1)
    wanted = known.regions.part_ids[owner]
    for label, name in enumerate(PART_NAMES):
        mine = wanted == label
        if name not in ("tongue", "teeth"):  # SMPL-X has neither
            share = (body.regions.part_ids[mine] == label).float().mean()
            assert share > (0.99 if name.endswith("eye") else 0.85), name
    assert set(body.regions.sets) == set(known.regions.sets)
    smile = body.face_units.offsets_of({"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0})
    assert 0.002 < float(smile.norm(dim=1).max()) < 0.03


def test_somebody_elses_numbers_are_read_too(random_file):
    """A file of random numbers is no person, but neither breaks the search nor spreads NaN."""
    body = load_body(random_file)
    points = body.landmarks.mediapipe_face
    assert torch.isfinite(points.on(body.v_template)).all()
    assert len(body.regions.part_ids) == 10_475


def test_a_body_is_found_by_its_digest(human_file, monkeypatch):
    monkeypatch.setattr("persona.body.loading._loaded", {})
    monkeypatch.delenv("PERSONA_BODY", raising=False)
    digest = load_body(human_file).digest
    assert body_of("SMPLX_FEMALE", digest).digest == digest
    monkeypatch.setattr("persona.body.loading._loaded", {})
    with pytest.raises(InputError, match="SMPLX_FEMALE") as caught:
        body_of("SMPLX_FEMALE", digest)
    assert digest[:16] in str(caught.value)
    assert "PERSONA_BODY" in caught.value.fix
    monkeypatch.setenv("PERSONA_BODY", str(human_file))
    assert body_of("SMPLX_FEMALE", digest).name == "SMPLX_FEMALE"
    with pytest.raises(InputError, match="another file"):
        body_of("SMPLX_FEMALE", "0" * 64)


def test_numbers_that_are_none_are_refused(folder):
    arrays = dict(smplx_files.random_arrays(columns=20))
    bad = arrays["posedirs"].copy()
    bad[3, 1, 5] = np.nan
    path = smplx_files.write_npz(folder / "nan.npz", arrays | {"posedirs": bad})
    with pytest.raises(FileFormatError, match=r"posedirs .* not finite"):
        load_body(path)
    path = smplx_files.write_npz(folder / "shares.npz", arrays | {"weights": 2 * arrays["weights"]})
    with pytest.raises(FileFormatError, match="sums to 2"):
        load_body(path)


def test_missing_file_is_named():
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_body(Path("nowhere/SMPLX_NEUTRAL.npz"))
