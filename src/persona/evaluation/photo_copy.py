"""The least baseline: the person cut out of the photo, moved and scaled to where the pose is."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar import Avatar
from persona.core.types import Image, Mask
from persona.evaluation.avatar_drawer import placement_of
from persona.evaluation.methods import Drawn, Placement
from persona.evaluation.subjects import Subject, SubjectFrame
from persona.geometry.cameras import Camera
from persona.records.body_params import BodyParams


@dataclass(frozen=True, eq=False, kw_only=True)
class CopyDrawer:
    """Draws the same picture whatever the pose; see `methods.Drawer`. It has no surface."""

    placement: Placement
    """Whose joints say where and how large."""
    photo: Image
    """The picture."""
    mask: Mask
    """Where the person is in it."""
    joints_px: Float[Tensor, "22 2"]
    """The joints in the photo [px]."""

    @classmethod
    def of(cls, avatar: Avatar, subject: Subject, mask: Mask) -> "CopyDrawer":
        """Cut the person out; of the avatar only body, pose and camera are used."""
        placement = placement_of(avatar, subject)
        return cls(
            placement=placement,
            photo=subject.photo.rgb,
            mask=mask,
            joints_px=_joints(placement, avatar.photo_params, avatar.photo_camera),
        )

    def draw(
        self, frame: SubjectFrame, *, camera: Camera | None = None, maps: bool = False
    ) -> Drawn:
        """Draw a frame."""
        seen = self.placement.camera(frame, camera)
        wanted = _joints(self.placement, self.placement.params(frame), seen)
        middle, center = self.joints_px.mean(0), wanted.mean(0)
        spread = [(p - p.mean(0)).square().sum().sqrt() for p in (wanted, self.joints_px)]
        scale = float(spread[0] / spread[1])
        # OpenCV's pixel centres are whole numbers, ours halves.
        shift = center - scale * middle + 0.5 * scale - 0.5
        warp = np.array([[scale, 0, float(shift[0])], [0, scale, float(shift[1])]])
        layers = torch.cat([self.photo * self.mask[..., None], self.mask[..., None]], -1).numpy()
        if scale < 1:
            layers = cv2.GaussianBlur(layers, (0, 0), 0.4 / scale)
        moved = torch.from_numpy(cv2.warpAffine(layers, warp, (seen.width, seen.height)))
        return Drawn(color=moved[..., :3].clamp(0, 1), alpha=moved[..., 3].clamp(0, 1))


def _joints(placement: Placement, params: BodyParams, camera: Camera) -> Float[Tensor, "22 2"]:
    return camera.project(placement.joints(params))[0]
