"""SkeletonClip: a moving skeleton of any make, before it is brought onto ours."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

MOST_JOINTS = 1000
"""Joints of one skeleton."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SkeletonClip:
    """Joints, bones and rotations over time, in the file's own axes and units."""

    names: tuple[str, ...]
    """Joints, parents before children; the first is the root."""
    parents: tuple[int, ...]
    """Parent of each joint; -1 for the root."""
    offsets: Float[Tensor, "j 3"]
    """Where each joint sits in its parent's frame [file units]."""
    ends: dict[int, Float[Tensor, " 3"]]
    """Where the bone of a last joint ends, in that joint's frame [file units]."""
    rotations: Float[Tensor, "t j 3 3"]
    """Joint to parent."""
    root_positions: Float[Tensor, "t 3"]
    """Of the root, in the file's world [file units]."""
    fps: float
    """Frames a second."""

    @property
    def frame_count(self) -> int:
        """Frames."""
        return self.rotations.shape[0]

    @cached_property
    def world_rotations(self) -> Float[Tensor, "t j 3 3"]:
        """Joint to world."""
        found: list[Tensor] = []
        for joint, parent in enumerate(self.parents):
            own = self.rotations[:, joint]
            found.append(own if parent < 0 else found[parent] @ own)
        return torch.stack(found, 1)

    @cached_property
    def positions(self) -> Float[Tensor, "t j 3"]:
        """Every joint in the file's world [file units]."""
        found: list[Tensor] = []
        for joint, parent in enumerate(self.parents):
            if parent < 0:
                found.append(self.root_positions)
            else:
                found.append(found[parent] + self.world_rotations[:, parent] @ self.offsets[joint])
        return torch.stack(found, 1)

    @cached_property
    def rest_positions(self) -> Float[Tensor, "j 3"]:
        """Every joint where all rotations are none, the root at the origin [file units]."""
        found = [torch.zeros(3, dtype=torch.float64)]
        for joint, parent in list(enumerate(self.parents))[1:]:
            found.append(found[parent] + self.offsets[joint])
        return torch.stack(found)

    def children(self, joint: int) -> list[int]:
        """List the joints that hang on one."""
        return [k for k, parent in enumerate(self.parents) if parent == joint]

    def ancestors(self, joint: int) -> list[int]:
        """List a joint's parent, grandparent and so on to the root."""
        found = []
        while (joint := self.parents[joint]) >= 0:
            found.append(joint)
        return found

    def cut(self, start: int) -> "SkeletonClip":
        """Leave out the frames before ``start``."""
        return SkeletonClip(
            names=self.names,
            parents=self.parents,
            offsets=self.offsets,
            ends=self.ends,
            rotations=self.rotations[start:],
            root_positions=self.root_positions[start:],
            fps=self.fps,
        )
