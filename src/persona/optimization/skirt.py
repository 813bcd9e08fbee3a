"""Skirts, dresses and coats below the waist: one tube of cloth before the legs it hides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial import cKDTree
from torch import Tensor

from persona.body.skeleton import JOINT_IDS
from persona.body.skinning import blend_transforms
from persona.geometry.cameras import Camera
from persona.optimization.limbs import LIMB_OF_JOINT, Limb
from persona.optimization.silhouette import Freedom
from persona.optimization.surface import Surface
from persona.records.garment import Garment
from persona.records.observation import Part

WAIST = 0.8
"""Where the hanging part of a dress or coat begins, from shoulders (0) to hips (1)."""
OVERLAP = 0.03
"""How far a skirt reaches up under the top that hangs over it [m]."""
FEWEST = 24
"""Vertices below which nothing hangs."""
OUTWARD = 0.10
"""Most that a skirt is grown to the outline [m]; its mesh has the outline's width already."""
INWARD = 0.04
"""Most that it is taken in [m]."""
RIM_BINS = 48
"""Directions around a skirt in which it has a lowest vertex."""
EDGE = 0.02
"""Height over which legs go from bare to covered at a hem, and clothes at a waist [m]."""
HEM_SHOWN = 0.012
"""How far up a skirt its hem lets one see the leg [m]."""
HEM_REACH = 0.10
"""How far below a hem its corners would still pull legs outwards [m]."""
UNDER_FREEDOM = 0.1
"""Share of its freedom to grow that a covered leg keeps [-]."""
LINING_SHADE = 0.72
"""Light inside clothes over light on them, in sRGB [-]."""
LINING_VOTERS = 24
"""Gaussians of cloth whose median colours what is behind them: no print, no seam."""
HIDDEN_LIMBS = (Limb.TORSO, Limb.LEFT_LEG, Limb.RIGHT_LEG)
"""What a skirt can hide."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Skirt:
    """The part of a garment that hangs around both legs, in T-pose."""

    rest: np.ndarray
    """Vertices [m], (n, 3)."""
    faces: np.ndarray
    """Triangles, outward, (f, 3)."""
    weights: np.ndarray
    """Skinning shares, (n, 55)."""

    @property
    def top(self) -> float:
        """Height where it begins [m]."""
        return float(self.rest[:, 1].max())

    @property
    def hem(self) -> float:
        """Height where it ends [m]."""
        return float(self.rest[:, 1].min())

    @property
    def rim(self) -> np.ndarray:
        """The lowest vertex in every direction around it, (b,)."""
        flat = self.rest[:, [0, 2]] - self.rest[:, [0, 2]].mean(0)
        turn = np.arctan2(flat[:, 1], flat[:, 0]) / (2 * np.pi) + 0.5
        sector = np.minimum((turn * RIM_BINS).astype(int), RIM_BINS - 1)
        order = np.lexsort((self.rest[:, 1], sector))
        _, first = np.unique(sector[order], return_index=True)
        return order[first]

    def hung(self, T_posed_rest: Float[Tensor, "55 4 4"], camera: Camera) -> np.ndarray:
        """Carry it along with the bones; vertices in the camera's frame [m], (n, 3)."""
        linear, shift = blend_transforms(T_posed_rest, torch.from_numpy(self.weights).float())
        rest = torch.from_numpy(self.rest).float()
        posed = (linear @ rest[..., None])[..., 0] + shift
        return camera.to_camera(posed).numpy().astype(np.float64)


def skirt_of(
    garment: Garment, garments: Sequence[Garment], rest_joints: np.ndarray
) -> Skirt | None:
    """Cut off a garment what hangs around both legs; None for what is no tube.

    A top over a skirt hides its waist, so that the skirt begins under the top's hem.

    Args:
        garment: In the person's T-pose.
        garments: All that is worn, this one among them.
        rest_joints: Joints of the T-pose [m], (55, 3).
    """
    if not garment.is_tube:
        return None
    heights = [
        np.mean([rest_joints[JOINT_IDS[f"{side}_{name}"], 1] for side in ("left", "right")])
        for name in ("shoulder", "hip")
    ]
    top = heights[0] + WAIST * (heights[1] - heights[0])
    for other in garments:
        if other.layer > garment.layer and other.name != "hair":
            top = min(top, float(other.rest_vertices[:, 1].min()) + OVERLAP)
    vertices = garment.rest_vertices.double().numpy()
    faces = garment.faces.numpy()
    kept = faces[(vertices[faces, 1] <= top).all(1)]
    used, faces = np.unique(kept, return_inverse=True)
    if len(used) < FEWEST:
        return None
    return Skirt(
        rest=vertices[used],
        faces=faces.reshape(-1, 3),
        weights=garment.body_weights.double().numpy()[used],
    )


