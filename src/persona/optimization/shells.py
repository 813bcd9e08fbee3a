"""Surfaces the naked body does not have: hair and hats with depth, bags, the web of a skirt."""

from dataclasses import dataclass

import cv2
import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from scipy import ndimage
from scipy.spatial import cKDTree

from persona.geometry.cameras import Camera
from persona.optimization.hats import Hat
from persona.optimization.limbs import LIMB_OF_JOINT
from persona.optimization.silhouette import project

HAIR_MARGIN = 0.004
"""Hair lies at least this far in front of the skin it covers [m]."""
HAIR_CLIFF = 0.025
"""... and at most this far, so that a fringe is no shelf [m]."""
HEAD_DEPTH_RATIO = 1.15
"""Depth of a head with hair over its width [-]."""
CURTAIN = 0.03
"""Half the thickness of hair that hangs beside the neck [m]."""
MIN_HAIR_SHARE = 0.12
"""Below this share of the head's picture we see a bald head, not hair."""
WEB_MARGIN = 0.003
"""Half the thickness of a web at its edge, and its distance from what it covers [m]."""
PALM = 0.03
"""Thickness of a hand [m]."""
MIN_PATCH_PX = 2.0
"""Half-width of the thinnest patch that becomes a web [px]."""
MIN_PATCH_SHARE = 4e-4
"""Smaller uncovered patches, as a share of the person's area, are left to the silhouette."""
WEB_OVERLAP_PX = 3
"""How far a web reaches over the mesh it hangs on [px]."""
WEB_GROUP = np.array([0, 0, 0, 1, 2, 1, 2, 0, 0, 3, 3])
"""By `Limb`: limbs of one group may share a web."""
LEG_SIDE = np.array([0, 1, 2, 0, 0, 0, 0, 1, 2, 0, 0])
"""By `Limb`: left leg or right leg, feet included."""
SKIRT_SHARE = 0.25
"""Share of thigh and pelvis around a patch from which it may join both legs [-]."""
LEG_REACH_PX = 30.0
"""A patch of which some lies farther from both legs is a bag or a coat, not a trouser leg [px]."""
SKIRT_JOINTS = (0, 1, 2)
"""Pelvis and hips: what carries the cloth of a skirt's top."""
WEB_NEIGHBORS = 24
"""Vertices whose shares a web point averages: enough to span from leg to leg."""


@dataclass(frozen=True, kw_only=True)
class Shell:
    """A closed surface beside the body, in the photo's pose."""

    vertices: np.ndarray
    """Camera frame [m], (n, 3)."""
    faces: np.ndarray
    """Triangles, outward, (f, 3)."""
    weights: np.ndarray
    """Skinning shares, (n, 55)."""
    is_hair: bool
    """Hair or hat, else a web."""


@dataclass(frozen=True, kw_only=True)
class BodyLayers:
    """What the dressed body mesh looks like through the photo's camera."""

    covered: np.ndarray
    """Whether the mesh covers a pixel, bool (h, w)."""
    front: np.ndarray
    """Depth of the nearest surface [m]; infinite where nothing is."""
    on_head: np.ndarray
    """Whether that surface belongs to the head, bool (h, w)."""
    on_trunk: np.ndarray
    """Whether it belongs to neck or torso, bool (h, w)."""
    hidden_hand: np.ndarray
    """Depth of hands inside sleeves [m]; infinite where there are none."""
    head_back: np.ndarray
    """Depth of head's, neck's and torso's far side [m]; minus infinite where there is none."""
    head_points: np.ndarray
    """Vertices of the head [m], (k, 3)."""
    averted_cheek: np.ndarray
    """Which of them belong to the half of a face that is turned away, bool (k,)."""


