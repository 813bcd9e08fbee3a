"""The person's own face: smooth offsets of the skin under the face mesh, and the gaze."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.sparse.linalg import spsolve
from torch import Tensor

from persona.body import BodyPose, SmplxBody
from persona.body.landmarks import SurfacePoints
from persona.body.skeleton import JOINT_IDS
from persona.fitting.evidence import Evidence
from persona.geometry.meshes import uniform_laplacian

MESH_COUNT: Final = 468
"""Points of the face mesh before the irises."""
DEPTH_TRUST: Final = 0.6
"""Share of the mesh's depth difference that is believed; it is the mean face that it leans to."""
ASYMMETRY_TRUST: Final = 0.5
"""Share kept of what differs between left and right: half of it is detector and light."""
SMOOTHNESS: Final = 6.0
"""Price of curvature of the offsets against misses of landmarks."""
TETHER: Final = 0.02
"""Pull of every head vertex to its own place, which fades the offsets out behind the ears."""
BOUND: Final = 0.02
"""Largest offset [m]."""
INNER_PARTS: Final = ("left_eye", "right_eye", "tongue", "teeth")
"""Closed pieces of their own inside the head: they are shifted, not bent."""
EYE_CONTOURS: Final = {"left": (362, 263, 386, 374), "right": (133, 33, 159, 145)}
"""Corners and lid middles of the person's own eyes in the face mesh."""
IRISES: Final = {"left": 473, "right": 468}
"""Iris centres."""
LIPS: Final = (61, 291, 13, 14)
"""Mouth corners and lip middles, which the teeth follow."""
MAX_GAZE: Final = 0.45
"""Farthest turn of an eye [rad]; beyond it the iris landmark slipped."""


@dataclass(frozen=True)
class FaceFit:
    """What the face mesh adds to a fitted body."""

    vertex_offsets: Float[Tensor, "v 3"]
    """Added to the rest vertices [m]."""
    joint_offsets: Float[Tensor, "55 3"]
    """Added to the rest joints [m]: the eyes move with their sockets."""


def fit_face(body: SmplxBody, posed: BodyPose, evidence: Evidence) -> FaceFit:
    """Bend the face so that it lies under all landmarks, smoothly and nearly symmetrically.

    Args:
        body: The whole body.
        posed: It, fitted, still with its average face.
        evidence: Must hold a face.
    """
    mesh = body.landmarks.mediapipe_face
    marks = mesh.select([int(k) for k in mesh.ids if int(k) < MESH_COUNT])
    wanted = _symmetric(body, marks, _wanted_offsets(body, posed, evidence, marks))
    offsets = _smooth_offsets(body, marks, wanted)
    eyes = {
        side: marks.select(list(EYE_CONTOURS[side])).on(offsets).mean(0) for side in EYE_CONTOURS
    }
    inner = {"left_eye": eyes["left"], "right_eye": eyes["right"]}
    lips = marks.select(list(LIPS)).on(offsets).mean(0)
    joint_shift = torch.zeros_like(body.joints_template)
    for side, shift in eyes.items():
        joint_shift[JOINT_IDS[f"{side}_eye"]] = shift
    for part in INNER_PARTS:
        offsets[body.regions.part(part)] = inner.get(part, lips)
    # The skin already follows its joints: what they carry along must not be added twice.
    return FaceFit(offsets - body.stretch @ joint_shift, joint_shift)


def _wanted_offsets(
    body: SmplxBody, posed: BodyPose, evidence: Evidence, marks: SurfacePoints
) -> Float[Tensor, "n 3"]:
    """Ask where each landmark's skin would have to go, in the rest pose [m]."""
    assert evidence.face is not None
    target = evidence.face[marks.ids]
    here = marks.on(posed.vertices)
    away = -here[:, 2]
    metres_per_px = away.mean() / evidence.focal_px
    relative = (target[:, 2] - target[:, 2].mean()) * metres_per_px
    depth = away + DEPTH_TRUST * (relative - (away - away.mean()))
    center = torch.tensor(evidence.center_px)
    flat = (target[:, :2] - center) * (depth / evidence.focal_px)[:, None]
    there = torch.stack([flat[:, 0], -flat[:, 1], -depth], 1)
    bones = posed.T_posed_rest[:, :3, :3]
    weights = (body.weights[marks.triangles] * marks.barycentric[..., None]).sum(1)
    turn = torch.einsum("nj,jab->nab", weights, bones)
    return (turn.mT @ (there - here)[..., None])[..., 0]


