"""Say which points of the body the detectors' keypoints correspond to."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.body.files import Arrays
from persona.body.skeleton import JOINT_IDS
from persona.core.checks import check_shape
from persona.core.errors import FileFormatError

POSE_JOINTS: Final[dict[int, int]] = (
    {
        place: JOINT_IDS[f"{side}_{joint}"]
        for first, joint in (
            (11, "shoulder"),
            (13, "elbow"),
            (15, "wrist"),
            (23, "hip"),
            (25, "knee"),
            (27, "ankle"),
        )
        for place, side in ((first, "left"), (first + 1, "right"))
    }
    | {
        place: JOINT_IDS[f"{side}_{finger}1"]
        for first, finger in ((17, "pinky"), (19, "index"))
        for place, side in ((first, "left"), (first + 1, "right"))
    }
    | {21: JOINT_IDS["left_thumb2"], 22: JOINT_IDS["right_thumb2"]}
)
"""MediaPipe Pose landmarks that are joints: landmark -> joint. The rest lie on the skin."""

FACE51_COUNT: Final = 51
"""Landmarks of the face in SMPL-X files: 300-W without the jaw line."""
HAND_FINGERS: Final = ("thumb", "index", "middle", "ring", "pinky")
"""MediaPipe Hands lists four points per finger in this order, after the wrist."""


def hand_joints(side: str) -> dict[int, int]:
    """Give the MediaPipe hand landmarks of one side that are joints: landmark -> joint."""
    found = {0: JOINT_IDS[f"{side}_wrist"]}
    for finger, name in enumerate(HAND_FINGERS):
        for k in (1, 2, 3):
            found[4 * finger + k] = JOINT_IDS[f"{side}_{name}{k}"]
    return found


@dataclass(frozen=True, eq=False)
class SurfacePoints:
    """Points on the skin, each a mixture of a triangle's corners; rows belong together."""

    ids: Int[Tensor, " n"]
    """The detector's own number of each point."""
    triangles: Int[Tensor, "n 3"]
    """Vertex ids of the corners."""
    barycentric: Float[Tensor, "n 3"]
    """Shares of the corners, non-negative, rows sum to one."""

    def on(self, vertices: Float[Tensor, "*batch v 3"]) -> Float[Tensor, "*batch n 3"]:
        """Find the points on a posed (or rest) skin [m]."""
        return (vertices[..., self.triangles, :] * self.barycentric[..., None]).sum(-2)

    def renumbered(self, vertex_ids: Int[Tensor, " m"]) -> "SurfacePoints":
        """Speak of vertices by their place in ``vertex_ids``, which must hold all corners."""
        place = torch.full((int(self.triangles.max()) + 1,), -1, device=vertex_ids.device)
        known = vertex_ids < len(place)
        place[vertex_ids[known]] = torch.arange(len(vertex_ids), device=place.device)[known]
        return SurfacePoints(self.ids, place[self.triangles], self.barycentric)

    def select(self, ids: list[int]) -> "SurfacePoints":
        """Keep the points with these detector numbers, in this order."""
        rows = [int((self.ids == number).nonzero()[0, 0]) for number in ids]
        return SurfacePoints(self.ids[rows], self.triangles[rows], self.barycentric[rows])


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Correspondences of one body; sets that a file does not hold are empty."""

    face51: SurfacePoints
    """Brows, nose, eyes, lips in the order of 300-W points 17 to 67."""
    contour17: SurfacePoints
    """Jaw line seen from the front, 300-W points 0 to 16."""
    mediapipe_face: SurfacePoints
    """MediaPipe face mesh; ids in 0..477, irises (468 to 477) on the eyeballs."""
    mediapipe_face_spread: Float[Tensor, " n"]
    """Scatter of each face point over views (RMS) [m]: contour points slide with the view."""
    mediapipe_pose: SurfacePoints
    """MediaPipe Pose points on the skin: nose, eyes, ears, mouth, heels, toes; ids in 0..32."""
    left_fingertips: SurfacePoints
    """MediaPipe hand points 4, 8, 12, 16, 20 of the left hand."""
    right_fingertips: SurfacePoints
    """The same of the right hand."""

    def pose33(
        self, vertices: Float[Tensor, "*batch v 3"], joints: Float[Tensor, "*batch 55 3"]
    ) -> Float[Tensor, "*batch 33 3"]:
        """Gather all 33 MediaPipe Pose points from a posed body [m]."""
        return _gather(33, POSE_JOINTS, self.mediapipe_pose, vertices, joints)

    def hand21(
        self,
        side: str,
        vertices: Float[Tensor, "*batch v 3"],
        joints: Float[Tensor, "*batch 55 3"],
    ) -> Float[Tensor, "*batch 21 3"]:
        """Gather all 21 MediaPipe hand points of a side, "left" or "right" [m]."""
        tips = self.left_fingertips if side == "left" else self.right_fingertips
        return _gather(21, hand_joints(side), tips, vertices, joints)


def _gather(
    count: int,
    from_joints: dict[int, int],
    surface: SurfacePoints,
    vertices: Tensor,
    joints: Tensor,
) -> Tensor:
    both = torch.cat([joints[..., list(from_joints.values()), :], surface.on(vertices)], -2)
    order = torch.zeros(count, dtype=torch.int64, device=both.device)
    ids = torch.cat([torch.tensor(list(from_joints), device=both.device), surface.ids])
    order[ids] = torch.arange(len(ids), device=both.device)
    return both[..., order, :]


def landmarks_from(arrays: Arrays) -> Landmarks:
    """Read the correspondences from a body file's arrays, the 51 of SMPL-X files among them."""
    return Landmarks(
        face51=_read(arrays, "face51") if "face51_ids" in arrays else _smplx51(arrays),
        contour17=_read(arrays, "contour17"),
        mediapipe_face=_read(arrays, "mediapipe_face"),
        mediapipe_face_spread=torch.from_numpy(
            arrays.get("mediapipe_face_spread", np.zeros(0)).astype("float32")
        ),
        mediapipe_pose=_read(arrays, "mediapipe_pose"),
        left_fingertips=_read(arrays, "left_fingertips"),
        right_fingertips=_read(arrays, "right_fingertips"),
    )