def hair_shell(
    mask: np.ndarray,
    hair: np.ndarray,
    layers: BodyLayers,
    *,
    camera: Camera,
    head_depth: float,
    chin_row: float,
    shoulder_row: float,
    hat: Hat | None = None,
) -> Shell | None:
    """Blow the head's picture up to a rounded volume and cover the hair with its front.

    The thickness solves a Poisson equation on the head's picture (a disc becomes a ball, a bun
    on a head a smaller ball on a bigger one). Its back covers the whole head: whoever has hair in
    front has hair behind. Only a face that is turned away stays free.

    Args:
        mask: Person, bool (h, w).
        hair: Pixels that show hair or a hat, bool (h, w).
        layers: The body without hair.
        camera: Camera of the picture.
        head_depth: Depth of the head's middle [m].
        chin_row: Row of the chin [px]; hair follows the head above it.
        shoulder_row: Row where hair has come to rest on the body [px].
        hat: A hat with a brim, which is as deep as it is wide.

    Returns:
        None for a bald head.
    """
    hair = hair & mask
    head = layers.on_head & mask
    if hair.sum() < MIN_HAIR_SHARE * max(1, head.sum()):
        return None
    blob = _largest(ndimage.binary_fill_holes(head | hair))
    blob |= _nape(blob, hair, mask, chin_row=chin_row, shoulder_row=shoulder_row)
    pixel = head_depth / camera.focal_px
    thickness = np.sqrt(_poisson(blob)) * pixel * HEAD_DEPTH_RATIO
    on_hat = np.zeros_like(mask)
    if hat is not None:
        on_hat = hat.mask
        thickness = np.where(hat.radius[:, None] > 0, hat.thickness() * pixel, thickness)
    middle = _middle_depth(layers, head, blob, head_depth)
    skin = np.where(np.isfinite(layers.front) & layers.covered, layers.front, middle)
    front = np.minimum(middle - thickness, skin - HAIR_MARGIN)
    front = np.where(layers.covered & ~on_hat, np.maximum(front, skin - HAIR_CLIFF), front)
    front = _smooth(np.where(blob, front, middle), blob, 1.5)
    rows = np.arange(mask.shape[0])[:, None]
    below = np.clip((rows - chin_row) / max(4.0, shoulder_row - chin_row), 0, 1)
    # Beside the neck hair is a curtain, not a ball; over the torso it lies on it.
    curtain = np.minimum(thickness, CURTAIN)
    thickness = thickness + (curtain - thickness) * np.clip(2 * below, 0, 1)
    back = np.maximum(middle + thickness, layers.head_back + HAIR_MARGIN)
    back = _smooth(np.where(blob, back, middle), blob, 1.0)
    behind = blob & (~layers.covered | layers.on_head | layers.on_trunk)
    sheet_front = _sheet(blob & ndimage.binary_dilation(hair, iterations=1), front, camera)
    sheet_back = _sheet(behind, back, camera, flip=True)
    vertices, faces, at = _join(sheet_front, sheet_back, mask.shape)
    nearest = cKDTree(layers.head_points).query(vertices)[1]
    on_skin = layers.covered[at[:, 1], at[:, 0]]
    on_skin[len(sheet_front[0]) :] = False
    veils = layers.averted_cheek[nearest] & ~on_skin
    faces = faces[~veils[faces].any(1)]
    weights = np.zeros((len(vertices), 55))
    share = np.broadcast_to(below, mask.shape)[at[:, 1], at[:, 0]]
    weights[:, 15] = 1 - share
    weights[:, 9] = share
    return Shell(vertices=vertices, faces=faces, weights=weights, is_hair=True)


def _middle_depth(
    layers: BodyLayers, head: np.ndarray, blob: np.ndarray, head_depth: float
) -> np.ndarray:
    """Find the depth midway through the head at every pixel, continued beyond its outline.

    A head that is bent forward is outlined by places that lie behind or before its middle; front
    and back of the hair must meet there, or the crown gapes from the side.
    """
    known = head & np.isfinite(layers.front) & np.isfinite(layers.head_back)
    if not known.any():
        return np.full(head.shape, head_depth)
    between = np.full(head.shape, head_depth)
    between[known] = (layers.front[known] + layers.head_back[known]) / 2
    return _smooth(_spread(between, known, blob), blob, 2.0)


def _nape(
    blob: np.ndarray, hair: np.ndarray, mask: np.ndarray, *, chin_row: float, shoulder_row: float
) -> np.ndarray:
    """Find where long hair also covers the neck's back: between its strands on both sides.

    Hair that comes down on both sides of a neck comes down behind it, as far as the shorter side.
    Hair on one side still covers the nape.
    """
    rows, columns = np.where(hair & blob)
    below = rows > chin_row
    filled = np.zeros_like(blob)
    if below.sum() < 10:
        return filled
    middle = columns[~below].mean() if (~below).any() else columns.mean()
    for row in np.unique(rows[below]):
        here = columns[rows == row]
        both = here.min() < middle < here.max()
        if both or row < (2 * chin_row + shoulder_row) / 3:
            low, high = min(here.min(), int(middle)), max(here.max(), int(middle))
            filled[row, low : high + 1] = True
    return filled & mask


