"""The photo as frames to train on: the whole person, and the face as large as the photo has it."""

from dataclasses import replace
from typing import Final

import torch

from persona.avatar.avatar import Avatar
from persona.avatar.rates import at_rest
from persona.optimization.joint_frames import HEAD_JOINTS, main_joints
from persona.optimization.offsets import one_frame
from persona.optimization.view import WorkingView, extend_edges, working_view
from persona.records.body_fit import BodyFit
from persona.records.frame_set import FACE_PX, FACE_ROOM, PHOTO, Clip, Picture, picture_from
from persona.records.motion import Motion
from persona.records.observation import Observation, Part
from persona.records.photo import Photo

EDGE_INSET_PX: Final = 2
"""Pixels at the photo's rim whose colours are replaced: they mix person and background."""
LEAST_GAIN: Final = 1.2
"""How much larger the patch must show the face than the whole picture does, to be worth it [-]."""


def photo_clip(
    avatar: Avatar,
    photo: Photo,
    observation: Observation,
    fit: BodyFit,
    *,
    person_height: int,
) -> Clip:
    """Make the clip of one frame that the photo is: the whole person, then perhaps the face.

    Colours are continued beyond the outline. The face's patch is never larger than the photo's own
    pixels: what is not there cannot be learned.

    Args:
        avatar: As the photo alone made it; its fit may differ from ``fit`` by tucked hands.
        photo: Upright picture.
        observation: What was seen in it.
        fit: The camera's focal length and the picture's size.
        person_height: Rows that the person fills in the whole picture [px].
    """
    view = working_view(photo, observation, fit, person_height=person_height)
    pictures = [_picture(view)]
    box = _face_box(avatar)
    pixels = (box[3] - box[1]) / (1 + 2 * FACE_ROOM)
    rows = min(FACE_PX / (1 + 2 * FACE_ROOM), pixels)
    if pixels > 0 and rows / pixels >= LEAST_GAIN * view.scale:
        near = replace(observation, box=box)
        pictures.append(_picture(working_view(photo, near, fit, person_height=round(rows))))
    return Clip(
        source=PHOTO,
        motion=Motion(params=one_frame(avatar.photo_params), fps=1.0, name=PHOTO),
        rates=at_rest(),
        pictures=tuple(pictures),
    )


def _picture(view: WorkingView) -> Picture:
    colors = extend_edges(view, inset=EDGE_INSET_PX)
    return picture_from(0, view.camera, colors, view.mask, parts=view.parts)


def _face_box(avatar: Avatar) -> tuple[float, float, float, float]:
    """Box in the head as the photo shows it: left, top, right, bottom [px]; empty without one."""
    face = torch.isin(main_joints(avatar), torch.tensor(HEAD_JOINTS))
    face &= (avatar.parts != int(Part.HAIR)) & avatar.seen
    with torch.no_grad():
        pixels, _ = avatar.photo_camera.project(avatar.pose(avatar.photo_params).means[face])
    if not len(pixels):
        return 0.0, 0.0, 0.0, 0.0
    low, high = pixels.amin(0), pixels.amax(0)
    room = FACE_ROOM * float(high[1] - low[1])
    return (
        float(low[0]) - room,
        float(low[1]) - room,
        float(high[0]) + room,
        float(high[1]) + room,
    )
