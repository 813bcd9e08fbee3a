"""Learned cloth: what is planted is found, the photo stays, what is chance is left alone."""

from dataclasses import replace

import pytest
import torch

from persona.animation.wander import wander
from persona.avatar.cloth import predict_clip
from persona.avatar.deformation import Deformation
from persona.avatar.nodes import place_nodes
from persona.avatar.pose_features import pose_features
from persona.avatar.rates import at_rest, joint_rates
from persona.core.errors import InputError
from persona.evaluation.cloth_metrics import measure_cloth
from persona.optimization.deformer import Deformer, DeformerConfig
from persona.optimization.linear_offsets import fit_correctives
from persona.optimization.offsets import (
    OffsetsConfig,
    learn_offsets,
    offset_belief,
    still_features,
)
from persona.records.frame_set import Clip, FrameSet
from persona.records.motion import Motion
from tests.plain_avatar import make_plain_avatar

SMALL = OffsetsConfig(
    network=DeformerConfig(nodes=120, channels=4, resolution=16, width=32, depth=2),
    steps=250,
    frames=12,
    nodes=100,
    base_rank=24,
    baked_rank=24,
)
LEFT_KNEE, RIGHT_KNEE = 4, 5


@pytest.fixture(scope="module")
def avatar():
    return make_plain_avatar(3_000)


@pytest.fixture(scope="module")
def nodes(avatar):
    legs = avatar.canonical.means[:, 1] < -0.4
    return place_nodes(avatar.canonical.means, avatar.binding, legs, count=120)


def planted(avatar, nodes, motion: Motion) -> torch.Tensor:
    """Move nodes of the left shank by the knee's bend, not linearly, and by how fast it bends."""
    rates = joint_rates(motion)
    bend = motion.params.full_pose[:, LEFT_KNEE, 0] - avatar.photo_params.full_pose[LEFT_KNEE, 0]
    size = 0.02 * (bend + 0.5 * bend.square()) + 0.01 * rates.velocity[:, LEFT_KNEE, 0]
    offsets = torch.zeros(motion.frame_count, nodes.count, 3)
    offsets[:, nodes.joints == LEFT_KNEE, 2] = size[:, None]
    return offsets


def clip_of(avatar, nodes, seed: int, **kwargs) -> Clip:
    motion = wander(8.0, fps=20, seed=seed)
    offsets = planted(avatar, nodes, motion)
    return Clip(
        source="physics", motion=motion, rates=joint_rates(motion), offsets=offsets, **kwargs
    )


@pytest.fixture(scope="module")
def frames(avatar, nodes):
    taught = (clip_of(avatar, nodes, 0), clip_of(avatar, nodes, 1))
    return FrameSet(clips=(*taught, clip_of(avatar, nodes, 2, held_out=True)), nodes=nodes)


@pytest.fixture(scope="module")
def learned(avatar, frames):
    return learn_offsets(frames, avatar.photo_params, SMALL)


def test_what_was_planted_is_found_in_motion_not_seen(learned, frames):
    numbers = measure_cloth(learned.cloth, frames)
    assert numbers["cloth_ratio"] < 0.35
    assert numbers["cloth_error_mm"] == pytest.approx(
        numbers["cloth_ratio"] * numbers["cloth_moves_mm"]
    )


def test_who_does_not_feel_motion_learns_less(avatar, learned, frames):
    still = replace(SMALL, network=replace(SMALL.network, feels_motion=False))
    posed = learn_offsets(frames, avatar.photo_params, still)
    feeling = measure_cloth(learned.cloth, frames)["cloth_ratio"]
    assert feeling < 0.8 * measure_cloth(posed.cloth, frames)["cloth_ratio"]


def test_the_photo_stays_as_it_is(avatar, learned):
    pose = avatar.photo_params.full_pose[None]
    for source in (learned.cloth.deformation, learned.cloth.correctives):
        for rates in (None, at_rest()):
            assert float(source.offsets(pose, rates).abs().max()) < 1e-6


