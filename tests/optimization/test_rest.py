"""From the photo's pose to rest and back: the trained cloud returns."""

from dataclasses import replace

import pytest
import torch

from persona.avatar.avatar import Avatar
from persona.geometry.rotations import quaternion_to_matrix
from persona.optimization.rest import NARROWEST, WIDEST, neighbor_gap, to_rest


@pytest.fixture(scope="module")
def canonical(cloud, dressed, body):
    return to_rest(cloud, dressed, body)


@pytest.fixture(scope="module")
def posed(canonical, cloud, visibility, drawn):
    """The resting cloud as an avatar, posed as in the photo."""
    avatar = Avatar(
        identity=drawn.fit.identity,
        canonical=canonical,
        binding=cloud.binding,
        seen=visibility.seen,
        parts=cloud.limb,
        photo_params=drawn.fit.params,
        photo_focal_px=drawn.fit.focal_px,
        photo_size=drawn.fit.image_size,
    )
    return avatar.pose(drawn.fit.params)


def test_posing_as_in_the_photo_gives_the_cloud_back(posed, cloud):
    error = (posed.means - cloud.means).norm(dim=1)
    assert float((error < 1e-4).float().mean()) > 0.99
    assert float(error.max()) < 0.01


def test_normals_come_back_on_the_same_side(posed, cloud):
    cosine = (torch.nn.functional.normalize(posed.normals, dim=1) * cloud.normals).sum(1)
    assert float((cosine > 0.95).float().mean()) > 0.95


def test_sizes_come_back_where_no_bound_was_met(posed, cloud, canonical):
    """The area of each splat, unless it would have left a hole or made a spike at rest."""
    before = (2 * cloud.log_scales).exp().sum(1)
    after = posed.covariances[:, [0, 3, 5]].sum(1)
    gap = neighbor_gap(canonical.means, cloud.inner)[:, None]
    free = canonical.log_scales[:, :2].exp() / gap
    unbound = ((free > NARROWEST * 1.01) & (free < WIDEST * 0.99)).all(1)
    assert unbound.float().mean() > 0.5
    ratio = (after / before)[unbound]
    assert float(((ratio > 0.9) & (ratio < 1.1)).float().mean()) > 0.9


def test_axes_at_rest_are_rotations_and_sizes_within_bounds(canonical, cloud):
    axes = quaternion_to_matrix(canonical.quats_wxyz)
    eye = torch.eye(3).expand_as(axes)
    torch.testing.assert_close(axes @ axes.transpose(1, 2), eye, atol=1e-4, rtol=0)
    ratio = canonical.log_scales[:, :2].exp() / neighbor_gap(canonical.means, cloud.inner)[:, None]
    assert float(ratio.min()) >= NARROWEST * 0.999
    assert float(ratio.max()) <= WIDEST * 1.001


def test_the_resting_cloud_stands_in_t_pose_at_the_origin(canonical, cloud):
    """Arms out, although they hang in the photo; and the root is not four metres away."""
    height = canonical.means[:, 1].max() - canonical.means[:, 1].min()
    span = canonical.means[:, 0].max() - canonical.means[:, 0].min()
    assert float(span) > 0.85 * float(height)
    assert float(cloud.means[:, 0].max() - cloud.means[:, 0].min()) < 0.8 * float(height)
    assert float(canonical.means[:, 2].abs().max()) < 0.5


def test_moving_the_cloud_moves_what_comes_back(cloud, dressed, body, canonical):
    """What training shifted is kept: a centimetre in the photo is a centimetre at rest."""
    shifted = replace(cloud, means=cloud.means + 0.01 * cloud.normals)
    moved = to_rest(shifted, dressed, body).means - canonical.means
    length = moved.norm(dim=1)
    assert float(((length > 0.005) & (length < 0.02)).float().mean()) > 0.95


def test_the_gap_of_a_grid_is_its_spacing():
    axis = torch.arange(6) * 0.1
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    gap = neighbor_gap(grid)
    inner = ((grid > 0.05) & (grid < 0.45)).all(1)
    torch.testing.assert_close(gap[inner], torch.full((int(inner.sum()),), 0.1))
