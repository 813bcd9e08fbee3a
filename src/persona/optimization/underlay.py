"""Skin behind what is seen: in trouser legs and sleeves that ride up in motion, and in a face."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from persona.optimization.limbs import LIMB_OF_JOINT, Limb, along
from persona.optimization.silhouette import vertex_normals
from persona.optimization.skirt import lining_behind
from persona.optimization.surface import Surface
from persona.records.garment import Garment
from persona.records.observation import Part

ENDS = {
    Limb.LEFT_LEG: Limb.LEFT_FOOT,
    Limb.RIGHT_LEG: Limb.RIGHT_FOOT,
    Limb.LEFT_ARM: Limb.LEFT_HAND,
    Limb.RIGHT_ARM: Limb.RIGHT_HAND,
}
"""What limbs end in."""
END_SHARE = 0.98
"""Share of a garment's vertices on a limb that lie above its hem: a corner is no hem [-]."""
FEWEST = 24
"""Vertices from which a garment goes down a limb."""
ROOT = 0.08
"""How far down a limb a garment must reach to be a leg or a sleeve [m]."""
WRIST = 0.05
"""A sleeve that ends nearer to the hand than this has no arm inside [m]: a cuff lies close over a
thin wrist, whose skin would show through it in spots."""
BEYOND = 0.03
"""How far past a hem there is skin, under what is bare there [m]."""
INSET = 0.004
"""Least way that this skin is drawn in [m]: what is bare beside it hides it at rest."""
TAPER = 0.10
"""... and how much more for every metre up from the hem, where less of it is ever seen [-]."""
TOES = (10, 11)
"""Joints too thin to be drawn in."""
SHOWN = (0.06, 0.05)
"""How far above and below the hem the photo is asked what is bare there [m]."""
FACE_INSET = 0.005
"""How far the lining of a face is drawn in [m]."""
FACE_CLEAR = 0.8
"""Share of this way that it keeps from all skin [-]."""
FACE_VOTERS = 24
"""Gaussians of a face whose middle colour its lining has."""
ENOUGH = 20
"""Seen Gaussians from which that colour can be told."""


@dataclass(frozen=True, kw_only=True)
class Cover:
    """How clothes cover the end of a limb."""

    bare: float
    """How far up from the hem skin looks like what is bare below it [m] ..."""
    reach: float
    """... fading, up to here, into the shaded inside of the cloth [m]; beyond there is none."""
    clear: float
    """How far it stays behind the cloth at rest [m]: the error of learned cloth, or twice it."""


LEG = Cover(bare=0.08, reach=0.24, clear=0.020)
"""The hem of wide trousers rises by up to 20 cm in a dance."""
ARM = Cover(bare=0.03, reach=0.12, clear=0.010)
"""A sleeve rises less, and an arm is thin."""
COVERS = {
    Limb.LEFT_LEG: LEG,
    Limb.RIGHT_LEG: LEG,
    Limb.LEFT_ARM: ARM,
    Limb.RIGHT_ARM: ARM,
}
"""Limbs that go through clothes."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Underlay:
    """The naked body inside trouser legs and sleeves, at rest."""

    inset: np.ndarray
    """How far each is drawn in along its normal [m], (v,)."""
    faces: np.ndarray
    """Rows of the body's triangles that belong to it, (f,)."""


def underlay_of(
    garments: Sequence[Garment],
    rest_vertices: np.ndarray,
    faces: np.ndarray,
    weights: np.ndarray,
    standoff: np.ndarray,
) -> Underlay:
    """Find the skin that ends of trouser legs and sleeves may uncover.

    The body's mesh is grown to the clothes and goes with them, so that there is nothing inside.
    Tubes are no matter of this: the legs under them are bare, see `skirt.covered_by`.

    Args:
        garments: All that is worn.
        rest_vertices: The naked body's [m], (v, 3).
        faces: Its triangles (f, 3).
        weights: Its skinning shares (v, 55).
        standoff: How far the dressed surface lies before the skin [m], (v,).
    """
    limbs = LIMB_OF_JOINT[weights.argmax(1)]
    inset = np.zeros(len(rest_vertices))
    inside = np.zeros(len(rest_vertices), bool)
    for limb, cover in COVERS.items():
        hem = hem_of(garments, limb)
        down = _down(limb, rest_vertices)
        root = down[limbs == limb].min() + ROOT
        if hem is None or hem < root or _at_wrist(limb, hem, down[limbs == ENDS[limb]]):
            continue
        mine = np.isin(limbs, (limb, ENDS[limb]))
        inside |= mine & (down > max(root, hem - cover.reach)) & (down < hem + BEYOND)
        slim = np.minimum(INSET + TAPER * np.maximum(hem - down[mine], 0), cover.clear)
        inset[mine] = np.maximum(slim, cover.clear - np.maximum(standoff[mine], 0))
        inset[mine] += np.maximum(-standoff[mine], 0)
    inside &= weights[:, list(TOES)].sum(1) < 0.5
    return Underlay(inset=inset, faces=np.flatnonzero(inside[faces].all(1)))


