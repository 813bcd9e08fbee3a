"""The truth that joint training's techniques are judged by, and the table of them."""

from dataclasses import replace

import pytest
import torch

from persona.avatar.nodes import place_nodes
from persona.core.errors import InputError
from persona.optimization.deformer import DeformerConfig
from persona.optimization.joint import JointConfig
from persona.optimization.offsets import OffsetsConfig, learn_offsets
from persona.pipeline.ablate_pictures import (
    EVERYTHING,
    TECHNIQUES,
    ablate_pictures,
    picture_table,
    plant_truth,
)
from persona.records.frame_set import FrameSet
from tests.optimization.joint_truth import clip_of, moving

SMALL = OffsetsConfig(
    network=DeformerConfig(channels=4, resolution=16, width=32, depth=2),
    base_rank=4,
    steps=20,
    frames=8,
    nodes=64,
)


@pytest.fixture(scope="module")
def planted(plain_avatar):
    """A person whose clothes lift as they move."""
    legs = plain_avatar.canonical.means[:, 1] < -0.3
    nodes = place_nodes(plain_avatar.canonical.means, plain_avatar.binding, legs, count=60)
    motion = moving(plain_avatar, 3.0, fps=4, seed=1)
    bend = (
        motion.params.full_pose[:, 4:6, 0].sum(1)
        - plain_avatar.photo_params.full_pose[4:6, 0].sum()
    )
    offsets = 0.05 * bend[:, None, None] * torch.ones(len(bend), nodes.count, 3)
    frames = FrameSet(clips=(clip_of(plain_avatar, motion, (), offsets=offsets),), nodes=nodes)
    learned = learn_offsets(frames, plain_avatar.photo_params, SMALL)
    return plant_truth(replace(plain_avatar, cloth=learned.cloth), height=64)


def test_the_truth_is_hidden_from_who_learns(planted):
    assert planted.learner.cloth is None
    hidden = ~planted.truth.seen
    same = planted.learner.canonical.colors == planted.truth.canonical.colors
    assert bool(same[~hidden].all())
    assert not bool(same[hidden].all(1).any())
    photo, generated = planted.frames.taught
    assert photo.pictures[0].depth_m is None
    assert generated.offsets is None
    assert planted.judge.offsets is not None
    # The generator's hue is redder than the person.
    tone = [(p.image * p.mask[..., None]).sum((0, 1)) / p.mask.sum() for p in generated.pictures]
    real = planted.truth.canonical.colors.mean(0)
    assert float(torch.stack(tone).mean(0)[2] / real[2]) < 1


@pytest.mark.slow
def test_every_technique_has_a_switch_and_a_row(planted):
    config = JointConfig(steps=3, network=SMALL)
    changed = {technique.name: technique.change(config) for technique in TECHNIQUES}
    assert changed.pop(EVERYTHING) == config
    assert len(set(map(repr, changed.values()))) == len(changed)
    rows = ablate_pictures(planted, config)
    assert [row.technique.name for row in rows] == [technique.name for technique in TECHNIQUES]
    by_name = {row.technique.name: row for row in rows}
    assert by_name["without pose offsets"].cloth_ratio == 1.0
    table = picture_table(rows)
    assert all(f"| {technique.name} |" in table for technique in TECHNIQUES)


def test_who_has_no_cloth_is_refused(plain_avatar):
    with pytest.raises(InputError, match="not learned to move"):
        plant_truth(plain_avatar)
