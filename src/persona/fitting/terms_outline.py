"""Terms of the silhouette: the naked body lies inside the mask and fills it where skin is bare."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.fitting.evidence import Evidence
from persona.fitting.objective import Graded, State, Term
from persona.records.observation import Part

OUTSIDE_SIGMA_PX: Final = 3.0
"""How far the body may stick out of the mask, whatever it wears."""
INSIDE_SIGMA_PX: Final[dict[Part, float]] = {
    Part.BACKGROUND: 40.0,
    Part.SKIN: 4.0,
    Part.HAIR: 400.0,
    Part.UPPER: 14.0,
    Part.LOWER: 12.0,
    Part.SHOES: 12.0,
}
"""How far the body may stay inside: not at all under skin, as far as it likes under hair."""
CLOTH_PX: Final[dict[Part, float]] = {
    Part.BACKGROUND: 2.0,
    Part.SKIN: 0.0,
    Part.HAIR: 2.0,
    Part.UPPER: 3.0,
    Part.LOWER: 3.0,
    Part.SHOES: 2.0,
}
"""Thickness of what is worn, about a centimetre."""
SAMPLE_TRUST: Final = 0.08
"""Samples four pixels apart err together: about twelve of them make one measurement."""
RIM_COSINE: Final = 0.35
"""Skin whose normal is this close to the plane of the picture can be the body's rim."""
SAME_SIDE: Final = 0.6
"""Cosine between the normals of rim and mask edge that may belong together."""
REACH_PX: Final = 32.0
"""Edges farther away belong to hair, bags and skirts."""
SLIP_PX: Final = 8.0
"""How far a match may lie along the edge."""


@dataclass(frozen=True)
class RimMatches:
    """Samples of the mask's edge, and the rim vertex that each of them meets."""

    samples: Int[Tensor, " k"]
    """Rows of the outline."""
    vertex_ids: Int[Tensor, " k"]
    """Vertices of the body."""


def match_rim(
    evidence: Evidence,
    vertices: Float[Tensor, "v 3"],
    normals: Float[Tensor, "v 3"],
    allowed: Int[Tensor, " a"],
) -> RimMatches:
    """Find the rim vertex for every sample of the mask's edge.

    Args:
        evidence: Holds the edge.
        vertices: Posed body in the world [m].
        normals: Its unit normals.
        allowed: Vertices that may be met: no eyes, teeth or tongue.
    """
    spots, facing = vertices[allowed], normals[allowed]
    view = torch.nn.functional.normalize(-spots, dim=-1)
    on_rim = (facing * view).sum(-1).abs() < RIM_COSINE
    ids, spots, facing = allowed[on_rim], spots[on_rim], facing[on_rim]
    inverse = -evidence.focal_px / spots[:, 2:]
    flip = torch.tensor([1.0, -1.0])
    pixels = spots[:, :2] * inverse * flip + torch.tensor(evidence.center_px)
    flat = torch.nn.functional.normalize(facing[:, :2] * flip, dim=-1)
    edge, outward = evidence.outline.points, evidence.outline.normals
    if not len(edge) or not len(ids):
        nothing = torch.zeros(0, dtype=torch.int64)
        return RimMatches(nothing, nothing)
    gap = pixels - edge[:, None]
    along = (gap * outward[:, None]).sum(-1)
    across = (gap.square().sum(-1) - along.square()).clamp(min=0).sqrt()
    wrong = (outward @ flat.T < SAME_SIDE) | (along.abs() > REACH_PX) | (across > SLIP_PX)
    cost = (along.square() + 4 * across.square()).masked_fill(wrong, torch.inf)
    best, choice = cost.min(1)
    samples = torch.isfinite(best).nonzero()[:, 0]
    return RimMatches(samples, ids[choice[samples]])


def outline_term(evidence: Evidence, matches: RimMatches) -> Term:
    """Distance of the matched rim from the mask's edge, along the edge's normal.

    The rows "rim" of the fit points are the matched vertices, in order.
    """
    edge = evidence.outline.points[matches.samples]
    outward = evidence.outline.normals[matches.samples]
    parts = evidence.outline.parts[matches.samples]
    cloth = torch.tensor([CLOTH_PX[part] for part in Part])[parts]
    inside = torch.tensor([INSIDE_SIGMA_PX[part] for part in Part])[parts]

    def residual(state: State) -> Graded:
        pixels, jacobian = state.pixels(state.points.rows["rim"])
        gap = ((pixels - edge) * outward).sum(-1)
        out = gap > 0
        # Outside is measured from the edge, inside from under the cloth; free between the two.
        value = torch.where(out, gap, (gap + cloth).clamp(max=0))
        spread = torch.where(out, OUTSIDE_SIGMA_PX, inside)
        factor = SAMPLE_TRUST**0.5 / spread
        graded = (value * factor)[..., None]
        if jacobian is None:
            return graded, None
        active = factor * (value != 0)
        slope = (jacobian * outward[:, :, None]).sum(-2) * active[..., None]
        return graded, slope[..., None, :]

    return Term(
        name="outline",
        sigma=1.0,
        unit="spread",
        because="the mask bounds the body from outside and shows the width of bare limbs",
        residual=residual,
        robust=1.2,
    )
