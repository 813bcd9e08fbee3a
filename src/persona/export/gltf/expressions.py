"""Facial expressions as morph targets: ARKit's by name, and the body's own where a motion asks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from persona.avatar.avatar import Avatar
from persona.export.gltf.document import GltfDocument
from persona.records.motion import Motion

FINEST: Final = 1e-5
"""What an expression moves by less than this is left where it is [m]."""


@dataclass(frozen=True, kw_only=True)
class Expressions:
    """Shapes of the body's skin that are added to the face of the photo."""

    names: tuple[str, ...]
    """ARKit's 52 where the body has them, then ``expression_0`` and on for the body's own."""
    offsets: Float[Tensor, "v 3 m"]
    """What each adds to the rest skin at full strength [m]."""
    photo: Float[Tensor, " e"]
    """Coefficients of the photo, which are in the stored shape already."""

    @property
    def unit_count(self) -> int:
        """Shapes that are not the body's own coefficients."""
        return sum(not name.startswith("expression_") for name in self.names)

    def weights(self, motion: Motion) -> NDArray[np.float32]:
        """Say how strong each shape is in every frame of a motion (frames x shapes)."""
        told = motion.params.expression
        own = len(self.names) - self.unit_count
        width = min(own, told.shape[1])
        weights = torch.zeros(motion.frame_count, len(self.names))
        first = self.unit_count
        weights[:, first : first + width] = (told - self.photo[: told.shape[1]])[:, :width]
        return weights.numpy()


def expressions_of(avatar: Avatar, motions: Sequence[Motion]) -> Expressions:
    """Choose the shapes: ARKit's, and the body's coefficients if a motion moves them."""
    body = avatar.body
    count = body.exprdirs.shape[2]
    missing = count - avatar.photo_params.expression.shape[-1]
    photo = torch.nn.functional.pad(avatar.photo_params.expression, (0, missing))
    names, shapes = [*body.face_units.names], [body.face_units.dense()]
    if any(_moves_face(motion, photo) for motion in motions):
        names += [f"expression_{k}" for k in range(count)]
        shapes.append(body.exprdirs)
    return Expressions(names=tuple(names), offsets=torch.cat(shapes, 2), photo=photo)


def add_targets(document: GltfDocument, offsets: Float[Tensor, "n 3 m"]) -> list[dict[str, int]]:
    """Write what each shape adds to the points of a primitive; give its targets."""
    targets = []
    for shape in offsets.unbind(2):
        ids = (shape.norm(dim=1) > FINEST).nonzero()[:, 0]
        # A shape that moves nothing here still needs one row.
        ids = ids if len(ids) else ids.new_zeros(1)
        rows = shape[ids].float().numpy()
        accessor = document.add_sparse(len(shape), ids.numpy().astype("uint32"), rows, "VEC3")
        targets.append({"POSITION": accessor})
    return targets


def _moves_face(motion: Motion, photo: Float[Tensor, " e"]) -> bool:
    told = motion.params.expression
    return bool(((told - photo[: told.shape[1]]).abs() > FINEST).any())
