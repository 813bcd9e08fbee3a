"""What the body leaves open inside the outline: bags, flared sleeves, the front of a skirt."""

import cv2
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from persona.geometry.cameras import Camera
from persona.optimization.limbs import LIMB_OF_JOINT, Limb
from persona.optimization.shells import BodyLayers, Shell, inflate, join, sheet, spread
from persona.optimization.silhouette import project

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
SLEEVE_SIDE = np.array([0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0])
"""By `Limb`: left sleeve or right sleeve. Hands hang beside skirts and coats, which are not cut."""
HAND_REACH_PX = 4.0
"""A patch this near to a hand shows it, or what is behind it [px]."""
SKIRT_SHARE = 0.25
"""Share of thigh and pelvis around a patch from which it may join both legs [-]."""
LEG_REACH_PX = 30.0
"""A patch of which some lies farther from both legs, or from an arm, is a bag or a coat, not a
trouser leg or a sleeve [px]."""
SKIRT_JOINTS = (0, 1, 2)
"""Pelvis and hips: what carries the cloth of a skirt's top."""
WEB_NEIGHBORS = 24
"""Vertices whose shares a web point averages: enough to span from leg to leg."""


def web_shells(
    mask: np.ndarray,
    covered: np.ndarray,
    layers: BodyLayers,
    *,
    camera: Camera,
    vertices: np.ndarray,
    vertex_weights: np.ndarray,
    skin: np.ndarray,
    skirted: bool,
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
        skin: Where the picture shows skin, bool (h, w).
        skirted: Whether a skirt hangs on a tube of its own; then nothing else joins both legs.
    """
    missing = mask & ~ndimage.binary_dilation(covered, iterations=1)
    shells = []
    by_hand = np.isin(LIMB_OF_JOINT[vertex_weights.argmax(1)], (Limb.LEFT_HAND, Limb.RIGHT_HAND))
    near_hand = cKDTree(project(vertices[by_hand], camera))
    patches = [
        part
        for patch in _patches(missing, camera, vertices, vertex_weights, skin, skirted=skirted)
        for part in _bare_and_clothed(patch, skin, near_hand)
    ]
    for patch in patches:
        wide = cv2.distanceTransform(patch.astype(np.uint8), cv2.DIST_L2, 5).max() >= MIN_PATCH_PX
        if not wide or patch.sum() < max(12.0, MIN_PATCH_SHARE * mask.sum()):
            continue
        bare = skin[patch].mean() > 0.5
        grown = ndimage.binary_dilation(patch, iterations=WEB_OVERLAP_PX) & mask
        grown &= skin | patch if bare else True
        known = grown & layers.covered & np.isfinite(layers.front)
        known = known_of_its_leg(patch, known, layers.front, camera, vertices, vertex_weights)
        if not known.any():
            continue
        middle = spread(layers.front, known, grown)
        thickness = 0.6 * np.sqrt(inflate(grown)) * float(middle[grown].mean()) / camera.focal_px
        hand = layers.hidden_hand
        near = np.minimum(middle - thickness - WEB_MARGIN, hand - WEB_MARGIN)
        far = np.maximum(middle + thickness + WEB_MARGIN, np.where(np.isinf(hand), 0, hand + PALM))
        front = sheet(grown, near, camera)
        back = sheet(grown, far, camera, flip=True)
        points, faces, _ = join(front, back, mask.shape)
        if len(faces) == 0:
            continue
        # Hands wear nothing: what the picture shows beside one is cloth of something else.
        rows = slice(None) if bare else ~by_hand
        least = _skirt_share(patch, skin, skirted=skirted)
        weights = _web_weights(points, vertices[rows], vertex_weights[rows], least)
        shells.append(Shell(vertices=points, faces=faces, weights=weights, is_hair=False))
    return shells


def _patches(
    missing: np.ndarray,
    camera: Camera,
    vertices: np.ndarray,
    vertex_weights: np.ndarray,
    skin: np.ndarray,
    *,
    skirted: bool,
) -> list[np.ndarray]:
    """Part what is missing into patches; what lies between limbs that part is cut between them.

    A skirt's patch reaches up to the thighs and joins both legs. One between shanks or feet is a
    fold of either trouser leg, and would span them like a web when the person walks. One between
    a sleeve and the trunk is cloth of both, and would fly like a wing when the arm is raised.
    """
    labels, count = ndimage.label(missing, structure=np.ones((3, 3)))
    pixels = project(vertices, camera)
    limbs = LIMB_OF_JOINT[vertex_weights.argmax(1)]
    sleeve, side = SLEEVE_SIDE[limbs], LEG_SIDE[limbs]
    thigh = vertex_weights[:, list(SKIRT_JOINTS)].sum(1)
    legs = np.where(side > 0)[0]
    tree, anything, sleeves = (cKDTree(pixels[rows]) for rows in (legs, side >= 0, sleeve > 0))
    patches = []
    for label in range(1, count + 1):
        whole = labels == label
        hangs = sleeves.query(_spots(whole))[0].max() < LEG_REACH_PX
        for patch in _parted(whole, sleeve, anything) if hangs else [whole]:
            spots = _spots(patch)
            distance, nearest = tree.query(spots)
            owner = side[legs[nearest]]
            joins = (owner == 1).any() and (owner == 2).any()
            folds = thigh[legs[nearest]].mean() < _skirt_share(patch, skin, skirted=skirted)
            folds &= distance.max() < LEG_REACH_PX
            patches += _parted(patch, side[legs], tree) if joins and folds else [patch]
    return patches


def known_of_its_leg(
    patch: np.ndarray,
    known: np.ndarray,
    front: np.ndarray,
    camera: Camera,
    vertices: np.ndarray,
    vertex_weights: np.ndarray,
) -> np.ndarray:
    """Leave the other leg's depth out, where what shows beside a patch is of one leg alone.

    Legs that cross in the picture are a step apart: a patch that leant on both would be a spike.
    """
    side = LEG_SIDE[LIMB_OF_JOINT[vertex_weights.argmax(1)]]
    owners = np.unique(side[cKDTree(project(vertices, camera)).query(_spots(patch))[1]])
    legs = owners[owners > 0]
    if len(legs) != 1:
        return known
    depth = front[known][:, None]
    places = (_spots(known) - np.array(camera.center_px)) * depth / camera.focal_px
    places = np.concatenate([places, depth], 1)
    mine = known.copy()
    mine[known] = np.isin(side[cKDTree(vertices).query(places)[1]], (0, legs[0]))
    return mine


def _skirt_share(patch: np.ndarray, skin: np.ndarray, *, skirted: bool) -> float:
    """Say from what share of thigh and pelvis around it a patch may be a skirt: skin never is."""
    return np.inf if skirted or skin[patch].mean() > 0.5 else SKIRT_SHARE


def _bare_and_clothed(patch: np.ndarray, skin: np.ndarray, near_hand: cKDTree) -> list[np.ndarray]:
    """Part skin from cloth in a patch beside a hand: one goes with it, the other must not."""
    if near_hand.query(_spots(patch))[0].min() > HAND_REACH_PX:
        return [patch]
    return [part for part in (patch & skin, patch & ~skin) if part.any()]


def _parted(patch: np.ndarray, owners: np.ndarray, tree: cKDTree) -> list[np.ndarray]:
    """Cut a patch where the nearest of some vertices changes its owner."""
    rows, columns = np.where(patch)
    owner = owners[tree.query(_spots(patch))[1]]
    parts = []
    for one in np.unique(owner):
        part = np.zeros_like(patch)
        part[rows[owner == one], columns[owner == one]] = True
        parts.append(part)
    return parts


def _spots(patch: np.ndarray) -> np.ndarray:
    """Give the centres of a patch's pixels (x, y) [px]."""
    rows, columns = np.where(patch)
    return np.stack([columns + 0.5, rows + 0.5], 1)


def _web_weights(
    points: np.ndarray, vertices: np.ndarray, vertex_weights: np.ndarray, least_thigh: float
) -> np.ndarray:
    """Let a web follow the bones around it, but never two limbs that part when the person moves.

    Legs and torso may share a web with ``least_thigh`` of thighs around it: that is a skirt. An arm
    that rests against the torso may not: the web would fan out when the arm is lifted, so it goes
    with whichever touches it more.
    """
    groups = WEB_GROUP[LIMB_OF_JOINT[vertex_weights.argmax(1)]]
    nearest = groups[cKDTree(vertices).query(points, 8)[1].ravel()]
    group = np.bincount(nearest).argmax()
    members = np.where(groups == group)[0]
    legs = LEG_SIDE[LIMB_OF_JOINT[vertex_weights[members].argmax(1)]]
    here = cKDTree(vertices[members]).query(points, 8)[1].ravel()
    if vertex_weights[members[here]][:, list(SKIRT_JOINTS)].sum(1).mean() < least_thigh:
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