def _symmetric(
    body: SmplxBody, marks: SurfacePoints, wanted: Float[Tensor, "n 3"]
) -> Float[Tensor, "n 3"]:
    """Draw the offsets towards the mean of both sides of the face."""
    rest = marks.on(body.v_template)
    flip = torch.tensor([-1.0, 1.0, 1.0])
    partner = torch.cdist(rest * flip, rest).argmin(1)
    both = (wanted + wanted[partner] * flip) / 2
    return both + ASYMMETRY_TRUST * (wanted - both)


def _smooth_offsets(
    body: SmplxBody, marks: SurfacePoints, wanted: Float[Tensor, "n 3"]
) -> Float[Tensor, "v 3"]:
    """Spread landmark offsets over the head: least squares with a bilaplacian and a tether."""
    free = _head_vertices(body)
    place = np.full(body.vertex_count, -1)
    place[free] = np.arange(len(free))
    laplacian = uniform_laplacian(body.faces, body.vertex_count)[free][:, free]
    rows, known = _landmark_rows(marks, place, len(free))
    data = rows.T @ rows + SMOOTHNESS * laplacian.T @ laplacian + TETHER * sp.eye(len(free))
    solved = spsolve(data.tocsc(), rows.T @ wanted.numpy()[known].astype(np.float64))
    length = np.linalg.norm(solved, axis=1, keepdims=True)
    solved = solved * np.minimum(1.0, BOUND / np.maximum(length, 1e-9))
    offsets = torch.zeros(body.vertex_count, 3)
    offsets[torch.from_numpy(free)] = torch.from_numpy(solved.astype(np.float32))
    return offsets


def _head_vertices(body: SmplxBody) -> NDArray[np.int64]:
    """List the skin that may bend: head and face, without the pieces inside."""
    head = body.regions.mask("head", "face", "mouth_inner")
    return head.nonzero()[:, 0].numpy()


def _landmark_rows(
    marks: SurfacePoints, place: NDArray[np.int64], count: int
) -> tuple[sp.csr_matrix, NDArray[np.int64]]:
    """Write landmarks as mixtures of free vertices; those that touch others are left out."""
    corners = place[marks.triangles.numpy()]
    known = np.flatnonzero((corners >= 0).all(1))
    entries = marks.barycentric.numpy()[known].astype(np.float64).ravel()
    rows = np.repeat(np.arange(len(known)), 3)
    shape = (len(known), count)
    return sp.csr_matrix((entries, (rows, corners[known].ravel())), shape=shape), known


def fit_gaze(body: SmplxBody, posed: BodyPose, evidence: Evidence) -> Float[Tensor, " 3"]:
    """Turn both eyes so that the irises sit between the lids as seen; axis-angle [rad].

    Compared with the lids, not with the picture, because a pixel of misplaced face would
    otherwise turn the eyes by ten degrees. Both eyes get the same turn: people look at one thing.
    """
    assert evidence.face is not None
    turns = []
    head = posed.T_posed_rest[JOINT_IDS["head"], :3, :3]
    for side, contour in EYE_CONTOURS.items():
        iris = body.landmarks.mediapipe_face.select([IRISES[side]]).on(posed.vertices)[0]
        lids = body.landmarks.mediapipe_face.select(list(contour)).on(posed.vertices).mean(0)
        seen = evidence.face[IRISES[side], :2] - evidence.face[list(contour), :2].mean(0)
        metres_per_px = -float(iris[2]) / evidence.focal_px
        model = (iris - lids)[:2] * torch.tensor([1.0, -1.0])
        shift = seen * metres_per_px - model
        in_head = head.T @ torch.stack([shift[0], -shift[1], shift.new_zeros(())])
        radius = (iris - posed.joints[JOINT_IDS[f"{side}_eye"]]).norm()
        turns.append(torch.stack([-in_head[1], in_head[0], in_head.new_zeros(())]) / radius)
    return torch.stack(turns).mean(0).clamp(-MAX_GAZE, MAX_GAZE)
