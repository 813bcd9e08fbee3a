"""How squarely a surface must face the camera for pixels to say something of it [cosine]."""

from typing import Final

GEOMETRY_FACING: Final = -0.1
"""Least at which the outline may still move a Gaussian."""
COLOR_FACING: Final = 0.2
"""Least at which pixels may still colour it."""
