"""Names for tensors, so that shapes read like words."""

from typing import TypeAlias

from jaxtyping import Bool, Float, Int
from torch import Tensor

Image: TypeAlias = Float[Tensor, "h w 3"]
"""sRGB in [0, 1]."""
Mask: TypeAlias = Float[Tensor, "h w"]
"""Coverage in [0, 1]."""
Points: TypeAlias = Float[Tensor, "*batch n 3"]
"""Positions [m]."""
Pixels: TypeAlias = Float[Tensor, "*batch n 2"]
"""Image positions (x, y) [px]."""
Rotations: TypeAlias = Float[Tensor, "*batch 3 3"]
"""Rotation matrices acting on column vectors."""
AxisAngles: TypeAlias = Float[Tensor, "*batch 3"]
"""Rotation axis times angle [rad]."""
Quaternions: TypeAlias = Float[Tensor, "*batch 4"]
"""Unit quaternions, wxyz."""
Rigid: TypeAlias = Float[Tensor, "4 4"]
"""Homogeneous rigid transform."""
Faces: TypeAlias = Int[Tensor, "f 3"]
"""Vertex ids of triangles, counter-clockwise seen from outside."""
Flags: TypeAlias = Bool[Tensor, " n"]
"""One yes or no a row."""