def web_shells(
    mask: np.ndarray,
    covered: np.ndarray,
    layers: BodyLayers,
    *,
    camera: Camera,
    vertices: np.ndarray,
    vertex_weights: np.ndarray,
) -> list[Shell]:
    """Close what the body's surface leaves open inside the outline.

    A skirt between two legs, a bag, a flared sleeve: each patch becomes a thin cushion that hangs
    on the surfaces around it and is carried by the bones of its neighbours.

    Args:
        mask: Person, bool (h, w).
        covered: What body and hair already cover, bool (h, w).
        layers: The dressed body.
        camera: Camera of the picture.
        vertices: Dressed body, camera frame [m], (v, 3).
        vertex_weights: Skinning shares, (v, 55).
    """
    missing = mask & ~ndimage.binary_dilation(covered, iterations=1)
    shells = []
    for patch in _patches(missing, camera, vertices, vertex_weights):
        wide = cv2.distanceTransform(patch.astype(np.uint8), cv2.DIST_L2, 5).max() >= MIN_PATCH_PX
        if not wide or patch.sum() < max(12.0, MIN_PATCH_SHARE * mask.sum()):
            continue
        grown = ndimage.binary_dilation(patch, iterations=WEB_OVERLAP_PX) & mask
        known = grown & layers.covered & np.isfinite(layers.front)
        middle = _spread(layers.front, known, grown)
        thickness = 0.6 * np.sqrt(_poisson(grown)) * float(middle[grown].mean()) / camera.focal_px
        hand = layers.hidden_hand
        near = np.minimum(middle - thickness - WEB_MARGIN, hand - WEB_MARGIN)
        far = np.maximum(middle + thickness + WEB_MARGIN, np.where(np.isinf(hand), 0, hand + PALM))
        front = _sheet(grown, near, camera)
        back = _sheet(grown, far, camera, flip=True)
        points, faces, _ = _join(front, back, mask.shape)
        if len(faces) == 0:
            continue
        weights = _web_weights(points, vertices, vertex_weights)
        shells.append(Shell(vertices=points, faces=faces, weights=weights, is_hair=False))
    return shells


def _patches(
    missing: np.ndarray, camera: Camera, vertices: np.ndarray, vertex_weights: np.ndarray
) -> list[np.ndarray]:
    """Part what is missing into patches; what lies between two shanks is parted between them.

    A skirt's patch reaches up to the thighs and joins both legs. One between shanks or feet is a
    fold of either trouser leg, and would span them like a web when the person walks.
    """
    labels, count = ndimage.label(missing, structure=np.ones((3, 3)))
    pixels = project(vertices, camera)
    side = LEG_SIDE[LIMB_OF_JOINT[vertex_weights.argmax(1)]]
    thigh = vertex_weights[:, list(SKIRT_JOINTS)].sum(1)
    legs = np.where(side > 0)[0]
    tree = cKDTree(pixels[legs])
    patches = []
    for label in range(1, count + 1):
        patch = labels == label
        rows, columns = np.where(patch)
        distance, nearest = tree.query(np.stack([columns + 0.5, rows + 0.5], 1))
        owner = side[legs[nearest]]
        joins = (owner == 1).any() and (owner == 2).any()
        if joins and thigh[legs[nearest]].mean() < SKIRT_SHARE and distance.max() < LEG_REACH_PX:
            for leg in (1, 2):
                half = np.zeros_like(patch)
                half[rows[owner == leg], columns[owner == leg]] = True
                patches.append(half)
        else:
            patches.append(patch)
    return patches


def _web_weights(
    points: np.ndarray, vertices: np.ndarray, vertex_weights: np.ndarray
) -> np.ndarray:
    """Let a web follow the bones around it, but never two limbs that part when the person moves.

    Legs and torso may share a web (that is a skirt). An arm that rests against the torso may not:
    the web would fan out when the arm is lifted, so it goes with whichever touches it more.
    """
    groups = WEB_GROUP[LIMB_OF_JOINT[vertex_weights.argmax(1)]]
    nearest = groups[cKDTree(vertices).query(points, 8)[1].ravel()]
    group = np.bincount(nearest).argmax()
    members = np.where(groups == group)[0]
    legs = LEG_SIDE[LIMB_OF_JOINT[vertex_weights[members].argmax(1)]]
    here = cKDTree(vertices[members]).query(points, 8)[1].ravel()
    if vertex_weights[members[here]][:, list(SKIRT_JOINTS)].sum(1).mean() < SKIRT_SHARE:
        leg = np.bincount(legs[here], minlength=3).argmax()
        members = members[legs == leg] if leg else members
    distance, ids = cKDTree(vertices[members]).query(points, WEB_NEIGHBORS)
    share = 1 / (distance + 0.02) ** 2
    share /= share.sum(1, keepdims=True)
    weights = np.einsum("nk,nkj->nj", share, vertex_weights[members[ids]])
    # Cloth around a hand goes with the wrist; fingers would tear it.
    for wrist, fingers in ((20, slice(25, 40)), (21, slice(40, 55))):
        weights[:, wrist] += weights[:, fingers].sum(1)
        weights[:, fingers] = 0
    return weights