def _smplx51(arrays: Arrays) -> SurfacePoints:
    """Read the landmarks that SMPL-X files name by triangle."""
    if not {"lmk_faces_idx", "lmk_bary_coords"} <= set(arrays):
        return _none()
    faces = torch.from_numpy(arrays["f"].astype("int64"))
    ids = torch.from_numpy(arrays["lmk_faces_idx"].astype("int64")).reshape(-1)
    shares = torch.from_numpy(arrays["lmk_bary_coords"].astype("float32"))
    check_shape("lmk_bary_coords", shares, (len(ids), 3))
    if len(ids) != FACE51_COUNT or int(ids.min()) < 0 or int(ids.max()) >= len(faces):
        raise FileFormatError(
            f"lmk_faces_idx names {len(ids)} triangles up to {int(ids.max()) if len(ids) else 0}",
            why=f"SMPL-X has {FACE51_COUNT} landmarks of the face on its {len(faces)} triangles",
            fix="fetch the body file again; it is damaged",
        )
    return SurfacePoints(torch.arange(17, 17 + FACE51_COUNT), faces[ids], shares)


def _none() -> SurfacePoints:
    nothing = torch.zeros(0, 3)
    return SurfacePoints(torch.zeros(0, dtype=torch.int64), nothing.long(), nothing)


def _read(arrays: Arrays, name: str) -> SurfacePoints:
    if f"{name}_ids" not in arrays:
        return _none()
    return SurfacePoints(
        torch.from_numpy(arrays[f"{name}_ids"].astype("int64")),
        torch.from_numpy(arrays[f"{name}_triangles"].astype("int64")),
        torch.from_numpy(arrays[f"{name}_barycentric"].astype("float32")),
    )
