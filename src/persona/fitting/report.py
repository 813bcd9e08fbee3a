"""Draw a fit for human judgement: over the photo, and from the angles the photo does not show."""

import math
from typing import Final

import cv2
import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from persona.body import BodyPose, SmplxBody
from persona.core.types import Image
from persona.fitting.evidence import WORKING_HEIGHT_PX
from persona.fitting.points import pose_landmarks
from persona.fitting.terms_landmarks import KEYPOINT_WEIGHTS
from persona.geometry.cameras import Camera, photo_camera
from persona.records.body_fit import BodyFit
from persona.records.observation import Observation
from persona.records.photo import Photo
from persona.rendering.body_maps import draw_body_maps

MARGIN: Final = 0.06
"""Free space around the person, in person heights."""
SIDE_YAWS_DEG: Final = (45.0, 90.0)
"""Turns of the body in the further panels; at 90 it looks to the right of the picture."""
CLAY: Final = (0.60, 0.74, 0.80)
"""Colour of the body, sRGB."""
LIGHT: Final = (-0.35, -0.5, -0.8)
"""Direction towards the lamp, camera frame: from the viewer's upper left."""
COVER: Final = 0.62
"""Opacity of the body over the photo."""
SEEN_RGB, FITTED_RGB = (0.1, 0.75, 0.2), (0.95, 0.1, 0.1)
"""Colours of detected landmarks and of the lines to the fitted ones."""


def posed_fit(body: SmplxBody, fit: BodyFit) -> BodyPose:
    """Pose the body as the photo shows it."""
    return body.forward(
        fit.params,
        joint_offsets=fit.identity.joint_offsets,
        vertex_offsets=fit.identity.vertex_offsets,
    )


def draw_fit(photo: Photo, observation: Observation, body: SmplxBody, fit: BodyFit) -> Image:
    """Draw four panels: the photo, the fit over it, and the body turned by 45 and 90 degrees.

    The person is 512 px tall. Green dots are detected landmarks, red lines lead to the fitted
    ones; the mean length of those that count is written above.

    Args:
        photo: The upright photo.
        observation: What was seen in it.
        body: The body of the fit.
        fit: What to judge.
    """
    with torch.no_grad():
        posed = posed_fit(body, fit)
        window, camera = _window(photo, observation, fit)
        pixels, _ = camera.project(pose_landmarks(body, posed))
        scale = WORKING_HEIGHT_PX / observation.person_height_px
        center = torch.tensor(fit.image_size) / 2 * scale
        seen = observation.body * scale - center + torch.tensor(camera.center_px)
        front = _covered(window, posed.vertices, body, camera)
        panels = [window, _marked(front, seen, pixels)]
        for yaw in SIDE_YAWS_DEG:
            turned = _turned(posed.vertices, yaw)
            panels.append(_covered(np.ones_like(window), turned, body, camera, cover=1.0))
    text = (
        f"{fit.keypoint_error_px:.1f} px  IoU {fit.body_iou:.2f}  lean {fit.lean_m * 100:+.0f} cm"
    )
    sheet = np.ascontiguousarray(np.concatenate(panels, 1))
    # OpenCV 5 writes on bytes alone.
    ink = np.zeros(sheet.shape[:2], np.uint8)
    cv2.putText(ink, text, (window.shape[1] + 6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    sheet[ink > 0] = FITTED_RGB
    return torch.from_numpy(sheet.clip(0, 1))


def _window(
    photo: Photo, observation: Observation, fit: BodyFit
) -> tuple[NDArray[np.float32], Camera]:
    """Cut out the person 512 px tall, on white where the photo is transparent or ends."""
    scale = WORKING_HEIGHT_PX / observation.person_height_px
    left, top, right, bottom = (edge * scale for edge in observation.box)
    margin = MARGIN * WORKING_HEIGHT_PX
    # Turned sideways, an outstretched arm or a lunge needs more room than the picture shows.
    half = max((right - left) / 2 + margin, 0.32 * WORKING_HEIGHT_PX)
    left, top = (left + right) / 2 - half, top - margin
    width, height = math.ceil(2 * half), math.ceil(bottom + margin - top)
    rgb = photo.rgb.numpy()
    if photo.alpha is not None:
        alpha = photo.alpha.numpy()[..., None]
        rgb = rgb * alpha + 1 - alpha
    if scale < 1:
        rgb = cv2.GaussianBlur(rgb, (0, 0), 0.4 / scale)
    warp = np.array([[scale, 0, 0.5 * scale - left - 0.5], [0, scale, 0.5 * scale - top - 0.5]])
    window = cv2.warpAffine(rgb, warp, (width, height), borderValue=(1.0, 1.0, 1.0))
    whole = photo_camera(*fit.image_size, fit.focal_px).scaled(scale)
    return window.astype(np.float32), whole.cropped(left, top, width, height)


def _covered(
    background: NDArray[np.float32],
    vertices: Float[Tensor, "v 3"],
    body: SmplxBody,
    camera: Camera,
    *,
    cover: float = COVER,
) -> NDArray[np.float32]:
    """Draw the body in clay over a picture."""
    maps = draw_body_maps(vertices, body.faces, camera)
    light = torch.nn.functional.normalize(torch.tensor(LIGHT), dim=0)
    shade = 0.35 + 0.65 * (maps.normal @ light).clamp(min=0)
    clay = (shade[..., None] * torch.tensor(CLAY)).numpy()
    share = maps.mask.numpy()[..., None] * cover
    return (background * (1 - share) + clay * share).astype(np.float32)


def _turned(vertices: Float[Tensor, "v 3"], yaw_deg: float) -> Float[Tensor, "v 3"]:
    """Turn the body about the vertical axis through its middle."""
    angle = math.radians(yaw_deg)
    c, s = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    middle = (vertices.amax(0) + vertices.amin(0)) / 2
    return (vertices - middle) @ turn.T + middle


def _marked(
    picture: NDArray[np.float32], seen: Float[Tensor, "33 2"], fitted: Float[Tensor, "33 2"]
) -> NDArray[np.float32]:
    """Draw landmarks and their misses."""
    marked = np.ascontiguousarray(picture)
    for k in KEYPOINT_WEIGHTS:
        start = tuple(round(float(v)) for v in seen[k])
        end = tuple(round(float(v)) for v in fitted[k])
        cv2.line(marked, start, end, FITTED_RGB, 1, cv2.LINE_AA)
        cv2.circle(marked, start, 2, SEEN_RGB, -1, cv2.LINE_AA)
    return marked
