"""What clothes are taught with: all clips, joined without a jump, within what joints can do."""

import pytest
import torch

from persona.animation.clips import CLIPS
from persona.animation.program import JUDGED, TAUGHT, chain, judged_pieces, taught_pieces
from persona.animation.wander import wander
from persona.avatar.rates import joint_rates
from persona.body.skeleton import joint_limits
from persona.core.errors import InputError


def test_everything_lively_is_taught_and_the_judge_is_faster():
    taught = {piece.name: piece.speed for piece in TAUGHT}
    assert set(CLIPS) - set(taught) == {"idle", "wave"}
    assert all(piece.speed > taught[piece.name] for piece in JUDGED)


def test_pieces_are_joined_without_a_jump():
    whole = chain([*taught_pieces(), *judged_pieces()], name="all")
    steps = whole.params.transl.diff(dim=0).norm(dim=1)
    assert float(steps.max()) < 0.2
    assert float(joint_rates(whole).velocity.norm(dim=-1).max()) < 25
    assert not whole.loops


@pytest.mark.parametrize("seed", range(3))
def test_wandering_stays_within_what_joints_can_do(seed):
    motion = wander(6.0, fps=30, seed=seed)
    low, high = joint_limits()
    pose = motion.params.body_pose
    assert bool((pose > low[1:22] - 1.0).all())
    assert bool((pose < high[1:22] + 1.0).all())
    assert motion.frame_count == 180
    assert float(joint_rates(motion).velocity.norm(dim=-1).max()) < 25
    assert torch.equal(motion.params.body_pose, wander(6.0, fps=30, seed=seed).params.body_pose)


def test_wandering_for_hours_is_refused():
    with pytest.raises(InputError, match="wandering"):
        wander(1e6, fps=30)
