"""Say what the skin of a body of another topology is, by laying the open body over it.

A licensed file names neither parts nor the detectors' points, and lists of its vertices are not
ours to ship. So the open body, which has both, is brought to the other's joints, its face to the
other's 51 landmarks and then to its skin; what then lies at the same place is the same.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree
from torch import Tensor

from persona.body.face_units import FaceUnits
from persona.body.landmarks import HAND_FINGERS, Landmarks, SurfacePoints
from persona.body.regions import PART_IDS, PART_NAMES, Regions
from persona.body.skeleton import JOINT_IDS
from persona.body.smplx import SmplxBody
from persona.core.types import Faces
from persona.geometry.closest import closest_in_triangles, closest_on_mesh
from persona.geometry.meshes import uniform_laplacian, vertex_normals
from persona.records.body_params import rest_params

EYES: Final = ("left_eye", "right_eye")
INSIDE: Final = ("tongue", "teeth")
"""Pieces that the open body has and SMPL-X has not; what lies there is the inside of the mouth."""
NORMAL_REACH: Final = 0.04
"""What a turn of the normal by one radian costs in distance, so that a chest is no back [m]."""
ROUNDS: Final = 4
"""Times that the head is laid onto the other's; the rest is below a millimetre."""
STIFFNESS: Final = (30.0, 10.0, 4.0, 2.0)
"""Price of curvature of the shift in each round, against misses of the other's skin."""
SIZES: Final = (0.6, 1.7)
"""Smallest and largest head, by the open body's."""
TRUSTED_MISS: Final = 0.03
"""A partner farther away is none [m]."""
LANDMARK_TRUST: Final = 30.0
"""Weight of one of the file's own 51 face landmarks, in vertices."""
UNIT_FLOOR: Final = 2e-5
"""A facial shape moves what it moves by more than this [m]."""


@dataclass(frozen=True, eq=False)
class Annotations:
    """What a body's vertices are."""

    regions: Regions
    """Part labels and named vertex sets."""
    landmarks: Landmarks
    """What the detectors' keypoints correspond to."""
    face_units: FaceUnits
    """The 52 ARKit facial shapes."""


def annotate(body: SmplxBody, known: SmplxBody) -> Annotations:
    """Find parts, landmarks and facial shapes of a body by those of another.

    Args:
        body: Whose vertices mean nothing yet, in T-pose like the other; its face51 may be known.
        known: The open body.
    """
    shifted = _on_joints(body, known)
    shifted = _on_face(body, known, _head_sized(body, known, shifted))
    head = _head(known)
    owners, shares = _below(body, known, shifted)
    corners = known.faces.numpy()[owners]
    parts = _parts(body, known, corners, shares)
    sets = _sets(body, known, corners, shares, parts)
    regions = Regions(part_ids=torch.from_numpy(parts), sets=sets)
    return Annotations(
        regions=regions,
        landmarks=_landmarks(body, known, shifted, parts),
        face_units=_face_units(known, corners, shares, parts, head),
    )


def _on_joints(body: SmplxBody, known: SmplxBody) -> Float[ndarray, "v 3"]:
    """Bring the known body's joints to the other's; its skin slides along the bones."""
    offsets = body.joints_template - known.joints_template
    rest = known.forward(rest_params(), joint_offsets=offsets, with_pose_correctives=False)
    return rest.rest_vertices.double().numpy()


def _head(known: SmplxBody) -> ndarray:
    """List the outer skin of the known head."""
    return known.regions.mask("head", "face").nonzero()[:, 0].numpy()


