"""The edge of the person's mask, sampled: where it lies, where outside is, what lies inside."""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.records.observation import Observation

STEP_PX: Final = 4
"""Distance of two samples along the edge, the person scaled to 512 px."""
MARGIN_PX: Final = 8
"""Free border around the person, so that the edge closes where the photo ends."""
PEEK_PX: Final = 4.0
"""How far inside the edge its part is read: past hair-thin rims of the part map."""
SHORTEST_EDGE_PX: Final = 40
"""Closed edges below this length are specks or slits, not limbs."""


@dataclass(frozen=True, kw_only=True)
class Outline:
    """Samples of the mask's edge, in working pixels."""

    points: Float[Tensor, "m 2"]
    """Position."""
    normals: Float[Tensor, "m 2"]
    """Unit direction out of the person."""
    parts: Int[Tensor, " m"]
    """The `Part` just inside."""


def trace_outline(observation: Observation, scale: float) -> Outline:
    """Sample the edge of the mask, holes between limbs included; the photo's border is no edge."""
    left, top, right, bottom = (edge * scale for edge in observation.box)
    left, top = left - MARGIN_PX, top - MARGIN_PX
    size = (round(right + MARGIN_PX - left), round(bottom + MARGIN_PX - top))
    # Pixel centres lie at half integers here and at integers in cv2.
    warp = np.array([[scale, 0, 0.5 * scale - left - 0.5], [0, scale, 0.5 * scale - top - 0.5]])
    soft = observation.mask.numpy()
    if scale < 1:
        soft = cv2.GaussianBlur(soft, (0, 0), 0.4 / scale)
    coverage = cv2.warpAffine(soft, warp, size)
    parts = cv2.warpAffine(
        observation.parts.numpy().astype(np.uint8), warp, size, flags=cv2.INTER_NEAREST
    )
    edges, _ = cv2.findContours(
        (coverage > 0.5).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
    )
    picked = [edge[::STEP_PX, 0] for edge in edges if len(edge) >= SHORTEST_EDGE_PX]
    pixels = np.concatenate(picked) if picked else np.zeros((0, 2), np.int32)
    smooth = cv2.GaussianBlur(coverage, (0, 0), 2.0)
    column, row = pixels[:, 0], pixels[:, 1]
    slope = np.stack(
        [np.gradient(smooth, axis=1)[row, column], np.gradient(smooth, axis=0)[row, column]], 1
    )
    steep = np.linalg.norm(slope, axis=1)
    position = pixels + 0.5 + np.array([left, top])
    height, width = observation.mask.shape
    inner = 3.0
    inside = (position > inner).all(1) & (position < np.array([width, height]) * scale - inner).all(
        1
    )
    keep = inside & (steep > 1e-3)
    normals = -slope[keep] / steep[keep, None]
    peek = np.rint(pixels[keep] - PEEK_PX * normals).astype(int)
    peek = np.clip(peek, 0, np.array(size) - 1)
    return Outline(
        points=torch.from_numpy(position[keep].astype(np.float32)),
        normals=torch.from_numpy(normals.astype(np.float32)),
        parts=torch.from_numpy(parts[peek[:, 1], peek[:, 0]].astype(np.int64)),
    )
