"""Find where MediaPipe's 478 face points lie on the body, by showing it the body's own face.

The mean person and a few relatives are drawn from several sides; every point found is traced back
to the triangle under it. Averages over views and over both halves of the face are then dropped
onto the surface. Run ``python tools/open_body/find_face_points.py`` whenever the head changes; it
rewrites ``mediapipe_face.json`` beside this file, which `build_open_body` stores in the body.
"""

import argparse
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from open_body.surface import closest_on_triangles
from persona.body import SmplxBody, load_body
from persona.body.skeleton import JOINT_IDS
from persona.geometry.meshes import vertex_normals
from persona.records.body_params import rest_params

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SIZE = 640
"""Side of the pictures [px]."""
DISTANCE = 1.1
"""From the camera to the head's middle [m]."""
FOCAL = 3.2
"""Focal length over picture side."""
YAWS = (-42, -24, -10, 10, 24, 42)
PITCHES = (-8, 8)
RELATIVES = 3
"""People drawn besides the mean."""
TRUST_POWER = 8
"""Power of the cosine between ray and normal: grazing hits of the far side slide forward."""
POINT_COUNT = 478
IRIS_START = 468
MIDDLE = 0.012
"""Points closer to the middle plane [m] are seen from everywhere."""
NEARLY_FRONTAL = 10
"""Yaw up to which both sides show [deg]."""
OUTLIER = 0.006
"""Hits farther from the mean [m] lose their say."""
ROUNDS = 4
IRIS_RADIUS = 0.006
LIGHT = np.array([0.3, 0.45, 0.85]) / np.linalg.norm([0.3, 0.45, 0.85])

log = logging.getLogger("find_face_points")


@dataclass(frozen=True)
class Hits:
    """Where rays through the found points meet the head."""

    points: Floats
    """(P, 3) on the template [m]; zero where missed."""
    trust: Floats
    """(P,) how squarely the surface faces us; zero where missed."""
    yaw: float
    """Turn of the camera [deg]."""
    found: Floats
    """(P, 3) the detector's own points; x and y in pictures, z in its guess of depth."""


@dataclass(frozen=True)
class Head:
    """The triangles that are drawn, and how."""

    body: SmplxBody
    faces: Ints
    colors: Floats
    """(V, 3) RGB."""


def head_of(body: SmplxBody) -> Head:
    """Pick head and neck, and paint dark irises so that eyes look like eyes."""
    template = body.v_template.double().numpy()
    faces = body.faces.numpy()
    above = template[:, 1] > body.joints_template[JOINT_IDS["neck"], 1].item() - 0.1
    colors = np.tile(np.array([232.0, 196.0, 176.0]), (len(template), 1))
    for side in ("left", "right"):
        eye = body.weights[:, JOINT_IDS[f"{side}_eye"]].numpy() > 0.5
        colors[eye] = 245
        front = template[eye][template[eye][:, 2].argmax()]
        colors[eye & (np.linalg.norm(template - front, axis=1) < IRIS_RADIUS)] = (60, 45, 35)
    return Head(body, faces[above[faces].all(1)], colors)


def project(points: Floats, middle: Floats, yaw: float, pitch: float) -> tuple[Floats, Floats]:
    """Give camera coordinates and pixels of a camera that circles the head."""
    a, b = np.radians(yaw), np.radians(pitch)
    turn = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    seen = (points - middle) @ (tilt @ turn).T
    depth = DISTANCE - seen[:, 2]
    pixels = np.stack([seen[:, 0], -seen[:, 1]], 1) / depth[:, None] * FOCAL * SIZE + SIZE / 2
    return seen, pixels


def draw(head: Head, seen: Floats, pixels: Floats) -> tuple[NDArray[np.uint8], Ints]:
    """Draw the head in painter's order; give the picture and the triangles that face us."""
    normals = vertex_normals(torch.from_numpy(seen), head.body.faces).numpy()
    corners = pixels[head.faces]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    facing = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0
    front = head.faces[facing]
    front = front[np.argsort(seen[front][..., 2].mean(1))]
    shade = 0.35 + 0.6 * np.clip(normals @ LIGHT, 0, 1)
    picture = np.full((SIZE, SIZE, 3), 205, np.uint8)
    for ids in front:
        color = np.clip(head.colors[ids].mean(0) * shade[ids].mean(), 0, 255)
        cv2.fillConvexPoly(
            picture, np.round(pixels[ids] * 16).astype(np.int32), color.tolist(), cv2.LINE_AA, 4
        )
    return picture, front


def trace(
    front: Ints, seen: Floats, pixels: Floats, found: Floats, template: Floats, yaw: float
) -> Hits:
    """Find the nearest triangle under each pixel and carry the hit to the template."""
    a, b, c = (pixels[front[:, k]] for k in range(3))
    u, w = b - a, c - a
    determinant = u[:, 0] * w[:, 1] - u[:, 1] * w[:, 0]
    delta = found[:, None, :2] - a
    second = (delta[..., 0] * w[:, 1] - delta[..., 1] * w[:, 0]) / determinant
    third = (u[:, 0] * delta[..., 1] - u[:, 1] * delta[..., 0]) / determinant
    shares = np.stack([1 - second - third, second, third], -1)
    inside = (shares >= -1e-9).all(-1)
    depth = (shares * seen[front][..., 2]).sum(-1)
    depth[~inside] = -np.inf
    best = depth.argmax(1)
    hit = inside[np.arange(len(found)), best]
    at = shares[np.arange(len(found)), best]
    corners = seen[front[best]]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    position = (at[..., None] * corners).sum(1)
    ray = np.array([0, 0, DISTANCE]) - position
    cosine = (normal * ray).sum(1) / np.linalg.norm(normal, axis=1) / np.linalg.norm(ray, axis=1)
    points = (at[..., None] * template[front[best]]).sum(1)
    return Hits(points * hit[:, None], np.where(hit, cosine.clip(0) ** TRUST_POWER, 0), yaw, found)