def _head_sized(
    body: SmplxBody, known: SmplxBody, shifted: Float[ndarray, "v 3"]
) -> Float[ndarray, "v 3"]:
    """Give the known head the other's width and height, by the 51 landmarks; depth as their mean.

    Faces are flat, so that their landmarks say nothing about depth.
    """
    if not len(body.landmarks.face51.ids):
        return shifted
    here = known.landmarks.face51.on(torch.from_numpy(shifted)).numpy()
    there = body.landmarks.face51.on(body.v_template.double()).numpy()
    spread = np.maximum(here.std(0), 1e-9)
    scale = np.clip(there.std(0) / spread, *SIZES)
    scale[2] = np.sqrt(scale[0] * scale[1])
    moved = (shifted - here.mean(0)) * scale + there.mean(0)
    share = known.weights[:, [JOINT_IDS["head"], JOINT_IDS["jaw"]]].sum(1, keepdim=True).numpy()
    return shifted + share * (moved - shifted)


def _on_face(
    body: SmplxBody, known: SmplxBody, shifted: Float[ndarray, "v 3"]
) -> Float[ndarray, "v 3"]:
    """Lay the known head onto the other's, by its own 51 landmarks where it has them, then closely.

    As in non-rigid registration: partners are sought, a smooth shift is solved for, again.
    """
    head = _head(known)
    count = len(head)
    place = np.full(len(shifted), -1)
    place[head] = np.arange(count)
    laplacian = uniform_laplacian(known.faces, len(shifted))[head][:, head]
    rows, wanted = _landmark_pull(body, known, shifted, place, count)
    theirs = body.v_template.double().numpy()
    skin = _skin_of_head(body)
    their_normals = _normals(body.v_template, body.faces)[skin]
    tree = cKDTree(np.concatenate([theirs[skin], NORMAL_REACH * their_normals], 1))
    start = shifted[head]
    shift = np.zeros((count, 3))
    for stiffness in STIFFNESS[:ROUNDS]:
        moved = shifted.copy()
        moved[head] = start + shift
        normals = _normals(torch.from_numpy(moved), known.faces)[head]
        distance, partner = tree.query(np.concatenate([moved[head], NORMAL_REACH * normals], 1))
        trust = sp.diags_array((distance < TRUSTED_MISS).astype(np.float64))
        gap = ((theirs[skin][partner] - moved[head]) * normals).sum(1, keepdims=True) * normals
        matrix = trust + stiffness * laplacian.T @ laplacian + LANDMARK_TRUST * rows.T @ rows
        matrix = matrix + 1e-3 * sp.eye_array(count)
        right = trust @ (shift + gap) + LANDMARK_TRUST * rows.T @ wanted
        shift = splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A").solve(right)
    found = shifted.copy()
    found[head] = start + shift
    return found


def _landmark_pull(
    body: SmplxBody,
    known: SmplxBody,
    shifted: Float[ndarray, "v 3"],
    place: Int[ndarray, " v"],
    count: int,
) -> tuple[sp.csr_array, Float[ndarray, "n 3"]]:
    """Write the 51 landmarks as mixtures of head vertices, and where they have to go."""
    mine, other = known.landmarks.face51, body.landmarks.face51
    if not len(other.ids):
        return sp.csr_array((0, count)), np.zeros((0, 3))
    corners = place[mine.triangles.numpy()]
    free = (corners >= 0).all(1)
    here = mine.on(torch.from_numpy(shifted)).numpy()
    there = other.on(body.v_template.double()).numpy()
    lines = np.repeat(np.arange(free.sum()), 3)
    entries = mine.barycentric.double().numpy()[free].ravel()
    shape = (int(free.sum()), count)
    rows = sp.csr_array((entries, (lines, corners[free].ravel())), shape=shape)
    return rows, (there - here)[free]


def _skin_of_head(body: SmplxBody) -> Int[ndarray, " n"]:
    """List the other's vertices that head, jaw and neck carry."""
    carried = body.weights[:, [JOINT_IDS[name] for name in ("head", "jaw", "neck")]].sum(1)
    found = (carried > 0.5).nonzero()[:, 0].numpy()
    return found if len(found) else np.arange(body.vertex_count)


def _normals(vertices: Tensor, faces: Faces) -> Float[ndarray, "v 3"]:
    return vertex_normals(vertices.float(), faces).double().numpy()


