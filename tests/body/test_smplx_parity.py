"""The PyPI package `smplx` and our body give the same skin from the same file."""

from importlib import resources

import pytest

from persona.body import load_body
from tests.smplx_package import TOLERANCE, assert_same, open_package, random_params

COUNT = 200
BATCH = 25


@pytest.fixture(scope="module")
def package_model():
    return open_package(resources.files("persona.body") / "data" / "open_body.npz", batch=BATCH)


@pytest.mark.parametrize("chunk", range(COUNT // BATCH))
def test_vertices_and_joints_agree(package_model, chunk):
    params = random_params(chunk, count=BATCH, turn=0.4)
    ours = load_body().forward(params)
    theirs = assert_same(package_model, ours, params)
    landmarks = load_body().landmarks.face51.on(ours.vertices)
    assert (landmarks - theirs.joints[:, -51:]).norm(dim=-1).max() <= TOLERANCE
