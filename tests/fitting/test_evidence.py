"""Stance, lean and focal length are judged from landmarks."""

import torch

from persona.fitting.evidence import (
    choose_focal,
    gather_evidence,
    judge_stance,
    remove_lean,
)


def test_a_standing_person_stands_on_both_legs(standing):
    stance = judge_stance(standing.observation.body, standing.observation.body_world)
    assert stance.standing
    assert stance.support == ("left", "right")


def test_a_squatting_person_does_not_stand(squatting):
    stance = judge_stance(squatting.observation.body, squatting.observation.body_world)
    assert not stance.standing
    assert stance.support == ()


def test_one_lifted_leg_leaves_the_other_to_carry(standing):
    body, world = standing.observation.body.clone(), standing.observation.body_world.clone()
    body[26] = body[24] + torch.tensor([-60.0, 40.0])
    body[[28, 30, 32]] = body[26] + torch.tensor([40.0, 60.0])
    world[26] = world[24] + torch.tensor([-0.3, -0.2, 0.2])
    world[28] = world[26] + torch.tensor([0.2, -0.3, -0.2])
    stance = judge_stance(body, world)
    assert not stance.standing
    assert stance.right_lifted
    assert stance.support == ("left",)


def test_lean_is_removed_in_proportion_to_height(standing):
    world = standing.observation.body_world
    leaned = world.clone()
    shin = (world[27, 1] - world[25, 1]).abs()
    leaned[[27, 29, 31], 2] -= 0.32 * shin
    fixed = remove_lean(leaned)
    thigh = (world[25, 1] - world[23, 1]).abs()
    expected = world[27, 2] - world[25, 2]
    torch.testing.assert_close(fixed[27, 2] - fixed[25, 2], expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(fixed[25, 2] - world[25, 2], 0.06 * thigh, atol=1e-4, rtol=0)


def test_focal_length_is_taken_from_the_file_only_when_believable():
    assert choose_focal((600, 800), 1000.0) == 1000.0
    assert choose_focal((600, 800), 10.0) == 1200.0
    assert choose_focal((600, 800), None) == 1200.0


def test_evidence_is_brought_to_512_pixels(standing):
    evidence = gather_evidence(standing.observation, image_size=(480, 640), focal_px=960.0)
    assert abs(evidence.scale * standing.observation.person_height_px - 512) < 1e-3
    torch.testing.assert_close(evidence.body, standing.observation.body * evidence.scale)


def test_outline_normals_point_out_of_the_person(standing):
    evidence = gather_evidence(standing.observation, image_size=(480, 640), focal_px=960.0)
    outline = evidence.outline
    assert len(outline.points) > 200
    step = (outline.points + 4 * outline.normals) / evidence.scale
    columns, rows = step.long().unbind(1)
    outside = standing.observation.mask[rows.clamp(0, 639), columns.clamp(0, 479)] == 0
    assert outside.float().mean() > 0.95
    onto = (outline.points / evidence.scale).round().long()
    near = standing.observation.mask[
        (onto[:, 1] - 2).clamp(0)[:, None] + torch.arange(4),
        (onto[:, 0] - 2).clamp(0)[:, None] + torch.arange(4),
    ]
    assert len(near)
