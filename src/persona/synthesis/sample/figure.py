"""The naked body the sample person's clothes and hair are built on, posed and placed."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A body standing on the floor, with its T-pose beside it."""

    vertices: Float[ndarray, "n 3"]
    """Posed positions [m]; the floor is y = 0."""
    rest: Float[ndarray, "n 3"]
    """The same vertices in T-pose [m]."""
    faces: Int[ndarray, "f 3"]
    """Counter-clockwise seen from outside."""
    normals: Float[ndarray, "n 3"]
    """Of the posed body, unit."""
    weights: Float[ndarray, "n 55"]
    """Skinning weights."""
    joints: Float[ndarray, "55 3"]
    """Posed [m]."""
    rest_joints: Float[ndarray, "55 3"]
    """In T-pose [m]."""
    face_marks: Float[ndarray, "51 3"]
    """Face landmarks in T-pose [m]: brows, nose, eyes, outer and inner lips (iBUG order)."""
    eyeballs: Bool[ndarray, " n"]
    """Vertices of the two eyeballs."""
    mouth_inside: Bool[ndarray, " n"]
    """Vertices of the mouth's inside, tongue and teeth."""
    ears: Bool[ndarray, " n"]
    """Vertices of the two ears."""

    @property
    def rest_floor(self) -> float:
        """Height of the soles in T-pose [m]."""
        return float(self.rest[:, 1].min())

    @property
    def face_center(self) -> Float[ndarray, " 3"]:
        """Middle of the posed head [m]."""
        return self.joints[15] + np.array([0.0, 0.07, 0.02], np.float32)
