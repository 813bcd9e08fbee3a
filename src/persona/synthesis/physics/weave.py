"""Turn garments into one mesh of springs for the solver."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from scipy.sparse.csgraph import dijkstra

from persona.geometry.meshes import vertex_areas
from persona.kernels import ClothMesh
from persona.records.garment import Garment
from persona.synthesis.physics.settings import FABRICS, ClothSettings

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]

HELD: Final = 0.999
"""Attachment from which a vertex goes exactly where the body carries it [-]."""
SMALLEST_SHARE: Final = 0.2
"""Least mass of a vertex, of the median: slivers would be thrown about [-]."""
FOLD: Final = 0.5
"""Angle at which a spring across an edge resists as much as a sheet of the same rigidity [rad].

For two equilateral triangles with corners ``d`` apart the sheet holds ``1.73 B a^2`` and the spring
``k d^2 a^4 / 128``: they are equal at ``k = 221 B / (d a)^2``."""
SHEET: Final = 221.0
"""The factor above [-]."""


def weave(garments: Sequence[Garment], settings: ClothSettings) -> ClothMesh:
    """Join garments into one mesh, in their order.

    Edges keep their lengths; a spring across each inner edge, between the corners opposite to it,
    resists bending. Every vertex hangs on the nearest fully held one, as far as the cloth reaches.
    """
    pieces = [_Piece(garment, settings) for garment in garments]
    starts = np.cumsum([0, *(garment.vertex_count for garment in garments)])
    edges = [piece.edges + start for piece, start in zip(pieces, starts, strict=False)]
    bends = [piece.bends + start for piece, start in zip(pieces, starts, strict=False)]
    count = int(starts[-1])
    springs, lengths, compliances, begin, edge_colors = _colored(
        (np.concatenate(edges), np.concatenate(bends)),
        (
            np.concatenate([p.lengths(p.edges) for p in pieces]),
            np.concatenate([p.lengths(p.bends) for p in pieces]),
        ),
        np.concatenate([p.bend_compliances for p in pieces]),
        count,
    )
    anchors = [
        np.where(piece.anchors >= 0, piece.anchors + start, -1)
        for piece, start in zip(pieces, starts, strict=False)
    ]

    def floats(values: list[Floats]) -> torch.Tensor:
        return torch.from_numpy(np.concatenate(values).astype(np.float32))

    def each(values: list[int]) -> torch.Tensor:
        repeats = [garment.vertex_count for garment in garments]
        return torch.from_numpy(np.repeat(values, repeats).astype(np.int64))

    return ClothMesh(
        faces=torch.cat([g.faces.long() + int(s) for g, s in zip(garments, starts, strict=False)]),
        rest=torch.cat([garment.rest_vertices.float() for garment in garments]),
        inverse_masses=floats([p.inverse_masses for p in pieces]),
        holds=floats([p.holds for p in pieces]),
        thickness=floats([np.full(g.vertex_count, g.thickness_m) for g in garments]),
        layers=each([garment.layer for garment in garments]),
        garments=each(list(range(len(garments)))),
        anchors=torch.from_numpy(np.concatenate(anchors)),
        anchor_lengths=floats([p.anchor_lengths for p in pieces]),
        springs=torch.from_numpy(springs),
        lengths=torch.from_numpy(lengths.astype(np.float32)),
        compliances=torch.from_numpy(compliances.astype(np.float32)),
        color_begin=begin,
        edge_color_count=edge_colors,
    )


class _Piece:
    """One garment's springs, masses and hold, with its own vertex numbers."""

    def __init__(self, garment: Garment, settings: ClothSettings) -> None:
        self._rest = garment.rest_vertices.double().numpy()
        faces = garment.faces.numpy().astype(np.int64)
        fabric = FABRICS[garment.stiffness]
        self.edges, self.bends = _edges_and_bends(faces)
        reach = self.lengths(self.bends)
        # A corner pair that coincides would have no compliance at all.
        squares = np.maximum(reach, 1e-3) ** 2
        self.bend_compliances = squares * FOLD**2 / (SHEET * fabric.bending)
        attachment = garment.attachment.double().numpy()
        areas = vertex_areas(garment.rest_vertices.double(), garment.faces).numpy()
        masses = fabric.density * np.maximum(areas, SMALLEST_SHARE * np.median(areas))
        held = attachment >= HELD
        self.inverse_masses = np.where(held, 0.0, 1 / np.maximum(masses, 1e-9))
        loose = np.minimum(attachment, HELD)
        self.holds = np.where(held, 0.0, settings.hold * loose / (1 - loose))
        self.anchors, self.anchor_lengths = self._leashes(np.flatnonzero(held))

    def lengths(self, pairs: Ids) -> Floats:
        """Distances as cut."""
        return np.linalg.norm(self._rest[pairs[:, 0]] - self._rest[pairs[:, 1]], axis=1)

    def _leashes(self, held: Ids) -> tuple[Ids, Floats]:
        """Give the nearest held vertex along the cloth, or -1, and how far it is."""
        count = len(self._rest)
        if not len(held):
            return np.full(count, -1), np.zeros(count)
        pairs = np.concatenate([self.edges, self.bends])
        graph = sp.csr_array((self.lengths(pairs), (pairs[:, 0], pairs[:, 1])), (count, count))
        far, _, sources = dijkstra(
            graph, directed=False, indices=held, min_only=True, return_predecessors=True
        )
        reached = np.isfinite(far)
        return np.where(reached, sources, -1).astype(np.int64), np.where(reached, far, 0.0)


def _edges_and_bends(faces: Ids) -> tuple[Ids, Ids]:
    """List every edge once, and for each edge of two faces the corners opposite to it."""
    sides = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
    across = np.concatenate([faces[:, 2], faces[:, 0], faces[:, 1]])
    edges, of_side, shared = np.unique(sides, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(of_side.ravel(), kind="stable")
    first = np.concatenate([[0], np.cumsum(shared)[:-1]])[shared == 2]
    bends = np.stack([across[order[first]], across[order[first + 1]]], 1)
    return edges, bends[bends[:, 0] != bends[:, 1]]


def _colored(
    springs: tuple[Ids, Ids], lengths: tuple[Floats, Floats], bend_compliances: Floats, count: int
) -> tuple[Ids, Floats, Floats, tuple[int, ...], int]:
    """Sort edges, then bends, by colours that share no vertex."""
    edge_colors, bend_colors = (_color(pairs, count) for pairs in springs)
    edge_count = int(edge_colors.max(initial=-1)) + 1
    colors = np.concatenate([edge_colors, bend_colors + edge_count])
    order = np.argsort(colors, kind="stable")
    begin = np.concatenate([[0], np.cumsum(np.bincount(colors))])
    compliances = np.concatenate([np.zeros(len(springs[0])), bend_compliances])
    return (
        np.concatenate(springs)[order],
        np.concatenate(lengths)[order],
        compliances[order],
        tuple(int(b) for b in begin),
        edge_count,
    )


def _color(pairs: Ids, count: int) -> Ids:
    """Give each pair, in order, the first colour that neither end has yet."""
    taken = [0] * count
    colors = np.zeros(len(pairs), np.int64)
    for k, (i, j) in enumerate(pairs.tolist()):
        free = ~(taken[i] | taken[j])
        bit = free & -free
        taken[i] |= bit
        taken[j] |= bit
        colors[k] = bit.bit_length() - 1
    return colors
