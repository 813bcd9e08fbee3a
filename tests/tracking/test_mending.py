"""Left and right that the detector exchanged are put right; real turns are left alone."""

from dataclasses import replace

import torch

from persona.geometry.rotations import axis_angle_to_matrix
from persona.tracking.mending import SWAPPED, mend_swaps


def exchanged(sightings, frames):
    flip = torch.zeros(sightings.count, dtype=torch.bool)
    flip[frames] = True
    rows = flip[:, None, None]
    mirrored = sightings.world[:, SWAPPED] * torch.tensor([1.0, 1.0, -1.0])
    return replace(
        sightings,
        body=torch.where(rows, sightings.body[:, SWAPPED], sightings.body),
        world=torch.where(rows, mirrored, sightings.world),
    ), flip


def test_a_wrong_stretch_is_found_and_mended(squat):
    broken, flip = exchanged(squat.sightings, slice(20, 33))
    mended, swapped = mend_swaps(broken)
    assert torch.equal(swapped, flip)
    torch.testing.assert_close(mended.body, squat.sightings.body)
    torch.testing.assert_close(mended.world, squat.sightings.world)


def test_a_true_turn_is_left_alone(squat):
    film = squat.sightings
    yaw = torch.linspace(0, 2 * torch.pi, film.count)
    about = axis_angle_to_matrix(torch.stack([0 * yaw, yaw, 0 * yaw], -1))
    turning = replace(film, world=film.world[:1] @ about.mT)
    _, swapped = mend_swaps(turning)
    assert not bool(swapped.any())


def test_a_face_in_view_is_no_back(squat):
    broken, _ = exchanged(squat.sightings, slice(20, 33))
    seen = torch.ones(broken.count, dtype=torch.bool)
    _, swapped = mend_swaps(replace(broken, face_seen=seen))
    assert not bool(swapped.any())
