"""The 52 ARKit facial shapes as named, compact vertex offsets."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.body.files import Arrays
from persona.core.errors import InputError


@dataclass(frozen=True, eq=False)
class FaceUnits:
    """Named shapes of the face; a body file without them has no names."""

    names: tuple[str, ...]
    """ARKit names: browDownLeft, ..., tongueOut."""
    vertex_ids: tuple[Int[Tensor, " _"], ...]
    """Vertices that each shape moves."""
    offsets: tuple[Float[Tensor, "_ 3"], ...]
    """Where they go at full strength [m], rest pose."""
    vertex_count: int
    """Vertices of the body."""

    def offsets_of(self, strengths: dict[str, float]) -> Float[Tensor, "v 3"]:
        """Mix shapes by name into vertex offsets for `SmplxBody.forward` [m].

        Args:
            strengths: ARKit name to strength, 0 to 1.

        Raises:
            InputError: A name is not among the shapes of this body.
        """
        total = torch.zeros(self.vertex_count, 3)
        for name, strength in strengths.items():
            if name not in self.names:
                raise InputError(
                    f"no facial shape is called {name!r}",
                    why=f"this body has {', '.join(self.names) or 'none'}",
                    fix="use the ARKit spelling, for example mouthSmileLeft",
                )
            unit = self.names.index(name)
            total[self.vertex_ids[unit]] += strength * self.offsets[unit]
        return total

    def dense(self) -> Float[Tensor, "v 3 u"]:
        """Give all shapes as one array, last axis in the order of ``names`` [m]."""
        full = torch.zeros(self.vertex_count, 3, len(self.names))
        for unit, (ids, offsets) in enumerate(zip(self.vertex_ids, self.offsets, strict=True)):
            full[ids, :, unit] = offsets
        return full


def face_units_from(arrays: Arrays, vertex_count: int) -> FaceUnits:
    """Read the shapes from a body file's arrays."""
    if "arkit_names" not in arrays:
        return FaceUnits((), (), (), vertex_count)
    starts = arrays["arkit_starts"].astype("int64")
    ids = torch.from_numpy(arrays["arkit_vertices"].astype("int64"))
    offsets = torch.from_numpy(arrays["arkit_offsets"].astype("float32"))
    spans = [slice(int(a), int(b)) for a, b in pairwise(starts)]
    return FaceUnits(
        names=tuple(str(name) for name in arrays["arkit_names"]),
        vertex_ids=tuple(ids[span] for span in spans),
        offsets=tuple(offsets[span] for span in spans),
        vertex_count=vertex_count,
    )
