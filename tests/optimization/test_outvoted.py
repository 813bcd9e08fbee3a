"""An arm's slice is of one cloth: what hardly any of it shows lies beside the arm."""

import numpy as np
import pytest

from persona.optimization.limbs import Limb
from persona.optimization.outvoted import ENOUGH, SLICE, outvoted
from persona.records.observation import Part

SLICES, EACH = 10, 40


@pytest.fixture
def arm():
    """A left arm of ten slices: five of a sleeve, five bare."""
    n = SLICES * EACH
    rest = np.zeros((n, 3))
    rest[:, 0] = 0.3 + SLICE * (np.arange(n) / EACH)
    part = np.where(np.arange(n) < n // 2, int(Part.UPPER), int(Part.SKIN))
    return rest, np.full(n, int(Limb.LEFT_ARM)), part, np.ones(n, bool)


def test_a_sleeve_and_the_bare_arm_below_it_are_believed(arm):
    assert not outvoted(*arm).any()


@pytest.mark.parametrize(("share", "strange"), [(0.1, True), (0.3, True), (0.5, False)])
def test_a_strip_of_the_shirt_beside_the_arm_is_not(arm, share, strange):
    rest, limb, part, voters = arm
    strip = (np.arange(len(rest)) % EACH < share * EACH) & (part == Part.SKIN)
    part[strip] = int(Part.UPPER)
    found = outvoted(rest, limb, part, voters)
    assert not found[~strip].any()
    assert found[strip].all() == strange


def test_who_does_not_vote_is_judged_and_few_decide_nothing(arm):
    rest, limb, part, voters = arm
    part[7 * EACH] = int(Part.UPPER)
    voters[7 * EACH] = False
    assert np.flatnonzero(outvoted(rest, limb, part, voters)).tolist() == [7 * EACH]
    voters[:] = False
    voters[7 * EACH + 1 : 7 * EACH + ENOUGH] = True
    assert not outvoted(rest, limb, part, voters).any()


def test_the_trunk_and_the_legs_are_left_alone(arm):
    rest, limb, part, voters = arm
    part[::7] = int(Part.LOWER)
    for other in (Limb.TORSO, Limb.LEFT_LEG, Limb.LEFT_HAND):
        assert not outvoted(rest, np.full_like(limb, other), part, voters).any()
