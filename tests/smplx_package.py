"""The PyPI package `smplx`, which the parity tests load the same file with."""

import warnings
from dataclasses import replace

import pytest
import torch

from persona.records.body_params import rest_params

TOLERANCE = 1e-5
"""Largest allowed distance of any vertex [m]."""


def open_package(path, *, batch, **words):
    """Load a model file with the package, or skip where it is not installed."""
    smplx = pytest.importorskip("smplx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return smplx.SMPLX(
            model_path=str(path), use_pca=False, flat_hand_mean=True, batch_size=batch, **words
        )


def random_params(seed, *, count, betas=10, expressions=10, turn=0.5):
    """Draw shapes, expressions, places and rotations of ``turn`` rad in every joint."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape, scale):
        return torch.randn(count, *shape, generator=generator) * scale

    return replace(
        rest_params(count).with_full_pose(normal(55, 3, scale=turn)),
        betas=normal(betas, scale=1.0),
        expression=normal(expressions, scale=0.7),
        transl=normal(3, scale=1.0),
    )


def assert_same(model, ours, params):
    """Compare vertices and joints; return the package's result."""
    with torch.no_grad():
        theirs = model(
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
    return theirs
