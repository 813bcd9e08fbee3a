"""Nodes: spread evenly, followed wholly or not at all, smooth things kept."""

import pytest
import torch

from persona.avatar.nodes import place_nodes
from persona.core.errors import InputError
from persona.records.nodes import Nodes
from tests.plain_avatar import make_plain_avatar


@pytest.fixture(scope="module")
def avatar():
    return make_plain_avatar(6_000)


@pytest.fixture(scope="module")
def moves(avatar):
    return avatar.canonical.means[:, 1] < 0.2


@pytest.fixture(scope="module")
def nodes(avatar, moves):
    return place_nodes(avatar.canonical.means, avatar.binding, moves, count=800)


def test_there_are_about_as_many_as_asked_for(nodes):
    assert 600 < nodes.count <= 800


def test_what_does_not_move_follows_nobody(nodes, moves):
    sums = nodes.shares.sum(1)
    torch.testing.assert_close(sums[moves], torch.ones(int(moves.sum())))
    assert float(sums[~moves].max()) == 0


def test_one_offset_for_all_is_carried_and_gathered_as_it_is(nodes, moves):
    same = torch.tensor([0.01, -0.02, 0.03]).expand(nodes.count, 3)
    carried = nodes.carry(same)
    torch.testing.assert_close(carried[moves], same[:1].expand(int(moves.sum()), 3))
    assert float(carried[~moves].abs().max()) == 0
    torch.testing.assert_close(nodes.gather(carried), same)


def test_a_smooth_field_survives_the_way_there_and_back(avatar, nodes, moves):
    field = torch.sin(3 * avatar.canonical.means) * 0.02
    back = nodes.carry(nodes.gather(field))
    error = (back - field)[moves].norm(dim=1)
    assert float(error.mean()) < 0.1 * float(field[moves].norm(dim=1).mean())


def test_legs_do_not_hold_each_other(avatar, nodes):
    left = torch.isin(nodes.joints, torch.tensor([4, 7, 10]))
    right = torch.isin(nodes.joints, torch.tensor([5, 8, 11]))
    mine = avatar.binding.bone_weights.argmax(1, keepdim=True)
    joint = avatar.binding.bone_ids.gather(1, mine)[:, 0]
    on_left = torch.isin(joint, torch.tensor([4, 7]))
    crossed = (nodes.shares * right[nodes.holder_ids])[on_left].sum(1)
    assert bool(left.any())
    assert float(crossed.max()) < 0.05


def test_the_same_avatar_has_the_same_nodes(avatar, moves, nodes):
    again = place_nodes(avatar.canonical.means, avatar.binding, moves, count=800)
    assert torch.equal(again.points, nodes.points)
    assert torch.equal(again.shares, nodes.shares)


def test_nothing_that_moves_is_refused(avatar):
    nobody = torch.zeros(avatar.count, dtype=torch.bool)
    with pytest.raises(InputError, match="0 Gaussians that move"):
        place_nodes(avatar.canonical.means, avatar.binding, nobody, count=10)


def test_strange_ids_and_shares_are_refused(nodes):
    with pytest.raises(InputError, match="holder_ids spans"):
        Nodes(
            points=nodes.points,
            joints=nodes.joints,
            holder_ids=nodes.holder_ids + nodes.count,
            shares=nodes.shares,
        )
    with pytest.raises(InputError, match="neither to 1 nor to 0"):
        Nodes(
            points=nodes.points,
            joints=nodes.joints,
            holder_ids=nodes.holder_ids,
            shares=nodes.shares * 0.5,
        )