def test_joints_far_away_have_no_say(learned, nodes, avatar):
    pose = avatar.photo_params.full_pose.clone()
    pose[RIGHT_KNEE, 0] += 1.0
    moved = learned.cloth.deformation.offsets(pose[None], None)[0]
    assert float(moved[nodes.joints == LEFT_KNEE].abs().max()) < 1e-6


def test_the_same_seed_learns_the_same(avatar, learned, frames):
    again = learn_offsets(frames, avatar.photo_params, SMALL)
    assert torch.equal(again.cloth.deformation.node_share, learned.cloth.deformation.node_share)
    assert again.history == learned.history


def test_a_baked_network_says_what_it_said(avatar, frames, learned):
    """Sums over joints in another order differ in the last bits only."""
    whole = predict_clip(learned.cloth.deformation, frames.clips[0])
    pose = frames.clips[0].motion.params.full_pose[3:4]
    one = learned.cloth.deformation.offsets(pose, frames.clips[0].rates.rows(torch.tensor([3])))
    torch.testing.assert_close(one[0], whole[3], atol=1e-6, rtol=1e-5)


def test_a_baked_network_goes_on_where_it_stopped(avatar, frames, learned):
    baked = learned.cloth.deformation
    again = Deformer.continuing(learned.cloth.nodes, baked)
    still = still_features(again, avatar.photo_params)
    back = again.bake(still, baked.base)
    clip = frames.held_out[0]
    torch.testing.assert_close(
        predict_clip(back, clip), predict_clip(baked, clip), atol=1e-6, rtol=1e-5
    )
    # What it learns from now on is its own.
    every = torch.arange(learned.cloth.nodes.count)
    again(every, still).square().sum().backward()
    assert again.own_share is not None
    assert float(again.own_share.grad.abs().max()) > 0
    assert again.planes.grad is None


def test_chance_is_believed_less(avatar, nodes):
    clip = clip_of(avatar, nodes, 0)
    noise = torch.zeros(clip.frame_count, nodes.count)
    noise[:, ::2] = 0.05
    belief = offset_belief(replace(clip, noise=noise))
    assert float(belief[:, 1::2].min()) > 0.99
    assert float(belief[:, ::2].max()) < float(belief[:, 1::2].min())
    assert torch.equal(offset_belief(clip), torch.ones_like(belief))


def test_shapes_give_back_what_is_linear(avatar, nodes):
    motion = wander(12.0, fps=20, seed=3)
    features = pose_features(motion.params.full_pose, None)
    still = pose_features(avatar.photo_params.full_pose[None], None)
    offsets = torch.zeros(motion.frame_count, nodes.count, 3)
    mine = nodes.joints == LEFT_KNEE
    # Six numbers a joint, pelvis left out; the one that a knee changes most.
    knee = (features - still)[:, 6 * (LEFT_KNEE - 1) : 6 * LEFT_KNEE]
    bend = knee[:, knee.var(0).argmax()]
    offsets[:, mine, 0] = 0.03 * bend[:, None]
    found = fit_correctives(features, offsets, nodes.joints, still, rank=8)
    said = found.offsets(motion.params.full_pose, None)
    assert float((said - offsets).norm()) < 0.15 * float(offsets.norm())
    assert float(found.offsets(avatar.photo_params.full_pose[None], None).abs().max()) < 1e-6


def test_no_offsets_and_no_judge_are_refused(avatar, learned, frames):
    held = FrameSet(clips=frames.held_out, nodes=frames.nodes)
    with pytest.raises(InputError, match="none of 0 clips"):
        learn_offsets(held, avatar.photo_params, SMALL)
    with pytest.raises(InputError, match="held out"):
        measure_cloth(learned.cloth, FrameSet(clips=frames.taught, nodes=frames.nodes))


def test_layers_that_do_not_fit_are_refused(learned):
    sound = learned.cloth.deformation
    with pytest.raises(InputError, match="does not fit together"):
        Deformation(
            joints=sound.joints,
            node_share=sound.node_share,
            pose_weight=sound.pose_weight,
            norms=sound.norms,
            layers=sound.layers[:1],
            anchor=sound.anchor,
        )
