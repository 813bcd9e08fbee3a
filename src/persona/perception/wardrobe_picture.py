"""Draw on the photo where clothes were taken to end, for somebody who may know better."""

from typing import Final

import cv2
import numpy as np
import torch
from jaxtyping import Float

from persona.core.types import Image
from persona.perception.garments import ARMS, LEGS, at
from persona.perception.trunk import CHIN
from persona.records.observation import Observation
from persona.records.photo import Photo
from persona.records.wardrobe import Upper, Wardrobe

HEIGHT_PX: Final = 640
"""Height of the person in the picture [px]."""
MARGIN: Final = 0.05
"""Free space around the person, in person heights."""
HEM_RGB, SLEEVE_RGB, WAIST_RGB, NECK_RGB, HAIR_RGB = (
    *((0.95, 0.15, 0.10), (0.10, 0.55, 0.95), (0.95, 0.70, 0.05)),
    *((0.15, 0.75, 0.25), (0.70, 0.25, 0.85)),
)
"""Colours of the lines."""
LIMB_SHARE: Final = 0.30
"""Length of a line across a limb, in torso lengths."""


def draw_wardrobe(photo: Photo, observation: Observation, wardrobe: Wardrobe) -> Image:
    """Draw hems, sleeve ends, waist, neckline and hair on the photo, with the class in words.

    Args:
        photo: The upright photo.
        observation: What was seen in it.
        wardrobe: What to judge.
    """
    window, scale, origin = _window(photo, observation)
    body = (observation.body.numpy() - origin) * scale
    torso = float(np.linalg.norm(body[11:13].mean(0) - body[23:25].mean(0)))
    for leg, hem in zip(LEGS, wardrobe.hems, strict=True):
        _across(window, body[list(leg)], hem, LIMB_SHARE * torso, HEM_RGB)
    if wardrobe.is_tube:
        ends = [
            at(body[list(leg)], np.array([hem]))[0][0]
            for leg, hem in zip(LEGS, wardrobe.hems, strict=True)
        ]
        _line(window, ends[0], ends[1], HEM_RGB)
    if wardrobe.upper is not Upper.NONE:
        for arm, sleeve in zip(ARMS, wardrobe.sleeves, strict=True):
            _across(window, body[list(arm)], sleeve, LIMB_SHARE * torso, SLEEVE_RGB)
        _level(window, body, wardrobe.upper_hem, SLEEVE_RGB)
        _neckline(window, body, observation, scale, origin, wardrobe.neck)
    _level(window, body, wardrobe.waist, WAIST_RGB)
    if wardrobe.hair > 0 and observation.face is not None:
        chin = (observation.face[CHIN, :2].numpy() - origin) * scale
        end, aside = chin + np.array([0, wardrobe.hair * torso]), np.array([0.3 * torso, 0])
        _line(window, end - aside, end + aside, HAIR_RGB)
    return torch.from_numpy(_labelled(window, wardrobe).clip(0, 1))


def _window(
    photo: Photo, observation: Observation
) -> tuple[Float[np.ndarray, "h w 3"], float, Float[np.ndarray, " 2"]]:
    """Cut out the person; the picture, its pixels per pixel of the photo, and its corner."""
    scale = HEIGHT_PX / observation.person_height_px
    left, top, right, bottom = observation.box
    margin = MARGIN * observation.person_height_px
    origin = np.array([left - margin, top - margin])
    size = np.ceil((np.array([right, bottom]) + margin - origin) * scale).astype(int)
    rgb = photo.rgb.numpy()
    if photo.alpha is not None:
        alpha = photo.alpha.numpy()[..., None]
        rgb = rgb * alpha + 1 - alpha
    if scale < 1:
        rgb = cv2.GaussianBlur(rgb, (0, 0), 0.4 / scale)
    shift = 0.5 * scale - 0.5 - origin * scale
    warp = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    window = cv2.warpAffine(rgb, warp, (int(size[0]), int(size[1])), borderValue=(1.0, 1.0, 1.0))
    return np.ascontiguousarray(window.astype(np.float32)), scale, origin


def _across(
    window: np.ndarray,
    points: Float[np.ndarray, "k 2"],
    t: float,
    length: float,
    color: tuple[float, float, float],
) -> None:
    """Draw a line across a limb."""
    middle, unit = at(points, np.array([min(t, len(points) - 0.8)]))
    side = np.array([-unit[0, 1], unit[0, 0]]) * length / 2
    _line(window, middle[0] - side, middle[0] + side, color)


def _level(
    window: np.ndarray, body: Float[np.ndarray, "33 2"], level: float, color: tuple[float, ...]
) -> None:
    """Draw a line across the trunk, or across both thighs below it."""
    if level <= 1:
        ends = [body[11 + s] + level * (body[23 + s] - body[11 + s]) for s in (0, 1)]
    else:
        ends = [at(body[list(leg)], np.array([level - 1]))[0][0] for leg in LEGS]
    _line(window, ends[0] * 1.15 - ends[1] * 0.15, ends[1] * 1.15 - ends[0] * 0.15, color)


def _neckline(
    window: np.ndarray,
    body: Float[np.ndarray, "33 2"],
    observation: Observation,
    scale: float,
    origin: Float[np.ndarray, " 2"],
    neck: float,
) -> None:
    shoulders = body[11:13].mean(0)
    if observation.face is None:
        return
    chin = (observation.face[CHIN, :2].numpy() - origin) * scale
    middle = shoulders + neck * (chin - shoulders)
    half = 0.15 * (body[11] - body[12])
    _line(window, middle - half, middle + half, NECK_RGB)


def _line(window: np.ndarray, a: np.ndarray, b: np.ndarray, color: tuple[float, ...]) -> None:
    ends = [tuple(int(v) for v in np.round(end)) for end in (a, b)]
    cv2.line(window, *ends, (1.0, 1.0, 1.0), 4, cv2.LINE_AA)
    cv2.line(window, *ends, color, 2, cv2.LINE_AA)


def _labelled(window: np.ndarray, wardrobe: Wardrobe) -> Float[np.ndarray, "h w 3"]:
    """Write class, confidence and doubts under the picture."""
    upper = "dress" if wardrobe.one_piece else wardrobe.upper.value
    lines = [
        f"{wardrobe.lower.value}: {wardrobe.confidence.value}",
        f"over it: {upper}; places: {wardrobe.level_confidence.value}",
        ", ".join(doubt.value for doubt in wardrobe.doubts),
    ]
    # OpenCV 5 writes on bytes alone.
    foot = np.full((60, window.shape[1], 3), 255, np.uint8)
    for row, text in enumerate(lines):
        size = min(0.5, 0.5 * (window.shape[1] - 8) / max(1, 9 * len(text)))
        place = (4, 16 + 18 * row)
        cv2.putText(foot, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([window, (foot / 255).astype(np.float32)])
