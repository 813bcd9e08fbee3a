"""A motion becomes one person's: on their legs, in their shoes, with their face."""

from dataclasses import replace
from typing import Final

import torch

from persona.animation.grounding import ground_motion, leg_rig
from persona.animation.legs import ANKLES, TOES
from persona.animation.resampling import wear_face
from persona.avatar.avatar import Avatar
from persona.records.body_params import BodyParams, rest_params
from persona.records.motion import Motion

THICKEST_SOLE: Final = 0.06
"""Shoes lift a person by at most this much [m]; more is a hem on the floor, not a sole."""
STRAY_SHARE: Final = 0.05
"""Share of a foot's Gaussians that may hang below its sole: rims and strays lift nobody."""
FOOT_SHARE: Final = 0.8
"""A Gaussian belongs to a foot that carries at least this much of it."""
LOWEST_SHARE: Final = 0.001
"""Share of all Gaussians that may be below the floor in the photo's pose."""


def perform(avatar: Avatar, motion: Motion) -> Motion:
    """Give the motion as this person does it, soles of their shoes on the floor.

    Feet are planted under the person's own legs; expression and jaw are those of the photo, in
    which they look most like themselves.
    """
    grounded = ground_motion(motion, avatar.body, avatar.identity)
    transl = grounded.params.transl.clone()
    transl[:, 1] += sole_thickness(avatar)
    return wear_face(
        replace(grounded, params=replace(grounded.params, transl=transl)), photo_face(avatar)
    )


def sole_thickness(avatar: Avatar) -> float:
    """Measure how far the shoes reach below the naked soles [m], mean of both feet.

    At most `THICKEST_SOLE`; 0 for bare feet. What hangs below the feet and is not carried by
    them, such as a hem, does not count.
    """
    rig = leg_rig(avatar.body, avatar.identity)
    soles = (rig.pelvis + rig.hips + rig.thighs + rig.shins + rig.soles[:, 0])[:, 1]
    heights = avatar.pose(rest_params()).means[:, 1]
    depths = []
    for foot, joints in enumerate(zip(ANKLES, TOES, strict=True)):
        carried = torch.isin(avatar.binding.bone_ids, torch.tensor(joints))
        mine = (avatar.binding.bone_weights * carried).sum(1) > FOOT_SHARE
        below = float(soles[foot]) - heights[mine]
        depths.append(float(below.quantile(1 - STRAY_SHARE)) if bool(mine.any()) else 0.0)
    return min(max(sum(depths) / len(depths), 0.0), THICKEST_SOLE)


def photo_pose_on_floor(avatar: Avatar) -> BodyParams:
    """Give the photo's pose with the person standing on the floor at the world's origin."""
    params = replace(avatar.photo_params, betas=avatar.identity.betas)
    means = avatar.pose(params).means
    lowest = means[:, 1].kthvalue(max(1, round(LOWEST_SHARE * avatar.count))).values
    pelvis = params.transl + _pelvis_rest(avatar)
    return replace(params, transl=params.transl - torch.stack([pelvis[0], lowest, pelvis[2]]))


def _pelvis_rest(avatar: Avatar) -> torch.Tensor:
    return leg_rig(avatar.body, avatar.identity).pelvis.to(avatar.canonical.means)


def photo_face(avatar: Avatar) -> BodyParams:
    """Give the parameters of the photo, whose face an avatar keeps."""
    return replace(avatar.photo_params, betas=avatar.identity.betas)
