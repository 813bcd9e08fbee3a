"""MediaPipe behind one door: quiet, loaded once, fed with square windows, closed at the end."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, TypeAlias

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Picture: TypeAlias = UInt8[np.ndarray, "h w 3"]
"""sRGB bytes."""
Plane: TypeAlias = Float[np.ndarray, "h w"]
"""One number a pixel."""
SmallPicture: TypeAlias = UInt8[np.ndarray, "sh sw 3"]
"""The same, at another size."""
SmallPlane: TypeAlias = Float[np.ndarray, "sh sw"]

DETECTION_SIZES = (640, 1024, 400)
"""Window sizes to look at [px]; whether someone is found depends on it."""


@dataclass(frozen=True)
class Window:
    """A square part of a photo, which may reach over its border."""

    left: float
    top: float
    side: float
    """Length of an edge [px of the photo]."""

    @classmethod
    def around(cls, box: tuple[float, float, float, float], *, margin: float) -> "Window":
        """Enclose ``box`` (left, top, right, bottom), plus ``margin`` times its longer side."""
        left, top, right, bottom = box
        side = max(right - left, bottom - top) * (1 + 2 * margin)
        return cls((left + right - side) / 2, (top + bottom - side) / 2, side)

    def cut(self, picture: Picture, *, pixels: int) -> SmallPicture:
        """Resample this window to ``pixels`` x ``pixels``; beyond the border, the mean colour."""
        height, width = picture.shape[:2]
        left, right = np.clip([int(self.left) - 2, int(self.left + self.side) + 3], 0, width)
        top, bottom = np.clip([int(self.top) - 2, int(self.top + self.side) + 3], 0, height)
        if left == right or top == bottom:
            left, right, top, bottom = 0, 1, 0, 1
        # Shrinking by interpolation alone would skip pixels: average whole blocks first.
        block = max(int(self.side / pixels), 1)
        part = picture[top:bottom, left:right]
        size = (max(-(-(right - left) // block), 1), max(-(-(bottom - top) // block), 1))
        whole = (size[1] * block - (bottom - top), size[0] * block - (right - left))
        if block > 1:
            part = cv2.copyMakeBorder(part, 0, whole[0], 0, whole[1], cv2.BORDER_REPLICATE)
            part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        scale = pixels / (self.side / block)
        # Pixel centres lie at half integers here and at integers in cv2.
        shift_x = ((left - self.left) / block + 0.5) * scale - 0.5
        shift_y = ((top - self.top) / block + 0.5) * scale - 0.5
        return cv2.warpAffine(
            part,
            np.array([[scale, 0, shift_x], [0, scale, shift_y]]),
            (pixels, pixels),
            flags=cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=tuple(cv2.mean(part)[:3]),
        )

    def paste(self, values: SmallPlane, *, height: int, width: int) -> Plane:
        """Bring a square of values over this window to the photo's size; zero elsewhere."""
        scale = self.side / values.shape[0]
        shift_x = self.left + 0.5 * scale - 0.5
        shift_y = self.top + 0.5 * scale - 0.5
        return cv2.warpAffine(
            values.astype(np.float32),
            np.array([[scale, 0, shift_x], [0, scale, shift_y]]),
            (width, height),
            flags=cv2.INTER_LINEAR,
        )


@dataclass(frozen=True, kw_only=True)
class Glimpse:
    """One person as the holistic model saw them, in pixels of the photo or of a film's frame."""

    body: Float[np.ndarray, "33 2"]
    visibility: Float[np.ndarray, " 33"]
    world: Float[np.ndarray, "33 3"]
    """Metres from between the hips; x right, y up, z to the viewer."""
    face: Float[np.ndarray, "478 3"] | None
    left_hand: Float[np.ndarray, "21 3"] | None
    right_hand: Float[np.ndarray, "21 3"] | None

    @property
    def torso(self) -> float:
        """Longest of shoulder-to-hip and 1.3 shoulder widths [px]: a size that survives turning."""
        shoulders, hips = self.body[11:13], self.body[23:25]
        length = float(np.linalg.norm(shoulders.mean(0) - hips.mean(0)))
        return max(length, 1.3 * float(np.linalg.norm(shoulders[0] - shoulders[1])))

    @property
    def core_visibility(self) -> float:
        """Mean visibility of shoulders and hips."""
        return float(self.visibility[[11, 12, 23, 24]].mean())


