"""How the surface of a dressed person may differ from the naked body: freedom, shoes, hang."""

import numpy as np
import scipy.sparse as sp
from scipy.spatial import ConvexHull

from persona.optimization.limbs import LIMB_OF_JOINT, Limb
from persona.optimization.silhouette import Freedom, vertex_normals
from persona.records.observation import Part

OUTWARD = {
    Limb.TORSO: 0.11,
    Limb.LEFT_LEG: 0.08,
    Limb.RIGHT_LEG: 0.08,
    Limb.LEFT_ARM: 0.09,
    Limb.RIGHT_ARM: 0.09,
    Limb.LEFT_HAND: 0.004,
    Limb.RIGHT_HAND: 0.004,
    Limb.LEFT_FOOT: 0.025,
    Limb.RIGHT_FOOT: 0.025,
    Limb.HEAD: 0.004,
    Limb.NECK: 0.02,
}
"""Most that clothes stand off the skin along its normal [m]; hair has a shell of its own."""
INWARD = 0.015
"""Most that the body may be thinner than fitted [m]."""
TRUNK = (0, 3, 6, 9)
"""Pelvis and spine: where a garment hangs from shoulders and hips instead of clinging."""
DRAPE_ROUNDS = 60
"""Averagings of the trunk: hollows up to about 10 cm wide are bridged."""
BUMP_SHARE = 0.7
"""How much of what the averaging takes away from a bump is taken away [-]."""
MAX_DRAPE = 0.03
"""Most that the cloth may leave the skin by draping alone [m]."""
MIN_SLEEVE = 30
"""Vertices from which a garment is measured."""
COVERED_SHARE = 0.6
"""Share of the trunk's pixels that must be cloth."""
LOOSE = 0.012
"""Sleeves that stand off the skin further than this belong to a garment that hangs [m]."""
MOST_LOOSE = 0.035
"""What a garment stands off the chest at most by that rule [m]."""
MAX_HANG = 0.07
"""Most that a garment hangs clear of the skin below the chest [m]."""
CHEST = (0.02, 0.14)
"""Where the chest is widest, from the armpits down [m]."""
SECTORS = 24
"""Directions around the trunk in which a garment hangs on its own."""
HEM_FADE = 0.04
"""Height over which a hem comes back to the skin [m]."""
TOE_ROUNDS = 150
"""Averagings that unfold the skin between the toes onto their hull."""
SHOE_THICKNESS = 0.007
"""Leather between skin and air [m]."""
SHOE_SHARE = 0.5
"""Share of a foot's pixels that must be shoe."""


def vertex_limbs(weights: np.ndarray) -> np.ndarray:
    """Name the limb of every vertex by its heaviest bone; (v,)."""
    return LIMB_OF_JOINT[weights.argmax(1)]


def freedom(weights: np.ndarray) -> Freedom:
    """Bound every vertex by its limb, blended where limbs meet."""
    by_joint = np.array([OUTWARD[Limb(limb)] for limb in LIMB_OF_JOINT])
    outward = weights @ by_joint
    in_hand = np.isin(LIMB_OF_JOINT, (Limb.LEFT_HAND, Limb.RIGHT_HAND))
    hand = weights[:, in_hand].sum(1)
    head = weights[:, LIMB_OF_JOINT == Limb.HEAD].sum(1)
    inward = INWARD * (1 - 0.8 * hand) * (1 - 0.6 * head)
    return Freedom(outward=outward, inward=inward, trust=1 - 0.8 * hand)


def wears_shoes(pixels: np.ndarray, parts: np.ndarray, weights: np.ndarray) -> tuple[bool, bool]:
    """Read from the part labels whether the left and the right foot are shod.

    Args:
        pixels: Projected vertices (x, y) [px], (v, 2).
        parts: A `Part` for every pixel (h, w).
        weights: Skinning shares (v, 55).
    """
    shown = shown_parts(pixels, parts)
    answers = []
    for joints in ((7, 10), (8, 11)):
        foot = weights[:, list(joints)].sum(1) > 0.6
        person = shown[foot][shown[foot] != Part.BACKGROUND]
        answers.append(len(person) > 0 and float((person == Part.SHOES).mean()) > SHOE_SHARE)
    return answers[0], answers[1]


