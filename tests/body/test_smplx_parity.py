"""The PyPI package `smplx` and our body give the same skin from the same file."""

import warnings
from dataclasses import replace
from importlib import resources

import pytest
import torch

from persona.body import load_body
from persona.records.body_params import rest_params

COUNT = 200
BATCH = 25
TOLERANCE = 1e-5
"""Largest allowed distance of any vertex [m]."""


@pytest.fixture(scope="module")
def package_model():
    smplx = pytest.importorskip("smplx")
    path = resources.files("persona.body") / "data" / "open_body.npz"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return smplx.SMPLX(
            model_path=str(path), use_pca=False, flat_hand_mean=True, batch_size=BATCH
        )


def random_params(seed):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape, scale):
        return torch.randn(BATCH, *shape, generator=generator) * scale

    rest = rest_params(BATCH)
    posed = rest.with_full_pose(normal(55, 3, scale=0.4))
    return replace(
        posed,
        betas=normal(10, scale=1.0),
        expression=normal(10, scale=0.7),
        transl=normal(3, scale=1.0),
    )


@pytest.mark.parametrize("chunk", range(COUNT // BATCH))
def test_vertices_and_joints_agree(package_model, chunk):
    params = random_params(chunk)
    ours = load_body().forward(params)
    with torch.no_grad():
        theirs = package_model(
            betas=params.betas,
            expression=params.expression,
            global_orient=params.global_orient,
            body_pose=params.body_pose.flatten(1),
            jaw_pose=params.jaw_pose,
            leye_pose=params.leye_pose,
            reye_pose=params.reye_pose,
            left_hand_pose=params.left_hand_pose.flatten(1),
            right_hand_pose=params.right_hand_pose.flatten(1),
            transl=params.transl,
        )
    assert (ours.vertices - theirs.vertices).norm(dim=-1).max() <= TOLERANCE
    assert (ours.joints - theirs.joints[:, :55]).norm(dim=-1).max() <= TOLERANCE
    landmarks = load_body().landmarks.face51.on(ours.vertices)
    assert (landmarks - theirs.joints[:, -51:]).norm(dim=-1).max() <= TOLERANCE
