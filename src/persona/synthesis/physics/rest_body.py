"""The person's own body in T-pose, and the places on it that a wardrobe counts in bones."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from persona.body import SmplxBody
from persona.body.skeleton import JOINT_IDS
from persona.records.body_fit import Identity
from persona.records.body_params import rest_params

NOT_SKIN = ("left_eye", "right_eye", "mouth_inner", "tongue", "teeth")
"""Parts that no cloth ever lies on."""
FOOT_LENGTH = 0.35
"""What one bone beyond the ankle is taken for, in shins: cloth over the shoe."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RestBody:
    """A body in T-pose, SMPL-X frame (x left, y up, z forward) [m]."""

    vertices: Float[ndarray, "v 3"]
    """Skin [m]."""
    faces: Int[ndarray, "f 3"]
    """Counter-clockwise from outside, the inside of mouth and eyes left out."""
    weights: Float[ndarray, "v 55"]
    """Skinning shares."""
    joints: Float[ndarray, "55 3"]
    """Joints [m]."""
    chin: float
    """Height of the chin [m]."""

    def joint(self, name: str) -> Float[ndarray, " 3"]:
        """Give a joint by name [m]."""
        return self.joints[JOINT_IDS[name]]

    def trunk_height(self, place: float) -> float:
        """Find the height of a place on the trunk: 0 shoulders, 1 hips, 2 knees [m]."""
        stops = [self._middle(name)[1] for name in ("shoulder", "hip", "knee", "ankle")]
        return float(np.interp(place, [0, 1, 2, 3], stops))

    def leg_height(self, place: float) -> float:
        """Find the height of a place on the legs: 0 hip, 1 knee, 2 ankle [m]."""
        hip, knee, ankle = (self._middle(name)[1] for name in ("hip", "knee", "ankle"))
        below = ankle - FOOT_LENGTH * (knee - ankle)
        return float(np.interp(place, [0, 1, 2, 3], [hip, knee, ankle, below]))

    def arm_reach(self, place: float) -> float:
        """Find how far from the middle a place on the arms is: 0 shoulder, 2 wrist [m]."""
        shoulder, elbow, wrist = (
            abs(self._end(name)[0]) for name in ("shoulder", "elbow", "wrist")
        )
        before = shoulder - (elbow - shoulder)
        return float(np.interp(place, [-1, 0, 1, 2], [before, shoulder, elbow, wrist]))

    def _middle(self, name: str) -> Float[ndarray, " 3"]:
        return (self.joint(f"left_{name}") + self.joint(f"right_{name}")) / 2

    def _end(self, name: str) -> Float[ndarray, " 3"]:
        return self.joint(f"left_{name}")


def rest_body(body: SmplxBody, identity: Identity) -> RestBody:
    """Give a person's body in T-pose, without expression."""
    params = replace(rest_params(), betas=identity.betas)
    with torch.no_grad():
        rest = body.forward(
            params,
            joint_offsets=identity.joint_offsets,
            vertex_offsets=identity.vertex_offsets,
        )
    vertices = rest.rest_vertices.double().numpy()
    known = [name for name in NOT_SKIN if len(body.regions.part(name))]
    outside = ~body.regions.mask(*known).numpy()
    faces = body.faces.numpy()
    return RestBody(
        vertices=vertices,
        faces=faces[outside[faces].all(1)],
        weights=body.weights.double().numpy(),
        joints=rest.rest_joints.double().numpy(),
        chin=_chin(vertices, body.weights.numpy(), outside),
    )


def _chin(
    vertices: Float[ndarray, "v 3"], weights: Float[ndarray, "v 55"], outside: Bool[ndarray, " v"]
) -> float:
    """Find the lowest skin that jaw and head carry [m]."""
    head = weights[:, [JOINT_IDS["head"], JOINT_IDS["jaw"]]].sum(1) > 0.8
    ahead = vertices[:, 2] > np.median(vertices[head, 2])
    return float(vertices[head & ahead & outside, 1].min())
