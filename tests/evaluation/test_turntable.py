"""A turntable of the avatar itself is met from every side, whichever way it turns."""

from dataclasses import replace

import pytest
import torch

from persona.evaluation.turntable import compare_turntable, histogram_overlap, plain_mask
from persona.records.body_fit import BodyFit
from persona.rendering import render

COUNT = 6
FRONT = 2


@pytest.mark.slow
def test_its_own_turn_is_met_from_every_side(plain_avatar):
    from persona.evaluation.turntable import _turned

    params = plain_avatar.photo_params
    cloud = plain_avatar.pose(params)
    camera = plain_avatar.photo_camera
    axis = (cloud.means.amin(0) + cloud.means.amax(0)) / 2
    frames = [
        render(
            cloud,
            _turned(camera, axis, -60.0 * (k - FRONT)),
            background=torch.full((3,), 0.97),
            maps=False,
        ).color.clamp(0, 1)
        for k in range(COUNT)
    ]
    fit = BodyFit(
        identity=plain_avatar.identity,
        params=params,
        focal_px=plain_avatar.photo_focal_px,
        image_size=plain_avatar.photo_size,
        keypoint_error_px=0.0,
        body_iou=1.0,
        lean_m=0.0,
        standing=True,
        left_hand_seen=True,
        right_hand_seen=True,
    )
    scores = compare_turntable(plain_avatar, frames, front=FRONT, fit_pose=lambda photo: fit)
    assert len(scores) == COUNT
    assert scores[FRONT].yaw_deg == pytest.approx(0.0)
    # The edge of a cloud this coarse is soft: the mask reaches farther out than half its alpha.
    assert min(score.iou for score in scores) > 0.85
    assert min(score.histograms["upper"] for score in scores) > 0.9
    blue = replace(plain_avatar.canonical, colors=1 - plain_avatar.canonical.colors)
    other = compare_turntable(
        replace(plain_avatar, canonical=blue), frames, front=FRONT, fit_pose=lambda photo: fit
    )
    assert max(score.histograms["upper"] for score in other) < 0.3


def test_histograms_overlap_fully_with_themselves_and_not_with_another_colour():
    some = torch.rand(500, 3, generator=torch.Generator().manual_seed(0)) * 0.2
    assert histogram_overlap(some, some) == pytest.approx(1.0)
    assert histogram_overlap(some, some + 0.75) < 0.05


def test_a_person_with_a_white_shirt_is_cut_out_whole():
    frame = torch.full((60, 40, 3), 0.98)
    frame[10:50, 10:30] = 0.4
    frame[20:30, 15:25] = 0.98
    mask = plain_mask(frame)
    assert float(mask.sum()) == pytest.approx(40 * 20, rel=0.05)
