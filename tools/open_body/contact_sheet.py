"""Draw the body in twelve poses, for the documentation and for looking at every change.

Run ``python tools/open_body/contact_sheet.py --out docs/images/body_poses.png`` after a build.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from persona.body import SmplxBody, load_body
from persona.body.skeleton import FINGERS, JOINT_IDS, JOINT_NAMES, mirror_pose
from persona.geometry.meshes import vertex_normals
from persona.records.body_params import BodyParams, rest_params

Picture = NDArray[np.uint8]
LIGHT = (0.35, 0.5, 0.8)
"""Towards the lamp, camera frame with y up."""
OVERSAMPLE = 3


def pose(**degrees: tuple[float, float, float]) -> torch.Tensor:
    """Name joints and their axis-angle [deg]; the rest stays in T-pose."""
    full = torch.zeros(len(JOINT_NAMES), 3)
    for name, angles in degrees.items():
        full[JOINT_IDS[name]] = torch.deg2rad(torch.tensor(angles))
    return full


def both(**degrees: tuple[float, float, float]) -> torch.Tensor:
    """Name left joints; the right side does the mirror image."""
    left = pose(**degrees)
    mirrored = mirror_pose(left)
    return torch.where(left.abs().sum(1, keepdim=True) > 0, left, mirrored)


def fist(*, straight: tuple[str, ...] = ()) -> torch.Tensor:
    """Close both hands; fingers named in ``straight`` stay out."""
    angles = {}
    for finger in FINGERS[:4]:
        curls = (-8, -5, -4) if finger in straight else (-78, -95, -60)
        angles |= {f"left_{finger}{k}": (0.0, 0.0, float(c)) for k, c in enumerate(curls, 1)}
    if "thumb" not in straight:
        angles |= {
            "left_thumb1": (55, 0, 10),
            "left_thumb2": (0, 30, 0),
            "left_thumb3": (0, 50, 0),
        }
    return both(**angles)


ARMS_DOWN = both(left_shoulder=(0, 0, -75), left_elbow=(0, -12, 0))
"""Arms beside the body; add other joints to it."""
POSES: dict[str, torch.Tensor] = {
    "T": pose(),
    "A": both(left_shoulder=(0, 0, -45)),
    "arms up": both(left_shoulder=(0, -10, 62), left_collar=(0, 0, 25)),
    "squat": both(
        left_hip=(-105, 12, 12),
        left_knee=(120, 0, 0),
        left_ankle=(-25, 0, 0),
        left_shoulder=(0, -80, -5),
    )
    + pose(spine1=(15, 0, 0), spine2=(10, 0, 0), neck=(-15, 0, 0)),
    "walk": ARMS_DOWN
    + pose(
        left_hip=(-28, 0, 0),
        right_hip=(18, 0, 0),
        left_knee=(10, 0, 0),
        right_knee=(38, 0, 0),
        right_ankle=(15, 0, 0),
        spine2=(0, 8, 0),
    ),
    "sit": both(
        left_hip=(-90, 6, 3),
        left_knee=(90, 0, 0),
        left_shoulder=(10, -35, -65),
        left_elbow=(0, -50, 0),
    ),
    "fist": fist(),
    "point": both(left_shoulder=(0, -85, 0)) + fist(straight=("index",)),
    "bend": both(left_shoulder=(0, -50, -45), left_hip=(-55, 0, 0))
    + pose(pelvis=(50, 0, 0), spine1=(25, 0, 0), spine2=(20, 0, 0), spine3=(12, 0, 0)),
    "twist": ARMS_DOWN
    + pose(
        spine1=(0, 18, 0), spine2=(0, 18, 0), spine3=(0, 14, 0), neck=(0, 25, 0), head=(0, 15, 0)
    ),
    "lunge": ARMS_DOWN
    + pose(
        left_hip=(-85, 0, 0),
        left_knee=(88, 0, 0),
        right_hip=(28, 0, 0),
        right_knee=(50, 0, 0),
        right_foot=(-25, 0, 0),
    ),
    "jaw open, smile": pose(jaw=(18, 0, 0)),
}
"""Name -> full pose [rad]."""


def params_of(full_pose: torch.Tensor) -> BodyParams:
    """Put a pose on the mean body."""
    return rest_params().with_full_pose(full_pose)


def draw(
    body: SmplxBody,
    vertices: torch.Tensor,
    *,
    yaw: float = 0.0,
    pitch: float = 0.0,
    center: torch.Tensor | None = None,
    span: float = 2.0,
    size: tuple[int, int] = (300, 400),
) -> Picture:
    """Draw a shaded picture, orthographic, painter's order.

    Args:
        body: Whose faces and parts.
        vertices: Posed skin [m], (v, 3).
        yaw: Turn of the camera about the vertical [deg].
        pitch: Height of the camera [deg].
        center: Middle of the picture [m]; None means the body's.
        span: Height of the picture [m].
        size: Width and height [px].
    """
    points = vertices.double().numpy()
    middle = (points.max(0) + points.min(0)) / 2 if center is None else center.double().numpy()
    a, b = np.radians(yaw), np.radians(pitch)
    turn = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    seen = (points - middle) @ (tilt @ turn).T
    normals = vertex_normals(torch.from_numpy(seen), body.faces).numpy()
    faces = body.faces.numpy()
    corners = seen[faces]
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
    order = np.argsort(corners[..., 2].mean(1))
    order = order[area[order] > 0]
    light = np.array(LIGHT) / np.linalg.norm(LIGHT)
    shade = 0.30 + 0.65 * np.clip(normals @ light, 0, 1) + 0.08 * normals[:, 1]
    width, height = (side * OVERSAMPLE for side in size)
    pixels = np.stack([seen[:, 0], -seen[:, 1]], 1) * height / span + [width / 2, height / 2]
    picture = np.full((height, width, 3), 255, np.uint8)
    tints = _tints(body)
    for face in order:
        ids = faces[face]
        color = np.clip(shade[ids].mean() * tints[ids].mean(0), 0, 255)
        polygon = np.round(pixels[ids] * 16).astype(np.int32)
        cv2.fillConvexPoly(picture, polygon, color.tolist(), cv2.LINE_8, 4)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _tints(body: SmplxBody) -> NDArray[np.float64]:
    """Give skin, eyes, mouth and teeth their colours (RGB, 0-255 at full light)."""
    tints = np.tile(np.array([236.0, 206.0, 186.0]), (body.vertex_count, 1))
    for part, color in {
        "left_eye": (250, 250, 250),
        "right_eye": (250, 250, 250),
        "teeth": (250, 246, 235),
        "tongue": (205, 110, 110),
        "mouth_inner": (150, 70, 70),
    }.items():
        tints[body.regions.part(part).numpy()] = color
    return tints


def sheet(body: SmplxBody, *, columns: int = 6) -> Picture:
    """Draw all poses with their names."""
    tiles = []
    for name, full_pose in POSES.items():
        params = params_of(full_pose)
        yaw = 25.0 if name in ("squat", "sit", "bend", "lunge", "walk") else 0.0
        if name in ("fist", "point"):
            posed = body.forward(params)
            hand = posed.joints[JOINT_IDS["left_middle1"]]
            side = (40.0, -55.0) if name == "fist" else (60.0, 15.0)
            tile = draw(body, posed.vertices, center=hand, span=0.28, yaw=side[0], pitch=side[1])
        elif name.startswith("jaw"):
            units = {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8}
            offsets = body.face_units.offsets_of(units)
            posed = body.forward(params, vertex_offsets=offsets)
            head = posed.joints[JOINT_IDS["head"]] + torch.tensor([0.0, 0.06, 0.0])
            tile = draw(body, posed.vertices, yaw=15, center=head, span=0.26)
        else:
            span = 2.2 if name != "T" else 2.4
            tile = draw(body, body.forward(params).vertices, span=span, yaw=yaw)
        cv2.putText(
            tile, name, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (60, 60, 60), 1, cv2.LINE_AA
        )
        tiles.append(tile)
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    return np.vstack(rows)


def main() -> None:
    """Draw the sheet of a body file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--body", type=Path, help="body file; the shipped one when missing")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    picture = sheet(load_body(options.body))
    # 160 tones are enough for shading, and keep the file small.
    from PIL import Image

    Image.fromarray(picture).quantize(160).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
