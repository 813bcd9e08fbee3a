"""Grow the naked body out to the person's outline: cloth, hair and shoes as offsets."""

from dataclasses import dataclass

import cv2
import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
import torch
from scipy.spatial import cKDTree

from persona.geometry.cameras import Camera
from persona.kernels import rasterize_mesh

NORMAL_PIXELS = 25.0
"""How many pixels of distance a perpendicular contour normal counts for."""
SPLAT_REACH_PX = 0.1
"""How far inside the mask's last pixels the surface ends [px]."""
RIM_NORMAL = 0.6
"""A vertex belongs to the rim while its normal leans at most this far to the camera [-]."""
RIM_PIXELS = 2.5
"""... and it lies this near to the drawn edge."""
INFLATE_STIFFNESS = 30.0
"""Weight of the squared Laplacian while whole limbs are inflated [-]."""
HANG_TRUST = 0.3
"""Weight of a likely height against a matched outline's."""
BEND_STIFFNESS = 6.0
"""The same while details are pulled sideways."""


@dataclass(frozen=True, kw_only=True)
class Freedom:
    """How far each vertex may leave the body; rows are vertices."""

    outward: np.ndarray
    """Most along the normal [m]."""
    inward: np.ndarray
    """Most against it [m]."""
    trust: np.ndarray
    """Weight of the outline's pull [-]; hands are thin and lie."""
    bends: np.ndarray | None = None
    """Weight of its pull in the picture plane [-]; None for 1 everywhere."""


@dataclass(frozen=True, kw_only=True)
class SilhouetteFit:
    """Offsets that make the drawn body fill the mask."""

    offsets: np.ndarray
    """Displacement of every posed vertex [m], camera frame, (v, 3)."""
    height: np.ndarray
    """How far each was pushed along its normal [m], (v,)."""
    mask: np.ndarray
    """What the displaced mesh covers, bool (h, w)."""
    iou: float
    """Overlap with the person's mask."""


def fit_silhouette(
    vertices: np.ndarray,
    faces: np.ndarray,
    *,
    camera: Camera,
    mask: np.ndarray,
    freedom: Freedom,
    laplacian: sp.csr_matrix,
    hang: np.ndarray | None = None,
    inflate_rounds: int = 5,
    bend_rounds: int = 5,
) -> SilhouetteFit:
    """Match the outline by the nearest contour, first along normals, then freely.

    Moving along normals inflates a limb all around, in depth as well as sideways: a wide trouser
    leg becomes a wide tube. What is left (a hem, a fold) is then pulled in the image plane only.

    Args:
        vertices: Posed body, camera frame [m], (v, 3).
        faces: Triangles (f, 3).
        camera: Its size is the mask's.
        mask: Whether a pixel shows the person, bool (h, w).
        freedom: Bounds for every vertex.
        laplacian: Uniform graph Laplacian, rows sum to 0 and have 1 on the diagonal.
        hang: Heights above the skin that are likely where no outline tells [m], (v,); 0 for none.
        inflate_rounds: Matchings along the normals.
        bend_rounds: Free matchings.
    """
    contour, contour_normals = _outline(mask)
    smoothness = (laplacian.T @ laplacian).tocsc()
    offsets = np.zeros_like(vertices)
    height = np.zeros(len(vertices))
    hang = np.zeros(len(vertices)) if hang is None else hang
    likely = HANG_TRUST * (hang > 0)
    base_normals = vertex_normals(vertices, faces)
    bends = 1.0 if freedom.bends is None else freedom.bends
    for bend in (False, True):
        for _ in range(bend_rounds if bend else inflate_rounds):
            moved = vertices + offsets
            pull = _match(moved, faces, camera, mask.shape, contour, contour_normals)
            trust = pull.matched * freedom.trust * (bends if bend else 1.0)
            meters = moved[:, 2] / camera.focal_px
            if not bend:
                wanted = (pull.along_normal * pull.normals_2d).sum(1)
                wanted *= meters / np.maximum(pull.sideways, 0.3)
                hint = np.where(pull.matched > 0, 0, likely)
                system = sp.diags(trust + hint + 1e-3) + INFLATE_STIFFNESS * smoothness
                pulled = trust * wanted + hint * (hang - height)
                height += 0.7 * spla.spsolve(system.tocsc(), pulled)
                height = np.clip(height, -freedom.inward, freedom.outward)
                offsets = height[:, None] * base_normals
            else:
                target = np.concatenate(
                    [pull.free * meters[:, None], np.zeros_like(meters)[:, None]], 1
                )
                stiff = sp.diags(trust + 1e-3 + (freedom.trust < 0.5)) + BEND_STIFFNESS * smoothness
                solve = spla.splu(stiff.tocsc())
                step = np.stack([solve.solve(trust * target[:, k]) for k in range(3)], 1)
                offsets = _bounded(offsets + 0.8 * step, base_normals, freedom)
    covered = draw_mask(vertices + offsets, faces, camera, mask.shape)
    union = (covered | mask).sum()
    return SilhouetteFit(
        offsets=offsets,
        height=height,
        mask=covered,
        iou=float((covered & mask).sum() / max(1, union)),
    )


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Average the triangles' normals at each vertex by area; unit length, (v, 3)."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    total = np.zeros_like(vertices)
    for corner in range(3):
        for axis in range(3):
            total[:, axis] += np.bincount(faces[:, corner], normal[:, axis], len(vertices))
    return total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-12)