def _eye_marks(body: SmplxBody) -> ndarray:
    """Mark the eyeballs: who moves with an eye's joint and nothing else."""
    eyes = [JOINT_IDS[name] for name in EYES]
    return (body.weights[:, eyes].sum(1) > 0.5).numpy()


def _below(
    body: SmplxBody, known: SmplxBody, shifted: Float[ndarray, "v 3"]
) -> tuple[Int[ndarray, " w"], Float[ndarray, "w 3"]]:
    """Find the point of the known skin under each of the other's vertices."""
    eyes = known.regions.mask(*EYES).numpy()
    faces = known.faces.numpy()
    rows = np.flatnonzero(~eyes[faces].any(1))
    # Triangles as points of six dimensions: where they are and where they look.
    triangles = shifted[faces[rows]]
    normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    tree = cKDTree(np.concatenate([triangles.mean(1), NORMAL_REACH * normal], 1))
    points = body.v_template.double().numpy()
    normals = NORMAL_REACH * _normals(body.v_template, body.faces)
    nearest = tree.query(np.concatenate([points, normals], 1))[1]
    corners = shifted[faces[rows[nearest]]]
    return rows[nearest], closest_in_triangles(points, corners)


def _parts(
    body: SmplxBody, known: SmplxBody, corners: Int[ndarray, "w 3"], shares: Float[ndarray, "w 3"]
) -> Int[ndarray, " w"]:
    """Label every vertex as the known skin below it; eyeballs by who moves them."""
    nearest = corners[np.arange(len(corners)), shares.argmax(1)]
    parts = known.regions.part_ids.numpy()[nearest].copy()
    for name in INSIDE:
        parts[parts == PART_IDS[name]] = PART_IDS["mouth_inner"]
    eyes = _eye_marks(body)
    side = body.weights[:, [JOINT_IDS[name] for name in EYES]].argmax(1).numpy()
    parts[eyes] = np.array([PART_IDS[name] for name in EYES])[side[eyes]]
    return parts


def _sets(
    body: SmplxBody,
    known: SmplxBody,
    corners: Int[ndarray, "w 3"],
    shares: Float[ndarray, "w 3"],
    parts: Int[ndarray, " w"],
) -> dict[str, Tensor]:
    """Give every named set the vertices that mostly lie on it."""
    eyes = np.isin(parts, [PART_IDS[name] for name in EYES])
    sets = {}
    for name, members in known.regions.sets.items():
        if name.endswith("eyeball"):
            label = PART_IDS[name.replace("eyeball", "eye")]
            sets[name] = torch.from_numpy(np.flatnonzero(parts == label))
            continue
        marks = np.zeros(known.vertex_count)
        marks[members.numpy()] = 1
        on_it = (marks[corners] * shares).sum(1) > 0.5
        sets[name] = torch.from_numpy(np.flatnonzero(on_it & ~eyes))
    return sets


def _landmarks(
    body: SmplxBody, known: SmplxBody, shifted: Float[ndarray, "v 3"], parts: Int[ndarray, " w"]
) -> Landmarks:
    """Find the point of the other's skin that is nearest to each known landmark."""
    mine = known.landmarks
    allowed = _Surfaces(body, parts)
    own51 = body.landmarks.face51
    face = _placed(mine.mediapipe_face, known, shifted, allowed)
    return Landmarks(
        face51=own51 if len(own51.ids) else _placed(mine.face51, known, shifted, allowed),
        contour17=_placed(mine.contour17, known, shifted, allowed),
        mediapipe_face=face,
        mediapipe_face_spread=mine.mediapipe_face_spread,
        mediapipe_pose=_placed(mine.mediapipe_pose, known, shifted, allowed),
        left_fingertips=_tips("left", body, known, shifted, allowed),
        right_fingertips=_tips("right", body, known, shifted, allowed),
    )


