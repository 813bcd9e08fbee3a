"""A film of one full turn: an avatar from the frontal view, judged by the sides no photo shows.

The background must be plain, the steps even, the person still. The pose is fitted to the frontal
frame once. Which way it turns, and about which upright axis, is what lays the naked fitted body
best onto the outlines of all frames: three numbers for the whole film, the same for every method,
and no method is looked at.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from scipy import ndimage
from torch import Tensor

from persona.body import SmplxBody, load_body
from persona.body.skeleton import PARENTS
from persona.core.errors import InputError
from persona.core.types import Image, Mask
from persona.evaluation.methods import PLACING
from persona.evaluation.spec import SubjectSpec
from persona.evaluation.subjects import Subject, SubjectFrame
from persona.fitting.stage import FitBody
from persona.geometry.cameras import Camera, photo_camera
from persona.geometry.rotations import axis_angle_to_matrix
from persona.images.clips import open_clip
from persona.images.crops import resize
from persona.images.files import read_image
from persona.images.masks import largest_component, overlap
from persona.perception.stage import perceive
from persona.records.photo import Photo
from persona.rendering.body_maps import draw_body_maps

BACKGROUND_STEP: Final = 0.035
"""A pixel this far from the plain background shows the person [sRGB]."""
MOST_FRAMES: Final = 720
"""Views of a turn; all are held in memory."""
STEERING: Final = 8
"""About so many frames, spread evenly, say where the axis is."""
STEERING_ROWS: Final = 160
"""Rows of the outlines that say it [px]."""
AXIS_STEPS_M: Final = (0.08, 0.03, 0.01)
"""Moves of the axis that are tried, coarse to fine [m]."""


def turntable_subject(path: Path, spec: SubjectSpec, *, photo: Path | None = None) -> Subject:
    """Read a turn.

    Args:
        path: Film of one full turn.
        spec: Name; ``front`` is the frontal frame, 0 if left out.
        photo: The frontal view as a picture of its own, larger for example; None takes the frame.

    Raises:
        FileFormatError: It is no film.
        InputError: There are too few or too many views, or ``front`` is none of them.
        PhotoError: The frontal view is no photo of a whole person.
        FitError: No body explains it.
    """
    frames = _views(path, spec)
    front = 0 if spec.front is None else spec.front
    if not 0 <= front < len(frames):
        raise InputError(
            f"view {front} of {path.name} was named as the front",
            why=f"it has {len(frames)} views, counted from 0",
            fix="set front to the number of the frontal view",
        )
    masks = [plain_mask(frame) for frame in frames]
    turn = _Turn.of(frames, masks, front)
    given, still = Photo(rgb=frames[front], name=spec.name), turn.frame(0, front, frames, masks)
    if photo is not None:
        picture = read_image(photo)
        given = Photo(rgb=picture.rgb, alpha=picture.alpha, name=spec.name, digest=picture.digest)
        still = _still_of(given, turn.template)
    others = [k for k in range(len(frames)) if k != front]

    def read(start: int) -> Iterator[SubjectFrame]:
        return (
            turn.frame(number, others[number], frames, masks)
            for number in range(start, len(others))
        )

    return Subject(
        name=spec.name,
        dataset="turntable",
        photo=given,
        frame_count=len(others),
        read=read,
        still=still,
    )


def _still_of(photo: Photo, template: SubjectFrame) -> SubjectFrame:
    """Make a frame of a photo of its own, in metres of the turn.

    Both bodies were fitted to one picture each: their metres differ, bones tell by how much.
    """
    seen = perceive(photo)
    fit = FitBody(body=load_body())(seen, focal_px=photo.focal_px)
    with torch.no_grad():
        posed = load_body().forward(fit.params, joint_offsets=fit.identity.joint_offsets)
    assert template.joints is not None
    larger = bone_length(template.joints) / bone_length(posed.joints)
    return SubjectFrame(
        index=0,
        name="photo",
        picture=photo.rgb,
        mask=seen.mask,
        camera=photo_camera(*fit.image_size, fit.focal_px),
        params=fit.params,
        joints=posed.joints * larger,
    )


def bone_length(joints: Float[Tensor, "55 3"]) -> float:
    """Add up the bones of trunk, arms and legs [m]; a pose changes none of them."""
    bones = joints[1:PLACING] - joints[list(PARENTS[1:PLACING])]
    return float(bones.norm(dim=1).sum())


def plain_mask(frame: Image) -> Mask:
    """Cut a person out of a plain background, holes filled."""
    rim = torch.cat([frame[0], frame[:, 0], frame[:, -1]])
    away = (frame - rim.median(0).values).abs().amax(-1) > BACKGROUND_STEP
    solid = ndimage.binary_fill_holes(ndimage.binary_opening(away.numpy()))
    return largest_component(torch.from_numpy(solid).float())


def turned(camera: Camera, axis: Float[Tensor, " 3"], yaw_deg: float) -> Camera:
    """Turn the person about an upright axis, by moving the camera the other way."""
    turn = torch.eye(4)
    turn[:3, :3] = axis_angle_to_matrix(torch.tensor([0.0, math.radians(yaw_deg), 0.0]))
    turn[:3, 3] = axis - turn[:3, :3] @ axis
    return replace(camera, T_camera_world=camera.T_camera_world @ turn)


def _views(path: Path, spec: SubjectSpec) -> list[Image]:
    views = []
    for frame in open_clip(path).frames():
        if len(views) == MOST_FRAMES:
            break
        image = torch.from_numpy(frame.picture.astype(np.float32) / 255)
        height, width = image.shape[:2]
        if height > spec.rows:
            wide = round(width * spec.rows / height)
            image = resize(image, width=wide, height=spec.rows)
        views.append(image)
    if not 4 <= len(views) < MOST_FRAMES:
        raise InputError(
            f"{path.name} has {len(views)} views",
            why=f"a turn is taken in 4 to {MOST_FRAMES - 1} even steps",
            fix="keep one frame of each step",
        )
    return views


@dataclass(frozen=True, eq=False, kw_only=True)
class _Turn:
    """A body, and where every view's camera stands."""

    template: SubjectFrame
    """The frontal view: pose and joints are those of all views."""
    axis: Float[Tensor, " 3"]
    """A point of the axis [m]."""
    step_deg: float
    """Turn from view to view, signed."""
    front: int
    """Which view the pose was fitted to."""

    @classmethod
    def of(cls, frames: list[Image], masks: list[Mask], front: int) -> "_Turn":
        body = load_body()
        photo = Photo(rgb=frames[front], alpha=masks[front], name="front")
        fit = FitBody(body=body)(perceive(photo))
        with torch.no_grad():
            posed = body.forward(fit.params, joint_offsets=fit.identity.joint_offsets)
        camera = photo_camera(*fit.image_size, fit.focal_px)
        template = SubjectFrame(
            index=0,
            name="front",
            picture=frames[front],
            mask=masks[front],
            camera=camera,
            params=fit.params,
            joints=posed.joints,
        )
        step = 360.0 / len(frames)
        search = _Search.of(body, posed.vertices, camera, masks, front)
        tried = [search.climbed(posed.joints[0], sign * step) for sign in (1.0, -1.0)]
        sign, (_, axis) = max(zip((1.0, -1.0), tried, strict=True), key=lambda pair: pair[1][0])
        return cls(template=template, axis=axis, step_deg=sign * step, front=front)

    def frame(self, number: int, view: int, frames: list[Image], masks: list[Mask]) -> SubjectFrame:
        """Give a view as a frame."""
        yaw = self.step_deg * (view - self.front)
        return replace(
            self.template,
            index=number,
            name=f"{(yaw + 180) % 360 - 180:+.0f} deg",
            picture=frames[view],
            mask=masks[view],
            camera=turned(self.template.camera, self.axis, yaw),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Search:
    """Looks for the axis by small outlines of the naked body."""

    body: SmplxBody
    vertices: Float[Tensor, "v 3"]
    camera: Camera
    masks: dict[int, Mask]
    front: int

    @classmethod
    def of(
        cls,
        body: SmplxBody,
        vertices: Float[Tensor, "v 3"],
        camera: Camera,
        masks: list[Mask],
        front: int,
    ) -> "_Search":
        small = camera.scaled(STEERING_ROWS / camera.height)
        every = max(1, len(masks) // STEERING)
        chosen = [k for k in range(front % every, len(masks), every) if k != front]
        return cls(
            body=body,
            vertices=vertices,
            camera=small,
            masks={k: resize(masks[k], width=small.width, height=small.height) for k in chosen},
            front=front,
        )

    def climbed(
        self, axis: Float[Tensor, " 3"], step_deg: float
    ) -> tuple[float, Float[Tensor, " 3"]]:
        """Move the axis sideways and in depth as long as the outlines agree better."""
        best = self._agreement(axis, step_deg)
        for size in AXIS_STEPS_M:
            better = True
            while better:
                better = False
                for move in ((size, 0.0), (-size, 0.0), (0.0, size), (0.0, -size)):
                    tried = axis + torch.tensor([move[0], 0.0, move[1]])
                    found = self._agreement(tried, step_deg)
                    if found > best + 1e-4:
                        best, axis, better = found, tried, True
        return best, axis

    def _agreement(self, axis: Float[Tensor, " 3"], step_deg: float) -> float:
        total = 0.0
        for view, mask in self.masks.items():
            camera = turned(self.camera, axis, step_deg * (view - self.front))
            drawn = draw_body_maps(self.vertices, self.body.faces, camera).mask
            total += overlap(drawn.float(), mask)
        return total / len(self.masks)
