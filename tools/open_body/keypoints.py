"""Gather the surface points that detectors' keypoints correspond to, in the file's order."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from open_body.anny_source import Floats, Ints
from open_body.layout import SMPLX_IDS

Arrays = dict[str, Any]

FACE51_FROM_MEDIAPIPE = (
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),  # brows, right to left
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),  # bridge and underside of the nose
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # outer lips
    *(78, 82, 13, 312, 308, 317, 14, 87),  # inner lips
)
"""300-W points 17 to 67 as MediaPipe face mesh points."""
CONTOUR17_FROM_MEDIAPIPE = (
    *(127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356),
)
"""300-W points 0 to 16, right ear over the chin to the left ear."""
POSE_FROM_FACE = {
    **{1: 362, 3: 263, 4: 133, 6: 33},  # corners of the eyes, inner and outer
    **{9: 291, 10: 61},  # corners of the mouth
}
"""MediaPipe Pose points as MediaPipe face mesh points; ids as the detector's own left and right."""
POSE_FROM_VERTEX = {
    **{0: "nose", 2: "leye", 5: "reye", 7: "lear", 8: "rear"},
    **{29: "LHeel", 30: "RHeel", 31: "LBigToe", 32: "RBigToe"},
}
"""MediaPipe Pose points as `smplx` keypoint vertices."""


def landmark_arrays(arrays: Arrays) -> Arrays:
    """Give ids, triangles and shares of every set of landmarks."""
    table = json.loads(Path(__file__).with_name("mediapipe_face.json").read_text())
    face = {
        number: (tuple(corners), shares)
        for number, corners, shares in zip(
            table["ids"], table["triangles"], table["barycentric"], strict=True
        )
    }
    vertex = {name: ((v, v, v), (1.0, 0.0, 0.0)) for name, v in SMPLX_IDS.items()}
    tips = ("thumb", "index", "middle", "ring", "pinky")
    sets: dict[str, dict[int, Any]] = {
        "mediapipe_face": face,
        "face51": {i: face[n] for i, n in enumerate(FACE51_FROM_MEDIAPIPE, start=17)},
        "contour17": {i: face[n] for i, n in enumerate(CONTOUR17_FROM_MEDIAPIPE)},
        "mediapipe_pose": {
            **{pose: face[n] for pose, n in POSE_FROM_FACE.items()},
            **{pose: vertex[name] for pose, name in POSE_FROM_VERTEX.items()},
        },
        "left_fingertips": {4 * k + 4: vertex["l" + tip] for k, tip in enumerate(tips)},
        "right_fingertips": {4 * k + 4: vertex["r" + tip] for k, tip in enumerate(tips)},
    }
    stored: Arrays = {}
    for name, points in sets.items():
        stored |= {
            f"{name}_ids": np.array(list(points)),
            f"{name}_triangles": np.array([corners for corners, _ in points.values()]),
            f"{name}_barycentric": _normalized(np.array([s for _, s in points.values()])),
        }
    stored["mediapipe_face_spread"] = np.array(table["spread_mm"]) / 1e3
    return stored | _smplx_landmarks(arrays["f"], stored)


def _normalized(shares: Floats) -> Floats:
    return shares / shares.sum(1, keepdims=True)


def _smplx_landmarks(faces: Ints, stored: Arrays) -> Arrays:
    """Store the 51 landmarks and the contour as `smplx` reads them: face ids and shares.

    `smplx` lets the contour slide with the head's turn; ours stays, so that its 79 rows agree.
    """
    row_of = {tuple(face): row for row, face in enumerate(faces.tolist())}

    def rows(name: str) -> Ints:
        return np.array([row_of[tuple(t)] for t in stored[f"{name}_triangles"].tolist()])

    turns = 79
    contour = stored["contour17_barycentric"]
    return {
        "lmk_faces_idx": rows("face51"),
        "lmk_bary_coords": stored["face51_barycentric"],
        "dynamic_lmk_faces_idx": np.tile(rows("contour17"), (turns, 1)),
        "dynamic_lmk_bary_coords": np.tile(contour, (turns, 1, 1)),
    }
