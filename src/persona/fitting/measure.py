"""Numbers of a finished fit, measured on the real posed body, and the gates they must pass."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from persona.body import BodyPose, SmplxBody
from persona.core.errors import FitError
from persona.fitting.evidence import WORKING_HEIGHT_PX
from persona.fitting.points import pose_landmarks
from persona.geometry.cameras import Camera
from persona.records.observation import Observation
from persona.rendering.body_maps import draw_body_maps

MAX_KEYPOINT_ERROR_PX: Final = 5.0
"""Mean keypoint error that is refused, the person scaled to 512 px."""
MIN_BODY_IOU: Final = 0.75
"""Overlap of naked body and mask below which the fit is refused; good photos reach 0.8."""
WIDE_INSIDE: Final = 0.96
"""Share of the body inside the mask from which wide clothes, not the pose, explain less overlap."""
WIDE_KEYPOINT_ERROR_PX: Final = 3.7
"""Mean keypoint error up to which they do: that of good photos."""
WIDE_BODY_IOU: Final = 0.5
"""Overlap that the widest skirt leaves: less is no person's outline."""
JUDGED: Final = (*range(11, 17), *range(23, 33))
"""Landmarks that count: shoulders to toes. Eyes and ears of the body detector are guesses beside
the face mesh, which has 478 points for them."""
NEAR_M: Final = 0.09
"""Mask farther from the body than this [m] shows bags, brims and skirts, and is not held against
the fit: a bag at the knee alone costs 5 % of overlap."""
CONFIDENT: Final = 0.5
"""Visibility from which a landmark counts in the error."""


@dataclass(frozen=True, kw_only=True)
class FitNumbers:
    """How well a posed body explains a photo."""

    keypoint_error_px: float
    """Mean distance of confident body landmarks, the person scaled to 512 px."""
    body_iou: float
    """Overlap of the naked body with what of the mask lies within `NEAR_M` of it."""
    lean_m: float
    """Ankles behind the pelvis, positive away from the camera."""
    body_inside: float = 0.0
    """Share of the naked body that the mask covers: a wrong pose sticks out, wide clothes do not
    matter."""

    @property
    def in_wide_clothes(self) -> bool:
        """Whether the body lies well inside the outline with its joints in place."""
        return (
            self.body_inside >= WIDE_INSIDE
            and self.keypoint_error_px <= WIDE_KEYPOINT_ERROR_PX
            and self.body_iou >= WIDE_BODY_IOU
        )


def measure_fit(
    body: SmplxBody, posed: BodyPose, camera: Camera, observation: Observation
) -> FitNumbers:
    """Measure a fit in the photo it was made from."""
    scale = WORKING_HEIGHT_PX / observation.person_height_px
    marks = pose_landmarks(body, posed)
    pixels, _ = camera.project(marks)
    judged = [k for k in JUDGED if float(observation.body_confidence[k]) >= CONFIDENT]
    error = (pixels - observation.body)[judged].norm(dim=-1).mean() * scale
    small = camera.scaled(scale)
    covered = draw_body_maps(posed.vertices, body.faces, small).mask.numpy()
    size = (small.width, small.height)
    mask = cv2.resize(observation.mask.numpy(), size, interpolation=cv2.INTER_AREA) > 0.5
    inside = (covered & mask).sum() / max(covered.sum(), 1)
    away = cv2.distanceTransform((~covered).astype(np.uint8), cv2.DIST_L2, 5)
    depth = -float(posed.joints[0, 2])
    mask &= away < NEAR_M * small.focal_px / depth
    union = (covered | mask).sum()
    ankles = posed.joints[[7, 8], 2].mean()
    return FitNumbers(
        keypoint_error_px=float(error),
        body_iou=float((covered & mask).sum() / union) if union else 0.0,
        lean_m=float(posed.joints[0, 2] - ankles),
        body_inside=float(inside),
    )


def check_fit(numbers: FitNumbers, *, allow_partial: bool) -> tuple[str, ...]:
    """Refuse a fit that does not explain the photo; with ``allow_partial`` warn instead.

    Raises:
        FitError: The error in keypoints is too large or the overlap too small.
    """
    faults = []
    if not numbers.keypoint_error_px <= MAX_KEYPOINT_ERROR_PX:
        faults.append(
            (
                f"the body's joints miss the photo's by {numbers.keypoint_error_px:.1f} px",
                f"above {MAX_KEYPOINT_ERROR_PX:g} px (person scaled to 512 px) the avatar's limbs "
                "would wear the wrong pixels",
            )
        )
    if not (numbers.body_iou >= MIN_BODY_IOU or numbers.in_wide_clothes):
        faults.append(
            (
                f"the fitted body covers only {numbers.body_iou:.0%} of the person",
                f"below {MIN_BODY_IOU:.0%} the pose is wrong or the clothes hide the body",
            )
        )
    if faults and not allow_partial:
        what, why = faults[0]
        raise FitError(
            what,
            why=why,
            fix="use a photo with the whole body in view, arms off the trunk, in closer-fitting "
            "clothes; or pass --allow-partial to go on with this fit",
        )
    return tuple(f"{what}: {why}" for what, why in faults)