def _poisson(region: np.ndarray) -> np.ndarray:
    """Solve ``laplace h = -4`` with h = 0 outside; on a disc of radius r, ``sqrt(h)`` is a ball."""
    ids = np.full(region.shape, -1)
    count = int(region.sum())
    ids[region] = np.arange(count)
    height = np.zeros(region.shape)
    if count == 0:
        return height
    padded = np.pad(ids, 1, constant_values=-1)
    rows, columns = np.where(region)
    here = ids[region]
    entries = []
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        beside = padded[rows + 1 + down, columns + 1 + right]
        inside = beside >= 0
        entries.append(np.stack([here[inside], beside[inside]]))
    pairs = np.concatenate(entries, 1)
    neighbors = sp.csr_matrix((np.ones(pairs.shape[1]), (pairs[0], pairs[1])), (count, count))
    system = (4.0 * sp.eye(count) - neighbors).tocsc()
    height[region] = spla.spsolve(system, np.full(count, 4.0))
    return np.maximum(height, 0)


def _spread(values: np.ndarray, known: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Continue known values smoothly over a region by repeated averaging of neighbours."""
    if not known.any():
        known = np.isfinite(values)
    rows, columns = ndimage.distance_transform_edt(
        ~known, return_distances=False, return_indices=True
    )
    filled = np.where(np.isfinite(values), values, 0)[rows, columns]
    free = region & ~known
    for _ in range(60):
        blurred = cv2.blur(filled, (3, 3))
        filled = np.where(free, blurred, filled)
    return filled


def _smooth(values: np.ndarray, region: np.ndarray, sigma: float) -> np.ndarray:
    """Blur inside a region without looking outside."""
    weight = cv2.GaussianBlur(region.astype(np.float64), (0, 0), sigma)
    total = cv2.GaussianBlur(np.where(region, values, 0), (0, 0), sigma)
    return np.where(region, total / np.maximum(weight, 1e-6), values)


def _largest(region: np.ndarray) -> np.ndarray:
    """Keep the biggest connected piece."""
    labels, count = ndimage.label(region)
    if count < 2:
        return region
    return labels == 1 + np.argmax(ndimage.sum(region, labels, range(1, count + 1)))


def _sheet(
    region: np.ndarray, depth: np.ndarray, camera: Camera, *, flip: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triangulate the pixels of a region at their depths; vertices, faces and pixel of each."""
    ids = np.full(region.shape, -1)
    rows, columns = np.where(region)
    ids[region] = np.arange(len(rows))
    z = depth[rows, columns]
    center = camera.center_px
    x = (columns + 0.5 - center[0]) * z / camera.focal_px
    y = (rows + 0.5 - center[1]) * z / camera.focal_px
    a, b, c, d = ids[:-1, :-1], ids[:-1, 1:], ids[1:, :-1], ids[1:, 1:]
    first = np.stack([a, c, b], -1)[(a >= 0) & (b >= 0) & (c >= 0)]
    second = np.stack([b, c, d], -1)[(b >= 0) & (c >= 0) & (d >= 0)]
    faces = np.concatenate([first, second])
    # Seen from the camera (y down) this order turns the normal towards it.
    if flip:
        faces = faces[:, ::-1]
    return np.stack([x, y, z], 1), faces, np.stack([columns, rows], 1)


def _join(
    first: tuple[np.ndarray, np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray, np.ndarray],
    shape: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Put two sheets into one mesh and close the slit between them along their common outline.

    A ball's picture is as steep at its edge as it can be: between the last pixel's front and back
    lie centimetres, and from the side they would gape.
    """
    offset = len(first[0])
    vertices = np.concatenate([first[0], second[0]])
    ids = np.full((2, *shape), -1)
    ids[0][first[2][:, 1], first[2][:, 0]] = np.arange(offset)
    ids[1][second[2][:, 1], second[2][:, 0]] = offset + np.arange(len(second[0]))
    inside = np.pad((ids >= 0).all(0), 1)
    either = np.pad((ids >= 0).any(0), 1)
    rows, columns = np.where(inside)
    walls = []
    for (along_row, along_column), (out_row, out_column) in _EDGES:
        beside = inside[rows + along_row, columns + along_column]
        open_here = ~either[rows + out_row, columns + out_column]
        open_there = ~either[rows + along_row + out_row, columns + along_column + out_column]
        edge = beside & open_here & open_there
        r, c = rows[edge] - 1, columns[edge] - 1
        a, b = ids[0][r, c], ids[0][r + along_row, c + along_column]
        d, e = ids[1][r, c], ids[1][r + along_row, c + along_column]
        walls += [np.stack([a, b, d], 1), np.stack([b, e, d], 1)]
    faces = np.concatenate([first[1], second[1] + offset, *walls])
    return vertices, faces, np.concatenate([first[2], second[2]])


_EDGES = (
    ((0, 1), (-1, 0)),
    ((0, -1), (1, 0)),
    ((-1, 0), (0, -1)),
    ((1, 0), (0, 1)),
)
"""Steps (row, column) along an outline and out of it, so that walls face outwards."""