def shown_parts(pixels: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Read the `Part` of the pixel that each projected vertex falls on, hidden or not, (v,)."""
    rows = np.clip(pixels[:, 1].astype(int), 0, parts.shape[0] - 1)
    columns = np.clip(pixels[:, 0].astype(int), 0, parts.shape[1] - 1)
    return parts[rows, columns]


def covered_share(
    pixels: np.ndarray, parts: np.ndarray, weights: np.ndarray, joints: tuple[int, ...]
) -> float:
    """Read from the part labels how much of some joints' skin is under clothes, 0 to 1."""
    shown = shown_parts(pixels, parts)[weights[:, list(joints)].sum(1) > 0.6]
    shown = shown[shown != Part.BACKGROUND]
    if len(shown) == 0:
        return 0.0
    return float(np.isin(shown, (Part.UPPER, Part.LOWER)).mean())


def drape_offsets(
    vertices: np.ndarray, faces: np.ndarray, weights: np.ndarray, laplacian: sp.csr_matrix
) -> np.ndarray:
    """Hang cloth over the trunk: it bridges what is hollow and softens what stands out.

    Args:
        vertices: Rest pose [m], (v, 3).
        faces: Triangles (f, 3).
        weights: Skinning shares (v, 55).
        laplacian: Uniform graph Laplacian.

    Returns:
        Offsets along the normals in the rest pose [m], (v, 3); zero off the trunk.
    """
    trunk = np.clip((weights[:, list(TRUNK)].sum(1) - 0.5) / 0.4, 0, 1)
    shape = vertices.copy()
    for _ in range(DRAPE_ROUNDS):
        shape -= trunk[:, None] * 0.7 * (laplacian @ shape)
    normals = vertex_normals(shape, faces)
    gap = ((shape - vertices) * normals).sum(1)
    gap = np.where(gap > 0, gap, BUMP_SHARE * gap)
    return (trunk * np.clip(gap, -MAX_DRAPE, MAX_DRAPE))[:, None] * normals


def sleeve_looseness(height: np.ndarray, is_cloth: np.ndarray, limbs: np.ndarray) -> float:
    """Measure how far sleeves stand off the arms [m]; 0 where arms are bare.

    Args:
        height: How far the outline has pushed each vertex along its normal [m], (v,).
        is_cloth: Whether the photo shows a garment there, (v,).
        limbs: A `Limb` for each.
    """
    sleeve = is_cloth & np.isin(limbs, (Limb.LEFT_ARM, Limb.RIGHT_ARM)) & (height != 0)
    return float(np.percentile(height[sleeve], 80)) if sleeve.sum() >= MIN_SLEEVE else 0.0


def hang_heights(
    vertices: np.ndarray, weights: np.ndarray, is_cloth: np.ndarray, looseness: float
) -> np.ndarray:
    """Say how far a loose garment hangs clear of the trunk, where no outline tells.

    It falls from where the chest is widest instead of following the waist; arms that hang beside
    the trunk hide this from a photo taken from the front.

    Args:
        vertices: Rest pose [m], (v, 3).
        weights: Skinning shares (v, 55).
        is_cloth: Whether the photo shows the upper garment there, (v,).
        looseness: How far it stands off the arms [m].

    Returns:
        Heights above the skin [m], (v,); 0 for a tight garment and off the trunk.
    """
    heights = np.zeros(len(vertices))
    trunk = np.clip((weights[:, list(TRUNK)].sum(1) - 0.5) / 0.4, 0, 1)
    worn = is_cloth & (trunk > 0.5)
    if looseness < LOOSE or worn.sum() < MIN_SLEEVE:
        return heights
    loose = min(looseness, MOST_LOOSE)
    shoulder = weights[:, [16, 17]].sum(1) > 0.3
    armpit = np.percentile(vertices[shoulder, 1], 5)
    hem = np.percentile(vertices[worn, 1], 3)
    middle = np.median(vertices[trunk > 0.5], 0)
    flat = vertices[:, [0, 2]] - middle[[0, 2]]
    radius = np.linalg.norm(flat, axis=1)
    sector = ((np.arctan2(flat[:, 1], flat[:, 0]) / (2 * np.pi) + 0.5) * SECTORS).astype(int)
    sector %= SECTORS
    below = armpit - vertices[:, 1]
    on_chest = (trunk > 0.5) & (below > CHEST[0]) & (below < CHEST[1])
    for k in range(SECTORS):
        here = sector == k
        if not (here & on_chest).any():
            continue
        wall = radius[here & on_chest].max() + loose
        gap = np.clip(wall - radius[here], 0, MAX_HANG)
        heights[here] = np.where(below[here] > CHEST[0], gap, loose)
    fade = np.clip((vertices[:, 1] - hem) / HEM_FADE + 1, 0, 1)
    return heights * trunk * fade


def shoe_offsets(
    vertices: np.ndarray,
    faces: np.ndarray,
    weights: np.ndarray,
    laplacian: sp.csr_matrix,
    shod: tuple[bool, bool],
) -> np.ndarray:
    """Turn bare feet into shoes: the toes' hull is filled, the skin gains a sole's thickness.

    Averaging alone leaves five thinner toes. So every averaging is followed by a cast back onto
    the convex hull, which unfolds the skin between the toes like a sock that is pulled tight.

    Args:
        vertices: Rest pose [m], (v, 3).
        faces: Triangles (f, 3).
        weights: Skinning shares (v, 55).
        laplacian: Uniform graph Laplacian.
        shod: Left and right.

    Returns:
        Offsets in the rest pose [m], (v, 3); zero off the shod feet.
    """
    moved = vertices.copy()
    for side, (ankle, toes) in enumerate(((7, 10), (8, 11))):
        if not shod[side]:
            continue
        foot = weights[:, [ankle, toes]].sum(1)
        front = np.where((foot > 0.5) & (weights[:, toes] > 0.2))[0]
        soft = np.clip((weights[front, toes] - 0.3) / 0.4, 0, 1)[:, None]
        ball = vertices[front][weights[front, toes] < 0.5].mean(0)
        hull = ConvexHull(vertices[front]).equations
        rows = laplacian[front]
        sock = moved.copy()
        for _ in range(TOE_ROUNDS):
            sock[front] -= soft * 0.7 * (rows @ sock)
            sock[front] += soft * (_cast(sock[front], ball, hull) - sock[front])
        thick = np.clip((foot - 0.3) / 0.5, 0, 1)[:, None] * SHOE_THICKNESS
        moved = sock + thick * vertex_normals(sock, faces)
    return moved - vertices


def _cast(points: np.ndarray, middle: np.ndarray, hull: np.ndarray) -> np.ndarray:
    """Move points along rays from a middle onto a convex hull, given as planes.

    The middle must lie inside the closed surface the points belong to: then the hull is covered
    without a hole, however deep the surface is folded.
    """
    rays = points - middle
    slope = rays @ hull[:, :3].T
    gap = -(hull[:, :3] @ middle + hull[:, 3])
    reach = np.where(slope > 1e-9, gap / np.maximum(slope, 1e-9), np.inf).min(1)
    return middle + reach[:, None] * rays
