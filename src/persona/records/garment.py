"""Garment: a piece of clothing as a mesh that hangs on the body."""

import enum
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.checks import check_finite, check_range
from persona.core.errors import InputError
from persona.core.types import Faces

SUM_TOLERANCE: Final = 1e-3
"""How far the body weights of a vertex may be from one in sum; float16 files round so [-]."""
THICKEST_M: Final = 0.05
"""A quilted coat; what is thicker was given in another unit [m]."""


class Stiffness(enum.Enum):
    """How much a cloth resists bending; all of them resist stretching."""

    SOFT = "soft"
    """Silk, jersey, a thin summer skirt: many small folds."""
    MEDIUM = "medium"
    """Cotton shirts, light trousers."""
    STIFF = "stiff"
    """Denim, felt, leather: few wide folds."""


@dataclass(frozen=True, kw_only=True)
class Garment:
    """A piece of clothing in the body's rest pose, and how it holds to the body.

    The rest shape is the cut: lengths and angles of the mesh are those that the cloth keeps. It
    must lie outside the body, and outside the garments of lower layers.

    Raises:
        InputError: A number is not finite or out of range, a face names a vertex that is not there
            or one vertex twice, or the body weights of a vertex do not sum to one.
    """

    name: str
    """What it is, for reports: "shirt", "skirt"."""
    rest_vertices: Float[Tensor, "v 3"]
    """Positions on the person's own body in T-pose [m], SMPL-X frame."""
    faces: Faces
    """Triangles, counter-clockwise seen from outside."""
    body_weights: Float[Tensor, "v 55"]
    """Skinning shares of the nearest body surface, rows sum to one: where a vertex goes when it is
    held, and where the whole garment starts from."""
    attachment: Float[Tensor, " v"]
    """How firmly the body holds a vertex, in [0, 1]: 1 at a collar, waistband or cuff that does not
    slip, 0 where the cloth is free."""
    thickness_m: float
    """Distance from the skin at which it rests, and from other cloth [m]."""
    stiffness: Stiffness = Stiffness.MEDIUM
    """How much it resists bending."""
    layer: int = 0
    """Order of garments over each other: 0 is innermost, 1 lies over it."""
    is_tube: bool = False
    """Whether one tube goes around both legs: a skirt or a dress."""

    def __post_init__(self) -> None:
        for name in ("rest_vertices", "body_weights", "attachment"):
            check_finite(name, getattr(self, name))
        check_range("attachment", self.attachment, 0.0, 1.0)
        check_range("body_weights", self.body_weights, 0.0, 1.0 + SUM_TOLERANCE)
        self._check_sizes()
        self._check_faces()
        self._check_weights()

    @property
    def vertex_count(self) -> int:
        """Vertices."""
        return self.rest_vertices.shape[0]

    def _check_sizes(self) -> None:
        if not 0 < self.thickness_m <= THICKEST_M:
            raise InputError(
                f"{self.name} is {self.thickness_m:g} m thick",
                why=f"cloth is thicker than nothing and at most {THICKEST_M:g} m",
                fix="give it in metres; 0.003 is a shirt",
            )
        if self.layer < 0:
            raise InputError(
                f"{self.name} lies in layer {self.layer}",
                why="layer 0 is the one on the skin",
                fix="count from 0, outwards",
            )
        rows = {len(self.rest_vertices), len(self.body_weights), len(self.attachment)}
        if len(rows) != 1 or not self.vertex_count:
            raise InputError(
                f"{self.name} has {len(self.rest_vertices)} vertices, "
                f"{len(self.body_weights)} rows of weights and {len(self.attachment)} attachments",
                why="each vertex has one of each, and there is at least one",
                fix="make them from the same mesh",
            )

    def _check_faces(self) -> None:
        faces = self.faces
        if not len(faces):
            raise InputError(
                f"{self.name} has no faces",
                why="points without triangles are no cloth",
                fix="give a triangle mesh",
            )
        if not (int(faces.min()) >= 0 and int(faces.max()) < self.vertex_count):
            raise InputError(
                f"faces of {self.name} name vertices {int(faces.min())} to {int(faces.max())}",
                why=f"it has {self.vertex_count} vertices",
                fix="use the faces that belong to these vertices",
            )
        twice = (faces == faces.roll(1, 1)).any(1)
        if twice.any():
            raise InputError(
                f"face {int(twice.nonzero()[0, 0])} of {self.name} names one vertex twice",
                why="an edge without length can keep none",
                fix="remove collapsed triangles first",
            )

    def _check_weights(self) -> None:
        sums = self.body_weights.sum(1)
        worst = int((sums - 1).abs().argmax())
        if not torch.isclose(sums[worst], torch.ones_like(sums[worst]), atol=SUM_TOLERANCE):
            raise InputError(
                f"row {worst} of body_weights of {self.name} sums to {float(sums[worst]):.4f}",
                why=f"they are shares of one point; rows sum to 1 within {SUM_TOLERANCE:g}",
                fix="divide first: weights / weights.sum(-1, keepdim=True)",
            )
