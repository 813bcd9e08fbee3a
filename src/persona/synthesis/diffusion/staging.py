"""Set the stage: the photo's person on white in the generator's picture, and a motion in place."""

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from scipy.signal import savgol_filter
from torch import Tensor

from persona.body import SmplxBody
from persona.geometry.cameras import Camera, photo_camera
from persona.records.body_fit import BodyFit
from persona.records.body_params import BodyParams
from persona.records.motion import Motion
from persona.records.observation import Observation
from persona.records.photo import Photo

PERSON_SHARE: Final = 0.68
"""Share of the picture's height that the person of the photo fills: arms are raised in motions."""
WIDEST_SHARE: Final = 0.9
"""Share of its width that they fill at most."""
FEET_SHARE: Final = 0.9
"""Where the lowest point of the person is, share of the height."""
MARGIN_SHARE: Final = 0.04
"""Room that is kept at the sides, share of the width."""
SMOOTHING_FRAMES, SMOOTHING_ORDER = 9, 2
"""Savitzky-Golay window and order of the root; METHOD.md B."""


@dataclass(frozen=True, kw_only=True)
class Staged:
    """The photo as the generator gets it."""

    picture: UInt8[Tensor, "h w 3"]
    """The person on white, sRGB."""
    camera: Camera
    """The photo's camera for this picture; the world is the photo's."""


def stage_photo(
    photo: Photo, observation: Observation, fit: BodyFit, *, width: int, height: int
) -> Staged:
    """Cut the person out, put them on white, and give the camera that sees them so.

    A photo of any aspect will do: what it lacks is white.
    """
    left, top, right, bottom = observation.box
    scale = min(
        PERSON_SHARE * height / (bottom - top),
        WIDEST_SHARE * width / (right - left),
    )
    shift_x = width / 2 - scale * (left + right) / 2
    shift_y = FEET_SHARE * height - scale * bottom
    alpha = observation.mask[..., None]
    on_white = (photo.rgb * alpha + (1 - alpha)).clamp(0, 1).numpy().astype(np.float32)
    if scale < 1:
        # Shrinking by interpolation alone aliases: blur first what will not be seen.
        sigma = 0.5 / scale - 0.5
        on_white = cv2.GaussianBlur(on_white, (0, 0), sigma) if sigma > 0.1 else on_white
    # Pixel centres lie at halves here, at integers in OpenCV.
    half = 0.5 * scale - 0.5
    affine = np.array([[scale, 0, shift_x + half], [0, scale, shift_y + half]])
    shown = cv2.warpAffine(
        on_white,
        affine,
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(1.0, 1.0, 1.0),
    )
    seen = photo_camera(photo.width, photo.height, fit.focal_px)
    camera = replace(
        seen,
        width=width,
        height=height,
        focal_px=fit.focal_px * scale,
        center_px=(
            seen.center_px[0] * scale + shift_x,
            seen.center_px[1] * scale + shift_y,
        ),
    )
    return Staged(
        picture=torch.from_numpy((shown * 255).round().astype(np.uint8)),
        camera=camera,
    )


def stage_motion(motion: Motion, body: SmplxBody, fit: BodyFit, camera: Camera) -> Motion:
    """Put a motion where the photo's person stands, and keep it inside the picture.

    The floor is that of the photo's feet, the first frame's pelvis is over the photo's. Where bones
    would leave the picture at the sides the root is brought back, smoothly. Hands are flat and the
    face is neutral, as generators draw both badly from what a skeleton says of them.

    Args:
        motion: Grounded on this person's legs: floor at y = 0, facing +z.
        body: Of the fit.
        fit: Whose body, and where it stands in the photo.
        camera: Of the generator's picture.
    """
    with torch.no_grad():
        at_photo = body.forward(fit.params, joint_offsets=fit.identity.joint_offsets)
        rest = _neutral(motion.params, fit)
        first = body.forward(rest.frame(0), joint_offsets=fit.identity.joint_offsets)
        place = at_photo.joints[0] - first.joints[0]
        place[1] = at_photo.vertices[:, 1].min()
        moved = replace(rest, transl=rest.transl + place)
        joints = body.articulate(moved, joint_offsets=fit.identity.joint_offsets)
        centres = _joints(body, moved, fit, joints.T_posed_rest)
    aside = _back_into_picture(centres, camera)
    transl = moved.transl.clone()
    transl[:, 0] += torch.from_numpy(aside).to(transl)
    return replace(motion, params=replace(moved, transl=transl), loops=False)


def _neutral(params: BodyParams, fit: BodyFit) -> BodyParams:
    still = {
        name: torch.zeros_like(getattr(params, name))
        for name in ("expression", "jaw_pose", "leye_pose", "reye_pose")
    }
    still |= {
        name: torch.zeros_like(getattr(params, name))
        for name in ("left_hand_pose", "right_hand_pose")
    }
    betas = fit.identity.betas.expand(len(params.transl), -1)
    return replace(params, betas=betas, **still)


def _joints(
    body: SmplxBody, params: BodyParams, fit: BodyFit, bones: Float[Tensor, "t 55 4 4"]
) -> Float[Tensor, "t 55 3"]:
    first = body.forward(params.frame(0), joint_offsets=fit.identity.joint_offsets)
    rest = first.rest_joints[None, ..., None]
    return (bones[..., :3, :3] @ rest)[..., 0] + bones[..., :3, 3]


def _back_into_picture(joints: Float[Tensor, "t 55 3"], camera: Camera) -> Float[np.ndarray, " t"]:
    """Say how far each frame must go along x for all joints to be inside [m]."""
    pixels, depth = camera.project(joints)
    margin = MARGIN_SHARE * camera.width
    low = (margin - pixels[..., 0].amin(1)).clamp(min=0)
    high = (pixels[..., 0].amax(1) - (camera.width - margin)).clamp(min=0)
    metres = ((low - high) * depth[:, 0] / camera.focal_px).numpy()
    window = min(SMOOTHING_FRAMES, len(metres) - (len(metres) + 1) % 2)
    if window <= SMOOTHING_ORDER:
        return metres
    return np.asarray(savgol_filter(metres, window, SMOOTHING_ORDER))