@dataclass(frozen=True, kw_only=True)
class Sighting(Glimpse):
    """The same with the person's pixels."""

    mask: Plane
    """How sure the segmenter is that a pixel shows this person, the photo's size."""

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """Bounds of what is visible: left, top, right, bottom [px]."""
        points = self.body[self.visibility > 0.5]
        if self.face is not None:
            points = np.vstack([points, self.face[:, :2]])
        inside = self.mask > 0.5
        across, down = np.cumsum(inside.sum(0)), np.cumsum(inside.sum(1))
        if down[-1] > 0:
            # The segmenter's outermost hundredth is often a speck far away.
            ends = np.array([0.005, 0.995]) * down[-1]
            spread = np.stack([np.searchsorted(across, ends), np.searchsorted(down, ends)], 1)
            points = np.vstack([points, spread])
        if not len(points):
            points = self.body
        (left, top), (right, bottom) = points.min(0), points.max(0)
        return float(left), float(top), float(right), float(bottom)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Drop what native code writes to stderr; MediaPipe offers no switch for it."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _points(landmarks: Any, window: Window, axes: int) -> Any:
    """Read normalised landmarks as pixels of the photo; depth has the scale of x."""
    if landmarks is None:
        return None
    return (_raw(landmarks) * window.side + (window.left, window.top, 0.0))[:, :axes]


def _raw(landmarks: Any) -> Float[np.ndarray, "n 3"]:
    return np.array([(p.x, p.y, p.z) for p in landmarks.landmark])


def _world(landmarks: Any) -> Float[np.ndarray, "33 3"]:
    """Read landmarks in space with y up and z to the viewer."""
    return _raw(landmarks) * (1, -1, -1)


def _visibility(landmarks: Any) -> Float[np.ndarray, " 33"]:
    return np.array([p.visibility for p in landmarks.landmark])