def covered_by(
    skirts: Sequence[Skirt],
    rest_vertices: np.ndarray,
    weights: np.ndarray,
    *,
    shown: float = HEM_SHOWN,
) -> np.ndarray:
    """Say how far skirts hide each vertex of trunk and legs, 0 to 1, (v,).

    Args:
        skirts: In T-pose.
        rest_vertices: The naked body's [m], (v, 3).
        weights: Its skinning shares, (v, 55).
        shown: How far above the hem a leg is still seen [m]; below 0 for how far below it a leg
            still counts as hidden.
    """
    under = np.zeros(len(rest_vertices))
    hidden = np.isin(LIMB_OF_JOINT[weights.argmax(1)], HIDDEN_LIMBS)
    height = rest_vertices[:, 1]
    for skirt in skirts:
        rim = skirt.rest[skirt.rim]
        hem = rim[cKDTree(rim[:, [0, 2]]).query(rest_vertices[:, [0, 2]])[1], 1]
        inside = np.minimum(height - hem - shown, skirt.top - OVERLAP - height) / EDGE
        under = np.maximum(under, np.clip(inside, 0, 1))
    return np.where(hidden, under, 0.0)


def joined_freedom(body: Freedom, under: np.ndarray, skirts: Sequence[Skirt]) -> Freedom:
    """Let skirts grow to the outline, and the legs under them hardly at all."""
    count = sum(len(skirt.rest) for skirt in skirts)
    kept = 1 - (1 - UNDER_FREEDOM) * under
    return Freedom(
        outward=np.concatenate([body.outward * kept, np.full(count, OUTWARD)]),
        inward=np.concatenate([body.inward, np.full(count, INWARD)]),
        trust=np.concatenate([body.trust, np.ones(count)]),
        # Below a hem the outline turns in, to the legs, and would pull its corners after it.
        bends=np.concatenate([np.ones(len(under)), np.zeros(count)]),
    )


def part_of_covered(surface: Surface, part: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Let covered legs show what they show below the hem: skin or tights.

    Args:
        surface: What is known of each Gaussian.
        part: A `Part` for each.
        under: How far a skirt hides each, 0 to 1.

    Returns:
        Parts with those of covered legs replaced, (n,).
    """
    bare = surface.seen & (under == 0) & np.isin(surface.limb, HIDDEN_LIMBS[1:])
    shown = part[bare]
    tights = (shown == Part.LOWER).sum() > (shown == Part.SKIN).sum()
    return np.where(under > 0, int(Part.LOWER if tights else Part.SKIN), part)


def lining_behind(cloth: np.ndarray, colors: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Give places (m, 3) the shaded colour of the cloth (n, 3) before them, sRGB, (m, 3)."""
    voters = min(LINING_VOTERS, len(cloth))
    near = cKDTree(cloth).query(places, voters)[1].reshape(len(places), voters)
    return LINING_SHADE * np.median(colors[near], 1)


def shaded_under(
    surface: Surface, part: np.ndarray, colors: np.ndarray, under: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Paint covered legs in the skirt's own colour, in its shade; near the hem they stay bare.

    A knee that is lifted comes out between neighbouring threads before any cloth that follows two
    legs at once; in the skirt's colour that is a fold, in the skin's a hole.

    Returns:
        Parts, all of them skin that goes with the body and not with cloth (n,), and colours (n, 3).
    """
    covered = np.where(under > 0)[0]
    cloth = np.where(surface.limb == Limb.SKIRT)[0]
    if len(covered) == 0 or len(cloth) == 0:
        return part, colors
    lining = lining_behind(surface.rest[cloth], colors[cloth], surface.rest[covered])
    share = under[covered, None]
    colors, part = colors.copy(), part.copy()
    colors[covered] = share * lining + (1 - share) * colors[covered]
    part[covered] = int(Part.SKIN)
    return part, colors