def look(body: SmplxBody, *, seed: int) -> list[Hits]:
    """Show MediaPipe the head of the mean person and relatives from all sides."""
    import mediapipe

    detector = mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=True, refine_landmarks=True, min_detection_confidence=0.2
    )
    head, template = head_of(body), body.v_template.double().numpy()
    betas = torch.randn(RELATIVES + 1, 10, generator=torch.Generator().manual_seed(seed))
    betas[0] = 0
    hits = []
    for person in betas:
        params = rest_params()
        params.betas.copy_(person)
        points = body.forward(params).vertices.double().numpy()
        middle = points[head.faces].mean((0, 1)) + np.array([0, 0.06, 0.02])
        for yaw in YAWS:
            for pitch in PITCHES:
                seen, pixels = project(points, middle, yaw, pitch)
                picture, front = draw(head, seen, pixels)
                found = detector.process(picture).multi_face_landmarks
                if not found:
                    log.warning("no face at yaw %d, pitch %d", yaw, pitch)
                    continue
                at = np.array([[p.x, p.y, p.z] for p in found[0].landmark], float) * SIZE
                hits.append(trace(front, seen, pixels, at, template, yaw))
    return hits


def mirror_partners(hits: list[Hits]) -> Ints:
    """Pair the points left and right by the detector's own mean shape, seen from the front."""
    shape = np.mean([h.found for h in hits if abs(h.yaw) <= NEARLY_FRONTAL], axis=0)
    shape = shape - shape.mean(0)
    cost = np.linalg.norm(shape[:, None] - shape[None] * [-1, 1, 1], axis=-1)
    # Lid points come close to the irises; neither may be taken for the other.
    cost[:IRIS_START, IRIS_START:] = cost[IRIS_START:, :IRIS_START] = cost.max()
    return linear_sum_assignment(cost)[1]


def average(hits: list[Hits]) -> tuple[Floats, Floats]:
    """Average over views and mirror images: points and their spread (RMS) [m].

    Only views that show a point's own side count: the far side's contour is seen through the face
    and its ray meets the near cheek.
    """
    partner = mirror_partners(hits)
    trust = np.stack([h.trust for h in hits])[..., None]
    points = np.stack([h.points for h in hits])
    yaw = np.array([h.yaw for h in hits])[:, None, None]
    trust = np.concatenate([trust, trust[:, partner]])
    points = np.concatenate([points, points[:, partner] * [-1, 1, 1]])
    yaw = np.concatenate([yaw, -yaw])
    side = np.nanmedian(np.where(trust > 0, points, np.nan), axis=0, keepdims=True)[..., :1]
    trust = trust * ((np.abs(side) < MIDDLE) | (yaw * side > 0) | (np.abs(yaw) <= NEARLY_FRONTAL))
    mean = (trust * points).sum(0) / trust.sum(0).clip(1e-12)
    weight = trust
    for _ in range(ROUNDS):
        distance = np.linalg.norm(points - mean, axis=-1, keepdims=True)
        weight = trust / (1 + (distance / OUTLIER) ** 4)
        mean = (weight * points).sum(0) / weight.sum(0).clip(1e-12)
    square = ((points - mean) ** 2).sum(-1, keepdims=True)
    spread = np.sqrt((weight * square).sum(0) / weight.sum(0).clip(1e-12))[:, 0]
    return mean, spread


def main() -> None:
    """Look, average, drop onto the surface, write."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--body", type=Path, help="body file; the shipped one when missing")
    options = parser.parse_args()
    body = load_body(options.body)
    points, spread = average(look(body, seed=0))
    log.info("spread [mm]: median %.1f, worst %.1f", np.median(spread) * 1e3, spread.max() * 1e3)
    kept = np.arange(POINT_COUNT)
    faces, template = body.faces.numpy(), body.v_template.double().numpy()
    eyes = body.weights[:, [JOINT_IDS["left_eye"], JOINT_IDS["right_eye"]]].sum(1).numpy() > 0.5
    skin = body.regions.mask("head", "face").numpy()
    triangles, shares = np.zeros((len(kept), 3), np.int64), np.zeros((len(kept), 3))
    for iris, allowed in ((False, skin), (True, eyes)):
        rows = np.flatnonzero((kept >= IRIS_START) == iris)
        usable = faces[allowed[faces].all(1)]
        ids, at = closest_on_triangles(points[kept[rows]], template, usable)
        triangles[rows], shares[rows] = usable[ids], at
    table = {
        "ids": kept.tolist(),
        "triangles": triangles.tolist(),
        "barycentric": shares.round(4).tolist(),
        "spread_mm": (spread * 1e3).round(1).tolist(),
    }
    target = Path(__file__).with_name("mediapipe_face.json")
    target.write_text(json.dumps(table, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