class Detectors:
    """The models, each loaded when first used. Use as a context manager."""

    def __init__(self) -> None:
        self._models: dict[str, Any] = {}

    def __enter__(self) -> "Detectors":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with _silence():
            for model in self._models.values():
                model.close()
        self._models.clear()

    def _run(self, name: str, picture: Picture, **options: Any) -> Any:
        with _silence():
            if name not in self._models:
                from mediapipe.python import solutions

                kinds = {
                    "holistic": solutions.holistic.Holistic,
                    "film": solutions.holistic.Holistic,
                    "faces": solutions.face_detection.FaceDetection,
                    "hands": solutions.hands.Hands,
                    "face_mesh": solutions.face_mesh.FaceMesh,
                    "portrait": solutions.selfie_segmentation.SelfieSegmentation,
                }
                self._models[name] = kinds[name](**options)
            return self._models[name].process(np.ascontiguousarray(picture))

    def person(
        self, picture: Picture, window: Window, *, pixels: int, mirrored: bool = False
    ) -> Sighting | None:
        """Look for the most prominent person in a window of the photo.

        Args:
            picture: The whole photo.
            window: Where to look.
            pixels: How large the model gets to see the window.
            mirrored: Look in a mirror; what is seen comes back unmirrored, except that the names
                left and right are swapped.
        """
        cut = window.cut(picture, pixels=pixels)
        found = self._run(
            "holistic",
            cut[:, ::-1] if mirrored else cut,
            static_image_mode=True,
            model_complexity=1,
            enable_segmentation=True,
            refine_face_landmarks=True,
        )
        if found.pose_landmarks is None:
            return None
        height, width = picture.shape[:2]
        mask, body = found.segmentation_mask, _points(found.pose_landmarks, window, 2)
        if mirrored:
            mask = np.ascontiguousarray(mask[:, ::-1])
            body = body * (-1, 1) + (2 * window.left + window.side, 0)
        return Sighting(
            body=body,
            visibility=_visibility(found.pose_landmarks),
            world=_world(found.pose_world_landmarks),
            face=None if mirrored else _points(found.face_landmarks, window, 3),
            left_hand=None if mirrored else _points(found.left_hand_landmarks, window, 3),
            right_hand=None if mirrored else _points(found.right_hand_landmarks, window, 3),
            mask=window.paste(mask, height=height, width=width),
        )

    def follow(self, picture: Picture) -> Sighting | None:
        """Look for the person of the frame before in the next frame of a film.

        Where nobody was followed yet, the most prominent person is. Nothing is smoothed.
        """
        found = self._run(
            "film",
            picture,
            static_image_mode=False,
            model_complexity=1,
            smooth_landmarks=False,
            enable_segmentation=True,
            smooth_segmentation=False,
            refine_face_landmarks=True,
        )
        if found.pose_landmarks is None or found.pose_world_landmarks is None:
            return None
        height, width = picture.shape[:2]

        def pixels(landmarks: Any) -> Any:
            return None if landmarks is None else _raw(landmarks) * (width, height, width)

        return Sighting(
            body=pixels(found.pose_landmarks)[:, :2],
            visibility=_visibility(found.pose_landmarks),
            world=_world(found.pose_world_landmarks),
            face=pixels(found.face_landmarks),
            left_hand=pixels(found.left_hand_landmarks),
            right_hand=pixels(found.right_hand_landmarks),
            mask=found.segmentation_mask,
        )

    def forget(self) -> None:
        """Follow nobody any more: the next frame is looked at afresh."""
        if "film" in self._models:
            with _silence():
                self._models["film"].reset()

    def faces(
        self, picture: Picture, window: Window, *, pixels: int
    ) -> list[tuple[float, tuple[float, float, float, float]]]:
        """Find faces up to five metres away: (score, box) each."""
        found = self._run(
            "faces",
            window.cut(picture, pixels=pixels),
            model_selection=1,
            min_detection_confidence=0.5,
        )
        faces = []
        for one in found.detections or ():
            box = one.location_data.relative_bounding_box
            left, top = window.left + box.xmin * window.side, window.top + box.ymin * window.side
            right, bottom = left + box.width * window.side, top + box.height * window.side
            faces.append((float(one.score[0]), (left, top, right, bottom)))
        return faces

    def hands(
        self, picture: Picture, window: Window, *, pixels: int, mirrored: bool = False
    ) -> list[tuple[str, float, Float[np.ndarray, "21 3"]]]:
        """Find hands: (the person's own "left" or "right", score, points) each.

        Args:
            picture: The whole photo.
            window: Where to look.
            pixels: How large the model gets to see the window.
            mirrored: Look in a mirror; what is seen comes back unmirrored.
        """
        cut = window.cut(picture, pixels=pixels)
        found = self._run(
            "hands",
            cut[:, ::-1] if mirrored else cut,
            static_image_mode=True,
            max_num_hands=2,
            min_detection_confidence=0.4,
        )
        hands = []
        sides = found.multi_handedness or ()
        for landmarks, side in zip(found.multi_hand_landmarks or (), sides, strict=True):
            # The hand model speaks of mirrored pictures: its "Left" is the person's own right.
            own_right = (side.classification[0].label == "Left") != mirrored
            points = _points(landmarks, window, 3)
            if mirrored:
                points = points * (-1, 1, 1) + (2 * window.left + window.side, 0, 0)
            name = "right" if own_right else "left"
            hands.append((name, float(side.classification[0].score), points))
        return hands

    def face_mesh(
        self, picture: Picture, window: Window, *, pixels: int
    ) -> Float[np.ndarray, "478 3"] | None:
        """Find the 478 points of the most prominent face in a window."""
        found = self._run(
            "face_mesh",
            window.cut(picture, pixels=pixels),
            static_image_mode=True,
            max_num_faces=1,
            refine_landmarks=True,
            min_detection_confidence=0.4,
        )
        meshes = found.multi_face_landmarks
        return _points(meshes[0], window, 3) if meshes else None

    def portrait(self, picture: Picture, window: Window) -> Plane:
        """How sure the portrait segmenter is of a person, over the whole photo; 0 outside."""
        found = self._run("portrait", window.cut(picture, pixels=256), model_selection=0)
        height, width = picture.shape[:2]
        return window.paste(found.segmentation_mask, height=height, width=width)
