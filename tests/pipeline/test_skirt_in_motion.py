"""The sample person's skirt is one tube in every frame of walk, squat and kick."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from persona.animation.choice import motion_from
from persona.animation.framing import frame_motion
from persona.animation.performance import perform
from persona.avatar import Avatar
from persona.pipeline.create import create
from persona.records.photo import Photo
from persona.rendering import render
from persona.synthesis.sample.person import draw_sample_person

SEED = 3
"""A person whose skirt differs from the top in colour."""
EVERY = 6
"""Frames of a clip, of which one is drawn."""


@pytest.fixture(scope="module")
def skirted() -> Avatar:
    picture = draw_sample_person(seed=SEED, height=1024, lower="skirt")
    return create(Photo(rgb=picture), preset="draft")


def skirt_masks(avatar: Avatar, clip: str):
    """Yield what of each frame shows the skirt, as if it were alone, and what the whole person."""
    waist = float(avatar.body.forward(avatar.photo_params).rest_joints[0, 1])
    loose = (avatar.binding.face_ids < 0) & (avatar.canonical.means[:, 1] < waist)
    motion = perform(avatar, motion_from(clip, speed=1.0, fps=30.0))
    cameras = frame_motion(avatar, motion, "front", height=360, width=None, still=False)
    for frame in range(0, motion.frame_count, EVERY):
        with torch.no_grad():
            cloud = avatar.pose(motion.params.frame(frame))
        alone = replace(cloud, opacities=cloud.opacities * loose.to(cloud.opacities))
        yield tuple(
            render(shown, cameras[frame], maps=False).alpha.numpy() > 0.5
            for shown in (alone, cloud)
        )


@pytest.mark.slow
@pytest.mark.parametrize("clip", ["walk", "squat", "kick"])
def test_the_skirt_is_one_piece_without_a_hole(skirted, clip):
    for mask, person in skirt_masks(skirted, clip):
        area = mask.sum()
        assert area > 500
        labels, _ = ndimage.label(mask)
        largest = np.bincount(labels.ravel())[1:].max()
        assert largest > 0.97 * area
        # From below one looks into a lifted skirt: what shows there is leg, never background.
        assert (ndimage.binary_fill_holes(mask) & ~person).sum() < 0.01 * area