def with_face(
    underlay: Underlay,
    face: np.ndarray,
    rest_vertices: np.ndarray,
    faces: np.ndarray,
    standoff: np.ndarray,
) -> Underlay:
    """Line a face: between two Gaussians that lie a little too far apart its skin shows.

    Without it the hair on the back of the head does, as specks.

    Args:
        underlay: That of the clothes.
        face: Which vertices are a face's, without eyes and mouth, bool (v,).
        rest_vertices: The naked body's [m], (v, 3).
        faces: Its triangles (f, 3).
        standoff: How far the dressed surface lies before the skin [m], (v,).
    """
    inset = np.where(face, FACE_INSET + np.maximum(-standoff, 0), underlay.inset)
    drawn_in = rest_vertices - FACE_INSET * vertex_normals(rest_vertices, faces)
    # In the folds beside nose, eyes and lips it would come out on the other side.
    clear = cKDTree(rest_vertices).query(drawn_in)[0] > FACE_CLEAR * FACE_INSET
    lined = np.flatnonzero((face & clear)[faces].all(1))
    return Underlay(inset=inset, faces=np.concatenate([underlay.faces, lined]))


def _at_wrist(limb: Limb, hem: float, hand: np.ndarray) -> bool:
    return COVERS[limb] is ARM and hem > float(hand.min()) - WRIST


def hem_of(garments: Sequence[Garment], limb: Limb) -> float | None:
    """Say how far down a limb clothes go that follow it [m]; None where none do.

    On legs that is minus the height, on arms the distance from the middle of the T-pose.
    """
    places = []
    for garment in garments:
        carried = LIMB_OF_JOINT[garment.body_weights.argmax(1).numpy()]
        mine = np.isin(carried, (limb, ENDS[limb]))
        if not garment.is_tube and garment.name != "hair" and mine.sum() >= FEWEST:
            down = _down(limb, garment.rest_vertices.numpy()[mine].astype(np.float64))
            places.append(float(np.quantile(down, END_SHARE)))
    return max(places, default=None)


def underlay_colors(
    surface: Surface,
    colors: np.ndarray,
    garments: Sequence[Garment],
    rest: np.ndarray,
    limb: np.ndarray,
) -> np.ndarray:
    """Paint skin inside clothes: as what is bare past the hem, a sock or a shaft too, then shade.

    Where the photo shows nothing there, it has the colour of the person's other skin.

    Args:
        surface: What is known of all other Gaussians.
        colors: Their colours, completed [sRGB], (n, 3).
        garments: All that is worn.
        rest: Places at rest, on the naked body [m], (m, 3).
        limb: A `Limb` for each, (m,).

    Returns:
        Colours (m, 3).
    """
    cloth = np.isin(surface.part, (Part.UPPER, Part.LOWER))
    bare = surface.seen & ~cloth & (surface.part != Part.BACKGROUND)
    skin = surface.seen & (surface.part == Part.SKIN)
    anyone = np.median(colors[skin if skin.any() else surface.seen], 0)
    lining = lining_behind(surface.rest[cloth], colors[cloth], rest)
    painted = np.zeros((len(rest), 3))
    face = (surface.limb == Limb.HEAD) & (surface.part == Part.SKIN)
    mine = limb == Limb.HEAD
    if face.any() and mine.any():
        around = cKDTree(surface.rest[face]).query(rest[mine], min(FACE_VOTERS, face.sum()))[1]
        painted[mine] = np.median(colors[face][around.reshape(mine.sum(), -1)], 1)
    for one, cover in COVERS.items():
        both = (one, ENDS[one])
        mine = np.isin(limb, both)
        hem = hem_of(garments, one)
        if hem is None or not mine.any():
            continue
        past = _down(one, surface.rest) - hem
        there = bare & np.isin(surface.limb, both) & (past > -SHOWN[0]) & (past < SHOWN[1])
        below = np.median(colors[there], 0) if there.sum() >= ENOUGH else anyone
        up = hem - _down(one, rest[mine])
        share = np.clip((up - cover.bare) / (cover.reach - cover.bare), 0, 1)[:, None]
        painted[mine] = share * lining[mine] + (1 - share) * below
    return painted


def _down(limb: Limb, rest: np.ndarray) -> np.ndarray:
    """Measure how far down a limb each rest-pose point lies [m]: more towards hand or foot."""
    return along(limb, rest) if limb in (Limb.LEFT_ARM, Limb.RIGHT_ARM) else -along(limb, rest)
