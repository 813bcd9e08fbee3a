"""Prove that an avatar is sane: finite, normalised, bounded, attached."""

from typing import TYPE_CHECKING

import torch

from persona.core.checks import check_finite, check_range, check_shape
from persona.core.conventions import JOINT_COUNT
from persona.core.errors import FileFormatError

if TYPE_CHECKING:
    from persona.avatar.avatar import Avatar

MAX_GAUSSIANS = 2_000_000
"""More than ten times a studio avatar; a file that claims more is not one of ours."""
MAX_REACH = 4.0
"""No Gaussian of a person in rest pose lies farther from the origin [m]."""
MIN_LOG_SCALE, MAX_LOG_SCALE = -14.0, -1.0
"""From a micrometre to 37 cm [log m]."""


def check_avatar(avatar: "Avatar") -> None:
    """Refuse an avatar that would draw nonsense or read another's memory.

    Raises:
        InputError: A value is not finite or out of range, or rows do not belong together.
        FileFormatError: Ids point outside the body.
    """
    canonical, binding, n = avatar.canonical, avatar.binding, avatar.count
    if not 0 < n <= MAX_GAUSSIANS:
        raise FileFormatError(
            f"the avatar holds {n} Gaussians",
            why=f"between 1 and {MAX_GAUSSIANS} are drawn",
            fix="create the avatar again",
        )
    bones = binding.bone_ids.shape[1]
    shapes = {
        "means": (canonical.means, (n, 3)),
        "quats_wxyz": (canonical.quats_wxyz, (n, 4)),
        "log_scales": (canonical.log_scales, (n, 3)),
        "opacities": (canonical.opacities, (n,)),
        "colors": (canonical.colors, (n, 3)),
        "face_ids": (binding.face_ids, (n,)),
        "barycentric": (binding.barycentric, (n, 3)),
        "bone_ids": (binding.bone_ids, (n, bones)),
        "bone_weights": (binding.bone_weights, (n, bones)),
        "weight_gradients": (binding.weight_gradients, (n, bones, 3)),
        "seen": (avatar.seen, (n,)),
        "parts": (avatar.parts, (n,)),
        "vertex_offsets": (avatar.identity.vertex_offsets, (avatar.body.vertex_count, 3)),
    }
    for name, (value, shape) in shapes.items():
        check_shape(name, value, shape)
        check_finite(name, value)
    if avatar.cloth is not None:
        check_shape("holder_ids", avatar.cloth.nodes.holder_ids, (n, None))
        check_range("nodes", avatar.cloth.nodes.points, -MAX_REACH, MAX_REACH)
    check_range("means", canonical.means, -MAX_REACH, MAX_REACH)
    check_range("log_scales", canonical.log_scales, MIN_LOG_SCALE, MAX_LOG_SCALE)
    check_range("opacities", canonical.opacities, 0.0, 1.0)
    check_range("colors", canonical.colors, 0.0, 1.0)
    check_range("bone_weights", binding.bone_weights, -1e-5, 1.0 + 1e-5)
    _check_ids("bone_ids", binding.bone_ids, 0, JOINT_COUNT)
    _check_ids("face_ids", binding.face_ids, -1, avatar.body.faces.shape[0])
    sums = binding.bone_weights.sum(1)
    worst = int((sums - 1).abs().argmax())
    if abs(float(sums[worst]) - 1) > 1e-3:
        raise FileFormatError(
            f"row {worst} of bone_weights sums to {float(sums[worst]):.4f}",
            why="shares of one point sum to 1",
            fix="create the avatar again",
        )


def _check_ids(name: str, ids: torch.Tensor, low: int, end: int) -> None:
    if int(ids.min()) < low or int(ids.max()) >= end:
        raise FileFormatError(
            f"{name} spans [{int(ids.min())}, {int(ids.max())}]",
            why=f"this body has ids from {low} to {end - 1}",
            fix="use the body the avatar was made with, or create it again",
        )
