"""The naked body of a generated person in T-pose, as clothes are cut on it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree

from persona.body import SmplxBody
from persona.body.skeleton import JOINT_IDS
from persona.synthesis.sample.mesh import vertex_normals

ARM_JOINTS = (16, 17, 18, 19, 20, 21, *range(25, 55))
"""Shoulders to fingers."""
NEAREST = 4
"""Places of skin whose weights cloth takes the mean of."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Form:
    """A body in T-pose."""

    vertices: Float[ndarray, "v 3"]
    """Skin [m]."""
    normals: Float[ndarray, "v 3"]
    """Unit."""
    faces: Int[ndarray, "f 3"]
    """Counter-clockwise seen from outside."""
    weights: Float[ndarray, "v 55"]
    """Skinning shares."""
    joints: Float[ndarray, "55 3"]
    """[m]."""

    @classmethod
    def of(
        cls, body: SmplxBody, vertices: Float[ndarray, "v 3"], joints: Float[ndarray, "55 3"]
    ) -> "Form":
        """Take a shaped body's rest pose."""
        faces = body.faces.numpy()
        points = vertices.astype(np.float64)
        return cls(
            vertices=points,
            normals=vertex_normals(points, faces).astype(np.float64),
            faces=faces,
            weights=body.weights.numpy().astype(np.float64),
            joints=joints.astype(np.float64),
        )

    @property
    def arm(self) -> Float[ndarray, " v"]:
        """Share of each vertex that arms carry."""
        return self.weights[:, list(ARM_JOINTS)].sum(1)

    def joint(self, name: str) -> Float[ndarray, " 3"]:
        """Give a joint's place [m]."""
        return self.joints[JOINT_IDS[name]]

    def leg_height(self, place: float) -> float:
        """Give a height on the legs [m]: 0 at the crotch, 1 at the knee, 2 at the ankle."""
        marks = [self.joint(f"left_{name}")[1] for name in ("hip", "knee", "ankle")]
        marks[0] -= CROTCH_BELOW_HIP
        return float(np.interp(place, [0, 1, 2], marks))

    def trunk_height(self, place: float) -> float:
        """Give a height on the trunk [m]: 0 at the hips, 1 at the lowest ribs."""
        hip, ribs = self.joint("left_hip")[1], self.joint("spine2")[1]
        return float(hip + place * (ribs - hip))

    def arm_reach(self, place: float) -> float:
        """Give how far out on the arms a place is [m]: 0 shoulder, 1 elbow, 2 wrist."""
        marks = [self.joint(f"left_{name}")[0] for name in ("shoulder", "elbow", "wrist")]
        return float(np.interp(place, [0, 1, 2], marks))

    def weights_at(
        self, points: Float[ndarray, "n 3"], *, no_arms: bool = False
    ) -> Float[ndarray, "n 55"]:
        """Take the skinning shares of the nearest skin; without arms for what hangs on the hips."""
        skin = np.flatnonzero(self.arm < 0.3) if no_arms else np.arange(len(self.vertices))
        distance, near = cKDTree(self.vertices[skin]).query(points, NEAREST)
        share = 1 / (distance + 1e-3)
        share /= share.sum(1, keepdims=True)
        return np.einsum("nk,nkj->nj", share, self.weights[skin][near])


CROTCH_BELOW_HIP = 0.06
"""How far below the hip joints the legs part [m]."""
