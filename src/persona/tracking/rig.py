"""A body of fixed shape as bones and points on them, posed fast and with exact derivatives.

Every landmark is held by one bone, which is true of joints, of the head and of shoes. What is left
of the body model is a tree of 22 rotations, and a whole clip is posed in a millisecond a frame with
all its derivatives; `SmplxBody.forward` is the twin that tests compare it with.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.animation.grounding import leg_rig
from persona.animation.legs import ANKLES, TOES
from persona.body import SmplxBody
from persona.body.landmarks import POSE_JOINTS
from persona.body.skeleton import BODY_JOINTS, BONE_GROUPS, JOINT_IDS, PARENTS
from persona.fitting.points import pose_landmarks
from persona.records.body_fit import Identity
from persona.records.body_params import rest_params
from persona.tracking.middles import CUTS, Cut

JOINTS: Final = len(BODY_JOINTS)
"""Pelvis to wrists."""
UNKNOWNS: Final = 3 * JOINTS + 3
"""Of a frame: a small turn of every joint [rad], then a shift of the whole body [m]."""
LANDMARKS: Final = slice(0, 33)
"""Rows of the MediaPipe Pose landmarks."""
SOLES: Final = slice(33, 39)
"""Rows of heel, ball and toe tip of the left sole, then of the right."""
FACE: Final = slice(39, 43)
"""Rows of right cheek, left cheek, brow and chin of the face mesh: which way the head looks."""
FACE_IDS: Final = (234, 454, 10, 152)
"""Their numbers in the face mesh."""
MIDDLES: Final = slice(FACE.stop, FACE.stop + len(CUTS))
"""Rows of the middles of limbs where `middles.CUTS` cut them."""
POINTS: Final = MIDDLES.stop
"""All rows."""
SLAB: Final = 0.02
"""Skin this near to a cut is on it [m]."""
FLESH: Final[dict[str, tuple[str, ...]]] = {
    "shoulder": ("shoulder", "elbow"), "elbow": ("elbow", "wrist"), "hip": ("hip", "knee"),
    "knee": ("knee", "ankle"),
}  # fmt: skip
"""Joints whose skin belongs to a limb, by the joint that carries it."""
TRUNK: Final = ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar")
"""The same of the trunk."""
_SKIN: Final = {29: ANKLES[0], 30: ANKLES[1], 31: TOES[0], 32: TOES[1]}
"""Bones that carry heels and toes; all other skin landmarks are on the head."""


def _carriers() -> list[int]:
    """Say which of the 22 joints carries each row."""
    rows = []
    for place in range(33):
        joint = POSE_JOINTS.get(place, _SKIN.get(place, JOINT_IDS["head"]))
        while joint >= JOINTS:
            joint = PARENTS[joint]
        rows.append(joint)
    for ankle, toe in zip(ANKLES, TOES, strict=True):
        rows += [ankle, ankle, toe]
    rows += [JOINT_IDS["head"]] * len(FACE_IDS)
    return rows + [JOINT_IDS[cut.joint] for cut in CUTS]


CARRIERS: Final = tuple(_carriers())
"""Joint that carries each row."""


@cache
def ancestors() -> Float[Tensor, "22 22"]:
    """Mark with one, in row j, joint j and everything above it."""
    marks = torch.eye(JOINTS, dtype=torch.float64)
    for joint in range(1, JOINTS):
        marks[joint] += marks[PARENTS[joint]]
    return marks


@dataclass(frozen=True)
class Rig:
    """Bones of one person."""

    joints: Float[Tensor, "22 3"]
    """Rest joints [m]."""
    points: Float[Tensor, "p 3"]
    """Rest landmarks, sole points, points of the face and middles of limbs [m]."""


@dataclass(frozen=True)
class RigSlopes:
    """Derivative of a rig by betas and bone scales."""

    joints: Float[Tensor, "22 3 s"]
    points: Float[Tensor, "p 3 s"]


@dataclass(frozen=True)
class Pose:
    """Poses of a rig over time."""

    turns: Float[Tensor, "t 22 3 3"]
    """Rotation of every joint relative to its parent."""
    shift: Float[Tensor, "t 3"]
    """Added to everything [m]."""

    def pick(self, frames: slice | Tensor) -> "Pose":
        """Keep some frames."""
        return Pose(self.turns[frames], self.shift[frames])


@dataclass(frozen=True)
class Posed:
    """A posed rig, with what its derivatives are made of."""

    world: Float[Tensor, "t 22 3 3"]
    """Rotation of every bone in the world."""
    centers: Float[Tensor, "t 22 3"]
    """Joints [m]."""
    points: Float[Tensor, "t p 3"]
    """The same points, posed [m]."""


def rig_of(body: SmplxBody, identity: Identity) -> Rig:
    """Measure the bones of a person."""
    joints, marks, face, middles = _measured(body, identity)
    legs = leg_rig(body, identity)
    ends = torch.tensor([[ankle, ankle, toe] for ankle, toe in zip(ANKLES, TOES, strict=True)])
    soles = joints[ends] + legs.soles.double()
    return Rig(joints, torch.cat([marks, soles.reshape(6, 3), face, middles]))


def _measured(body: SmplxBody, identity: Identity) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give joints, Pose landmarks, points of the face and middles in the rest pose [m]."""
    rest = body.forward(
        replace(rest_params(), betas=identity.betas),
        joint_offsets=identity.joint_offsets,
        vertex_offsets=identity.vertex_offsets,
        with_pose_correctives=False,
    )
    marks = pose_landmarks(body, rest)
    face = body.landmarks.mediapipe_face.select(list(FACE_IDS)).on(rest.rest_vertices)
    middles = torch.stack([_middle(body, rest.rest_vertices, marks, cut) for cut in CUTS])
    return rest.rest_joints[:JOINTS].double(), marks.double(), face.double(), middles.double()