class _Surfaces:
    """The other's skin in pieces on which a landmark may lie."""

    def __init__(self, body: SmplxBody, parts: Int[ndarray, " w"]) -> None:
        self.body, self.faces = body, body.faces.numpy()
        self.vertices = body.v_template.double().numpy()
        of_face = parts[self.faces]
        self.eyes = {name: np.flatnonzero((of_face == PART_IDS[name]).all(1)) for name in EYES}
        inner = np.isin(of_face, [PART_IDS[name] for name in ("mouth_inner", *EYES)]).any(1)
        self.skin = np.flatnonzero(~inner)

    def rows(self, part: str) -> Int[ndarray, " f"]:
        """List the triangles for landmarks that lie on a part of the known body."""
        found = self.eyes.get(part, self.skin)
        return found if len(found) else np.arange(len(self.faces))

    def nearest(self, points: Float[ndarray, "n 3"], rows: Int[ndarray, " f"]) -> SurfacePoints:
        """Find the nearest points on these triangles."""
        faces = self.faces[rows]
        owners, shares = closest_on_mesh(points, self.vertices, faces)
        return SurfacePoints(
            torch.arange(len(points)),
            torch.from_numpy(faces[owners]),
            torch.from_numpy(shares.astype(np.float32)),
        )


def _placed(
    points: SurfacePoints, known: SmplxBody, shifted: Float[ndarray, "v 3"], allowed: _Surfaces
) -> SurfacePoints:
    """Carry landmarks over; those on eyeballs stay on eyeballs."""
    where = points.on(torch.from_numpy(shifted)).numpy()
    labels = known.regions.part_ids[points.triangles[:, 0]].numpy()
    triangles, shares = torch.zeros_like(points.triangles), torch.zeros_like(points.barycentric)
    for label in np.unique(labels):
        mine = np.flatnonzero(labels == label)
        found = allowed.nearest(where[mine], allowed.rows(PART_NAMES[label]))
        triangles[mine], shares[mine] = found.triangles, found.barycentric
    return SurfacePoints(points.ids, triangles, shares)


def _tips(
    side: str,
    body: SmplxBody,
    known: SmplxBody,
    shifted: Float[ndarray, "v 3"],
    allowed: _Surfaces,
) -> SurfacePoints:
    """Find the ends of the fingers: as far along the last bone as the other's skin goes."""
    tips = known.landmarks.left_fingertips if side == "left" else known.landmarks.right_fingertips
    targets = tips.on(torch.from_numpy(shifted)).numpy()
    for row, finger in enumerate(HAND_FINGERS):
        joint = JOINT_IDS[f"{side}_{finger}3"]
        origin = body.joints_template[joint].double().numpy()
        carried = (body.weights[:, joint] > 0.5).numpy()
        way = targets[row] - origin
        length = float(np.linalg.norm(way))
        if carried.any() and length > 0:
            way = way / length
            reach = float(((allowed.vertices[carried] - origin) @ way).max())
            targets[row] = origin + way * max(reach, 0.0)
    return replace(allowed.nearest(targets, allowed.skin), ids=tips.ids)


def _face_units(
    known: SmplxBody,
    corners: Int[ndarray, "w 3"],
    shares: Float[ndarray, "w 3"],
    parts: Int[ndarray, " w"],
    head: ndarray,
) -> FaceUnits:
    """Give the other's face the shapes of the known face, point by point."""
    units = known.face_units
    dense = units.dense().numpy()
    mine = np.flatnonzero(np.isin(parts, np.unique(known.regions.part_ids.numpy()[head])))
    ids, offsets = [], []
    for unit in range(len(units.names)):
        moved = (dense[corners[mine], :, unit] * shares[mine, :, None]).sum(1)
        real = np.linalg.norm(moved, axis=1) > UNIT_FLOOR
        ids.append(torch.from_numpy(mine[real]))
        offsets.append(torch.from_numpy(moved[real].astype(np.float32)))
    return FaceUnits(units.names, tuple(ids), tuple(offsets), len(parts))
