"""Slopes: a field that is linear along the surface turns Gaussians exactly, a constant one not."""

import pytest
import torch

from persona.avatar.nodes import place_nodes
from persona.avatar.slopes import Slopes, slopes_of
from tests.plain_avatar import make_plain_avatar


@pytest.fixture(scope="module")
def avatar():
    return make_plain_avatar(6_000)


@pytest.fixture(scope="module")
def moves(avatar):
    return avatar.canonical.means[:, 1] < 0.2


@pytest.fixture(scope="module")
def slopes(avatar, moves) -> Slopes:
    return slopes_of(place_nodes(avatar.canonical.means, avatar.binding, moves, count=1500))


def test_offsets_are_carried_as_nodes_carry_them(slopes):
    offsets = torch.randn(slopes.nodes.count, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(slopes.carry(offsets).offsets, slopes.nodes.carry(offsets))


def test_cloth_that_moves_as_one_turns_nothing(slopes):
    moved = slopes.carry(torch.tensor([0.01, -0.02, 0.03]).expand(slopes.nodes.count, 3))
    assert float(moved.slopes.abs().max()) < 1e-5


def test_what_nothing_moves_does_not_turn(slopes, moves):
    offsets = torch.randn(slopes.nodes.count, 3, generator=torch.Generator().manual_seed(1))
    assert float(slopes.carry(offsets).slopes[~moves].abs().max()) == 0


def test_tangents_turn_with_a_rotating_field(avatar, slopes, moves):
    """A small turn of all cloth about one axis is the turn of its tangents, not of its normals."""
    turn = 0.2 * torch.tensor([[0.0, -1.0, 0.3], [1.0, 0.0, -0.5], [-0.3, 0.5, 0.0]])
    moved = slopes.carry(slopes.nodes.points @ turn.T)
    tangents = avatar.rig.tangents[moves]
    got, wanted = moved.slopes[moves] @ tangents, turn @ tangents
    error = (got - wanted).norm(dim=1)
    assert float(error.median()) < 0.15 * float(wanted.norm(dim=1).median())


def test_legs_do_not_turn_each_other(avatar, slopes):
    left = torch.isin(slopes.nodes.joints, torch.tensor([4, 7, 10]))
    right = torch.isin(slopes.nodes.joints, torch.tensor([5, 8, 11]))
    moved = slopes.carry(right[:, None] * torch.tensor([[0.0, 0.1, 0.0]]))
    mine = avatar.binding.bone_weights.argmax(1, keepdim=True)
    on_left = torch.isin(avatar.binding.bone_ids.gather(1, mine)[:, 0], torch.tensor([4, 7]))
    assert bool(left.any())
    assert float(moved.slopes[on_left].abs().amax((1, 2)).quantile(0.95)) < 1e-4


def test_one_node_alone_turns_nothing(avatar, moves):
    nodes = place_nodes(avatar.canonical.means, avatar.binding, moves, count=1)
    moved = slopes_of(nodes).carry(torch.ones(nodes.count, 3))
    assert float(moved.slopes.abs().max()) == 0


def test_an_avatar_is_drawn_as_it_is_posed(avatar, slopes):
    from persona.rendering import render
    from persona.rendering.camera_paths import fit_camera

    moved = slopes.carry(0.02 * torch.sin(9 * slopes.nodes.points))
    params = avatar.photo_params
    camera = fit_camera(avatar.pose(params).means, width=96, height=128)
    drawn = avatar.draw(params, camera, gaussian_offsets=moved)
    posed = render(avatar.pose(params, gaussian_offsets=moved), camera, maps=False)
    stiff = avatar.draw(params, camera, gaussian_offsets=moved.offsets)
    assert float((drawn.alpha - posed.alpha).abs().mean()) < 1e-4
    assert float((stiff.alpha - posed.alpha).abs().mean()) > 1e-3
