"""A person whose every pixel is known: the plain avatar's own picture, before a noisy wall."""

from dataclasses import replace

import torch

from persona.evaluation.methods import Drawn
from persona.evaluation.subjects import Subject, SubjectFrame
from persona.geometry.cameras import photo_camera
from persona.records.photo import Photo

WALL = 0.45


def true_frame(avatar, *, index=0, scale=1.0, params=None, size=None):
    """Draw the avatar as the truth: mask, picture before a wall, joints in its own metres."""
    camera = avatar.photo_camera if size is None else photo_camera(*size, 1.4 * size[1])
    camera = camera.scaled(scale)
    params = avatar.photo_params if params is None else params
    with torch.no_grad():
        shaped = replace(params, betas=avatar.identity.betas)
        joints = avatar.body.forward(shaped, joint_offsets=avatar.identity.joint_offsets).joints
        drawn = avatar.render(params, camera)
    mask = drawn.alpha.clamp(0, 1)
    own = drawn.color / mask[..., None].clamp(min=1e-6)
    # Colours of the person where the person is at all, a wall elsewhere.
    picture = torch.where(mask[..., None] > 1e-3, own, torch.tensor(WALL)).clamp(0, 1)
    return SubjectFrame(
        index=index,
        name=f"{index:06d}",
        picture=picture,
        mask=mask,
        camera=camera,
        params=params,
        joints=joints,
    )


def drawn_of(frame):
    """What a perfect method draws of a frame."""
    return Drawn(color=frame.picture * frame.mask[..., None], alpha=frame.mask)


def subject_of(avatar, count=4, *, scale=0.5, sway=0.06, name="ada", size=None):
    """A person who sways a little from frame to frame; the photo is the first moment."""

    def frame(index):
        params = avatar.photo_params
        moved = params.transl + torch.tensor([sway * index / max(count, 1), 0.0, 0.0])
        return true_frame(
            avatar, index=index, scale=scale, params=replace(params, transl=moved), size=size
        )

    still = true_frame(avatar)
    return Subject(
        name=name,
        dataset="truth",
        photo=Photo(rgb=still.picture, name=name),
        frame_count=count,
        read=lambda start: (frame(k) for k in range(start, count)),
        fps=30.0,
        still=still,
    )