def project(vertices: np.ndarray, camera: Camera) -> np.ndarray:
    """Project camera-frame points to pixels, (v, 2)."""
    return camera.focal_px * vertices[:, :2] / vertices[:, 2:] + np.array(camera.center_px)


def draw_mask(
    vertices: np.ndarray, faces: np.ndarray, camera: Camera, shape: tuple[int, ...]
) -> np.ndarray:
    """Fill the mesh's triangles in the image; bool (h, w)."""
    ids, _, _ = rasterize_mesh(
        torch.from_numpy(project(vertices, camera)).float(),
        torch.from_numpy(vertices[:, 2].copy()).float(),
        torch.from_numpy(faces),
        width=shape[1],
        height=shape[0],
    )
    return ids.numpy() >= 0


@dataclass(frozen=True, kw_only=True)
class _Pull:
    """What the outline wants of each vertex, in pixels."""

    matched: np.ndarray
    along_normal: np.ndarray
    free: np.ndarray
    normals_2d: np.ndarray
    sideways: np.ndarray


def _outline(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Trace the mask's contours that are not the picture's edge; points and outward normals."""
    solid = mask.astype(np.uint8)
    traced, _ = cv2.findContours(solid, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    points = np.concatenate([c[:, 0] for c in traced if len(c) > 25]).astype(np.float64)
    signed = cv2.distanceTransform(solid, cv2.DIST_L2, 5) - cv2.distanceTransform(
        1 - solid, cv2.DIST_L2, 5
    )
    signed = cv2.GaussianBlur(signed, (0, 0), 2)
    gradient = np.stack(
        [cv2.Sobel(signed, cv2.CV_32F, 1, 0), cv2.Sobel(signed, cv2.CV_32F, 0, 1)], -1
    )
    at = points.astype(int)
    normals = -gradient[at[:, 1], at[:, 0]].astype(np.float64)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    height, width = mask.shape
    inside = (
        (points[:, 0] > 1)
        & (points[:, 0] < width - 2)
        & (points[:, 1] > 1)
        & (points[:, 1] < height - 2)
    )
    # The outline runs through the centres of the mask's last pixels, half a pixel inside the edge;
    # that is where the surface should end, for splats reach a little beyond it.
    return (points + 0.5 - SPLAT_REACH_PX * normals)[inside], normals[inside]


def _match(
    moved: np.ndarray,
    faces: np.ndarray,
    camera: Camera,
    shape: tuple[int, ...],
    contour: np.ndarray,
    contour_normals: np.ndarray,
) -> _Pull:
    """Give each rim vertex the mean of the contour points that are nearest to it."""
    pixels = project(moved, camera)
    normals = vertex_normals(moved, faces)
    sideways = np.linalg.norm(normals[:, :2], axis=1)
    normals_2d = normals[:, :2] / (sideways[:, None] + 1e-9)
    drawn = draw_mask(moved, faces, camera, shape)
    depth_in = cv2.distanceTransform(drawn.astype(np.uint8), cv2.DIST_L2, 5)
    at = np.clip(pixels.astype(int), 0, [shape[1] - 1, shape[0] - 1])
    is_rim = (depth_in[at[:, 1], at[:, 0]] < RIM_PIXELS) & (np.abs(normals[:, 2]) < RIM_NORMAL)
    rim = np.where(is_rim)[0]
    tree = cKDTree(np.concatenate([pixels[rim], NORMAL_PIXELS * normals_2d[rim]], 1))
    far = 0.12 * shape[0]
    distance, nearest = tree.query(np.concatenate([contour, NORMAL_PIXELS * contour_normals], 1))
    near = distance < far
    vertex = rim[nearest[near]]
    gap = contour[near] - pixels[vertex]
    along = (gap * contour_normals[near]).sum(1, keepdims=True) * contour_normals[near]
    count = np.bincount(vertex, minlength=len(moved))

    def mean(values: np.ndarray) -> np.ndarray:
        total = np.stack([np.bincount(vertex, values[:, k], len(moved)) for k in range(2)], 1)
        return total / np.maximum(count, 1)[:, None]

    return _Pull(
        matched=(count > 0).astype(np.float64),
        along_normal=mean(along),
        free=mean(gap),
        normals_2d=normals_2d,
        sideways=sideways,
    )


def _bounded(offsets: np.ndarray, normals: np.ndarray, freedom: Freedom) -> np.ndarray:
    """Shorten offsets that leave the body too far."""
    length = np.linalg.norm(offsets, axis=1)
    out = (offsets * normals).sum(1)
    limit = np.where(out < 0, freedom.inward, freedom.outward) + 0.004
    return offsets * np.minimum(1.0, limit / np.maximum(length, 1e-9))[:, None]