def _middle(
    body: SmplxBody, skin: Float[Tensor, "v 3"], marks: Float[Tensor, "33 3"], cut: Cut
) -> Float[Tensor, " 3"]:
    """Give the middle of a limb where it is cut; an oval has the same one from all sides."""
    side, _, name = cut.joint.rpartition("_")
    names = [f"{side}_{one}" for one in FLESH[name]] if side else list(TRUNK)
    held = _held_by(body, tuple(JOINT_IDS[one] for one in names))
    start, end = (marks[list(ends)].mean(0) for ends in cut.ends)
    way = torch.nn.functional.normalize(end - start, dim=0)
    center = start + cut.share * (end - start)
    gap = skin[held] - center
    flat = gap[((gap @ way).abs() < SLAB)]
    flat = flat - (flat @ way)[:, None] * way
    deep = torch.nn.functional.normalize(way.new_tensor([0.0, 0.0, 1.0]) - way[2] * way, dim=0)
    axes = torch.stack([torch.linalg.cross(deep, way), deep])
    places = flat @ axes.T
    return center + (places.amin(0) + places.amax(0)) / 2 @ axes


def _held_by(body: SmplxBody, joints: tuple[int, ...]) -> Int[Tensor, " n"]:
    """Choose the skin that follows one of some joints most."""
    return torch.isin(body.weights.argmax(1), torch.tensor(joints)).nonzero()[:, 0]


def identity_from(body: SmplxBody, shape: Float[Tensor, " s"]) -> Identity:
    """Build a person from betas and the seven bone scales behind them."""
    count = body.shapedirs.shape[2]
    betas, scales = shape[:count].float(), shape[count:].float()
    return Identity(
        betas=betas,
        joint_offsets=body.joint_offsets_from_bone_scales(scales, betas),
        vertex_offsets=torch.zeros(body.vertex_count, 3),
        body_digest=body.digest,
    )


def shape_size(body: SmplxBody) -> int:
    """Count betas and bone scales."""
    return body.shapedirs.shape[2] + len(BONE_GROUPS)


def rig_slopes(
    body: SmplxBody, shape: Float[Tensor, " s"], *, step: float = 1e-2
) -> tuple[Rig, RigSlopes]:
    """Build the rig of a shape and its derivative, by differences: it is almost linear.

    Soles are left out (zero): which skin is lowest changes by jumps, and no shape is fitted to it.
    """
    here = rig_of(body, identity_from(body, shape))
    joints, points = [], []
    for k in range(len(shape)):
        nudge = torch.zeros_like(shape)
        nudge[k] = step
        moved, marks, face, middles = _measured(body, identity_from(body, shape + nudge))
        joints.append((moved - here.joints) / step)
        change = torch.zeros_like(here.points)
        for rows, now in ((LANDMARKS, marks), (FACE, face), (MIDDLES, middles)):
            change[rows] = now - here.points[rows]
        points.append(change / step)
    return here, RigSlopes(torch.stack(joints, -1), torch.stack(points, -1))


def pose_rig(rig: Rig, pose: Pose) -> Posed:
    """Bend a rig at every frame."""
    turns, centers = [pose.turns[:, 0]], [rig.joints[0] + pose.shift]
    bones = rig.joints[1:] - rig.joints[list(PARENTS[1:JOINTS])]
    for joint in range(1, JOINTS):
        parent = PARENTS[joint]
        turns.append(turns[parent] @ pose.turns[:, joint])
        centers.append(centers[parent] + turns[parent] @ bones[joint - 1])
    world, middle = torch.stack(turns, 1), torch.stack(centers, 1)
    held = list(CARRIERS)
    offsets = rig.points - rig.joints[held]
    points = middle[:, held] + (world[:, held] @ offsets[..., None])[..., 0]
    return Posed(world, middle, points)


def point_slopes(posed: Posed) -> Float[Tensor, "t p 3 u"]:
    """Differentiate the points by small turns of all joints, each in its own frame, and a shift.

    Turning joint j moves a point below it by the cross product of the axis with its lever arm.
    """
    count = len(posed.centers)
    held = ancestors()[list(CARRIERS)]
    lever = (posed.points[:, :, None] - posed.centers[:, None]) * held[..., None]
    axes = posed.world.mT[:, None]
    turned = torch.linalg.cross(axes, lever[:, :, :, None, :].expand(-1, -1, -1, 3, -1), dim=-1)
    slopes = torch.empty(count, len(CARRIERS), 3, UNKNOWNS, dtype=torch.float64)
    slopes[..., : 3 * JOINTS] = turned.flatten(2, 3).mT
    slopes[..., 3 * JOINTS :] = torch.eye(3, dtype=torch.float64)
    return slopes


def shape_slopes(slopes: RigSlopes, posed: Posed) -> Float[Tensor, "t p 3 s"]:
    """Differentiate the points by the shape of the rig, in every pose."""
    parents, held = list(PARENTS[1:JOINTS]), list(CARRIERS)
    bones = slopes.joints[1:] - slopes.joints[parents]
    moved = torch.einsum("tjab,jbs->tjas", posed.world[:, parents], bones)
    moved = torch.cat([slopes.joints[None, :1].expand(len(moved), -1, -1, -1), moved], 1)
    centers = torch.einsum("jk,tkas->tjas", ancestors(), moved)
    own = slopes.points - slopes.joints[held]
    return centers[:, held] + torch.einsum("tnab,nbs->tnas", posed.world[:, held], own)
