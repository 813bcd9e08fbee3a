"""Each number catches the fault it is named after, and a sound avatar has none of them."""

from dataclasses import replace

import pytest
import torch

from persona.evaluation.hidden_metrics import (
    faults_in_test_poses,
    front_leak,
    hand_face_distance,
    unseen_colors,
)
from persona.evaluation.metrics import METRICS


@pytest.fixture(scope="module")
def noisy_front(plain_avatar, repaint):
    """Detail everywhere, different on front and back."""
    points = plain_avatar.canonical.means
    front = torch.sin(points[:, 0] * 90) * torch.sin(points[:, 1] * 90)
    back = torch.sin(points[:, 0] * 70 + 1) * torch.sin(points[:, 1] * 115 + 2)
    shade = 0.15 * torch.where(plain_avatar.seen, front, back)
    return repaint(plain_avatar, (plain_avatar.canonical.colors + shade[:, None]).clamp(0, 1))


def test_a_plain_person_passes_what_colours_can_say(plain_avatar):
    numbers = unseen_colors(plain_avatar)
    assert numbers["unseen_contrast"] < 1.0
    assert METRICS["hand_face_lab"].passes(hand_face_distance(plain_avatar))


def test_a_camouflage_back_is_rough_and_stands_off(plain_avatar, repaint):
    spots = torch.rand(plain_avatar.count, 3, generator=torch.Generator().manual_seed(1))
    grain = 0.02 * (spots - 0.5)
    colors = torch.where(plain_avatar.seen[:, None], plain_avatar.canonical.colors + grain, spots)
    numbers = unseen_colors(repaint(plain_avatar, colors))
    assert not METRICS["unseen_roughness"].passes(numbers["unseen_roughness"])
    assert not METRICS["unseen_contrast"].passes(numbers["unseen_contrast"])


def test_a_print_on_the_back_is_a_leak_and_another_pattern_is_not(noisy_front, repaint):
    assert METRICS["front_leak"].passes(front_leak(noisy_front))
    points = noisy_front.canonical.means
    both = torch.sin(points[:, 0] * 90) * torch.sin(points[:, 1] * 90)
    leaked = repaint(noisy_front, (0.4 + 0.15 * both)[:, None].expand(-1, 3).contiguous())
    assert front_leak(leaked) > 0.5


def test_trousers_on_the_hands_are_told(plain_avatar, repaint):
    bone = plain_avatar.binding.bone_ids[:, 0]
    hand = (bone >= 25) | (bone == 20) | (bone == 21)
    blue = torch.tensor([0.1, 0.2, 0.5])
    colors = torch.where(hand[:, None], blue, plain_avatar.canonical.colors)
    assert not METRICS["hand_face_lab"].passes(hand_face_distance(repaint(plain_avatar, colors)))


def test_holes_and_blobs_are_counted(plain_avatar):
    sound = faults_in_test_poses(plain_avatar)
    assert sound["floating_share"] < 0.002
    canonical = plain_avatar.canonical
    gone = (canonical.means[:, 1] < -0.15) & (canonical.means[:, 1] > -0.3)
    opacities = torch.where(gone, 0.0, canonical.opacities)
    holed = replace(plain_avatar, canonical=replace(canonical, opacities=opacities))
    assert faults_in_test_poses(holed)["see_through_share"] > sound["see_through_share"] + 0.02
    means = canonical.means.clone()
    means[:40] = torch.tensor([0.0, 1.2, 0.0])
    stray = replace(plain_avatar, canonical=replace(canonical, means=means))
    assert faults_in_test_poses(stray)["floating_share"] > sound["floating_share"]
