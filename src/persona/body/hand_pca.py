"""Hands by principal components, as SMPL-X files define them and many programs write them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from persona.body.files import Arrays
from persona.core.checks import check_shape
from persona.core.errors import InputError


@dataclass(frozen=True, eq=False)
class HandPca:
    """The hands' mean pose and principal directions; empty for a file that has none."""

    left_mean: Float[Tensor, " n"]
    """Axis-angles of the 15 joints of a left hand at rest [rad], 45 numbers."""
    right_mean: Float[Tensor, " n"]
    """The same of the right hand."""
    left_components: Float[Tensor, "k n"]
    """Change per coefficient [rad], the most telling first."""
    right_components: Float[Tensor, "k n"]
    """The same of the right hand."""

    def pose(
        self, side: str, coefficients: Float[Tensor, "*batch k"], *, flat_mean: bool = False
    ) -> Float[Tensor, "*batch 15 3"]:
        """Turn coefficients into the 15 rotations of a hand, axis-angle [rad].

        Args:
            side: "left" or "right".
            coefficients: As many of the first as are known, 6 or 12 for most programs.
            flat_mean: Whether they count from the flat hand instead of the hand at rest; the
                `smplx` package's ``flat_hand_mean``.

        Raises:
            InputError: More coefficients than the file has, or a file without hands.
        """
        mean = self.left_mean if side == "left" else self.right_mean
        components = self.left_components if side == "left" else self.right_components
        count = coefficients.shape[-1]
        if count > len(components):
            raise InputError(
                f"{count} hand coefficients were given",
                why=f"this body file has {len(components)} of each hand",
                fix="use the file that they were made with, or all 15 rotations",
            )
        turned = coefficients @ components[:count].to(coefficients)
        whole = turned if flat_mean else turned + mean.to(coefficients)
        return whole.unflatten(-1, (15, 3))


def hand_pca_from(arrays: Arrays) -> HandPca:
    """Read both hands from a body file's arrays."""
    sides = []
    for side in "lr":
        if f"hands_mean{side}" not in arrays or f"hands_components{side}" not in arrays:
            nothing = torch.zeros(0, 45)
            return HandPca(nothing.sum(0), nothing.sum(0), nothing, nothing.clone())
        mean = torch.from_numpy(arrays[f"hands_mean{side}"].astype("float32")).reshape(-1)
        rows = torch.from_numpy(arrays[f"hands_components{side}"].astype("float32"))
        check_shape(f"hands_mean{side}", mean, (45,))
        check_shape(f"hands_components{side}", rows, (None, 45))
        sides.append((mean, rows))
    return HandPca(sides[0][0], sides[1][0], sides[0][1], sides[1][1])
