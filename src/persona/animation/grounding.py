"""Put a motion on the floor under another body: feet stay planted, soles meet y = 0."""

from dataclasses import replace
from itertools import pairwise
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.animation.legs import (
    ANKLES,
    HIPS,
    KNEES,
    SETTLE_SECONDS,
    STRAIGHTEST,
    TOES,
    Feet,
    LegPose,
    LegRig,
    drop_to_reach,
    feet_of,
    reach,
    smooth,
    soften_drop,
    sole_offsets,
)
from persona.animation.resampling import travel
from persona.animation.sketch import NOMINAL_RIG
from persona.body import SmplxBody
from persona.body.skeleton import JOINT_IDS
from persona.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from persona.records.body_fit import Identity
from persona.records.body_params import rest_params
from persona.records.motion import Motion

CONTACT_HEIGHT: Final = 0.015
"""A sole point this near to the floor may stand on it [m]."""
CONTACT_SPEED: Final = 0.20
"""A sole point slower than this may stand [m/s]; a swinging foot does 2 m/s."""
CAPTURED_STRAIGHTEST: Final = 0.9994
"""As `legs.STRAIGHTEST`, for captured motions, whose knees stand nearly locked: 4 degrees."""
SOLE_BAND: Final = 0.012
"""Skin this near to the lowest of the foot is sole [m]."""


def leg_rig(body: SmplxBody, identity: Identity) -> LegRig:
    """Measure the legs and soles of a person."""
    rest = body.forward(
        replace(rest_params(), betas=identity.betas),
        joint_offsets=identity.joint_offsets,
        vertex_offsets=identity.vertex_offsets,
        with_pose_correctives=False,
    )
    joints = rest.rest_joints.double()
    skin = rest.rest_vertices.double()
    carrier = body.weights.argmax(1)

    def bones(ends: tuple[int, int], starts: tuple[int, int]) -> Tensor:
        return joints[list(ends)] - joints[list(starts)]

    pelvis = JOINT_IDS["pelvis"]
    soles = [
        _sole(skin[(carrier == ankle) | (carrier == toe)], joints[ankle], joints[toe])
        for ankle, toe in zip(ANKLES, TOES, strict=True)
    ]
    return LegRig(
        pelvis=joints[pelvis],
        hips=bones(HIPS, (pelvis, pelvis)),
        thighs=bones(KNEES, HIPS),
        shins=bones(ANKLES, KNEES),
        feet=bones(TOES, ANKLES),
        soles=torch.stack(soles),
    )


def _sole(
    foot: Float[Tensor, "n 3"], ankle: Float[Tensor, " 3"], toe: Float[Tensor, " 3"]
) -> Float[Tensor, "3 3"]:
    """Find heel, ball and tip of the toes of a foot in rest pose."""
    floor = foot[:, 1].min()
    sole = foot[foot[:, 1] < floor + SOLE_BAND]
    back, front = sole[:, 2].min(), sole[:, 2].max()
    behind = sole[sole[:, 2] < ankle[2]]
    heel = torch.stack([behind[:, 0].mean(), floor, back])
    ball = torch.stack([sole[:, 0].mean(), floor, toe[2]])
    before = sole[sole[:, 2] > toe[2]]
    tip = torch.stack([before[:, 0].mean(), floor, front])
    return torch.stack([heel - ankle, ball - ankle, tip - toe])


def ground_motion(motion: Motion, body: SmplxBody, identity: Identity) -> Motion:
    """Let a person do a motion on the floor.

    The motion is read as the mean body's. Strides scale with the length of the legs; wherever
    a heel, ball or toe of the mean body stands still on the floor, the person's does, and the
    legs bend to suit. Feet keep their direction in space; knees keep pointing where they did.
    What is above the pelvis is not touched.

    Args:
        motion: Poses with a translation; the floor is at the lowest the mean body's soles come.
        body: The body file.
        identity: Whose body.

    Returns:
        The motion with new leg rotations and translation; soles at y >= 0.
    """
    return _ground(motion, leg_rig(body, identity))


def plant(motion: Motion, standing: Bool[Tensor, "t 2 3"], *, floor: float) -> Motion:
    """Hold the mean body's feet where they are said to stand, on a floor put at y = 0.

    Args:
        motion: Poses with a translation.
        standing: Whether heel, ball and toe of each foot stand.
        floor: Height of the floor in the motion [m].
    """
    rig = NOMINAL_RIG.to(torch.float64)
    return _ground(motion, rig, standing=standing, floor=floor, straightest=CAPTURED_STRAIGHTEST)


def to_mean_body(
    motion: Motion, body: SmplxBody, identity: Identity, standing: Bool[Tensor, "t 2 3"]
) -> Motion:
    """Let the mean body do what was captured of a person, on a floor at y = 0.

    The inverse of `ground_motion`: motions in files are the mean body's.

    Args:
        motion: The person's own poses and translation, their floor at y = 0.
        body: The body file.
        identity: Whose bones they are.
        standing: Whether heel, ball and toe of each foot stand.
    """
    return _ground(
        motion,
        NOMINAL_RIG.to(torch.float64),
        source=leg_rig(body, identity),
        standing=standing,
        floor=0.0,
        straightest=CAPTURED_STRAIGHTEST,
    )


def sole_paths(motion: Motion) -> Float[Tensor, "t 2 3 3"]:
    """Give heel, ball and toe tip of both feet of the mean body [m], world frame."""
    source = NOMINAL_RIG.to(torch.float64)
    pose = axis_angle_to_matrix(motion.params.full_pose.double())
    return _soles(source, motion.params.transl.double() + source.pelvis, pose)[2]


def _soles(
    source: LegRig, pelvis: Float[Tensor, "t 3"], pose: Float[Tensor, "t 55 3 3"]
) -> tuple[LegPose, Feet, Float[Tensor, "t 2 3 3"]]:
    """Give the legs of a pose, its feet, and the points of their soles."""
    legs = LegPose(
        hips=pose[:, list(HIPS)],
        knees=pose[:, list(KNEES)],
        ankles=pose[:, list(ANKLES)],
        toes=pose[:, list(TOES)],
    )
    feet = feet_of(source, pelvis, pose[:, 0], legs)
    return legs, feet, feet.ankles[..., None, :] + sole_offsets(source, feet.rotations, feet.toes)


def _ground(
    motion: Motion,
    rig: LegRig,
    *,
    source: LegRig = NOMINAL_RIG,
    standing: Bool[Tensor, "t 2 3"] | None = None,
    floor: float | None = None,
    straightest: float = STRAIGHTEST,
) -> Motion:
    source = source.to(torch.float64)
    pose = axis_angle_to_matrix(motion.params.full_pose.double())
    pelvis = motion.params.transl.double() + source.pelvis
    legs, feet, points = _soles(source, pelvis, pose)
    height = float(points[..., 1].amin()) if floor is None else floor
    scale = rig.length / source.length

    lifted = torch.tensor([0.0, height, 0.0], dtype=torch.float64)
    if standing is None:
        standing = contacts(motion, points - lifted)
    points = points - lifted
    sized = points * scale + _keep_foot_size(motion, points, standing, (source, rig))
    targets = _lock(motion, sized, standing, scale)
    ankles = _ankles(rig, feet, targets, standing, motion.fps)
    pelvis = (pelvis - lifted) * scale
    drop = drop_to_reach(rig, pelvis, pose[:, 0], ankles, straightest=straightest)
    pelvis[:, 1] -= soften_drop(drop, round(SETTLE_SECONDS * motion.fps), loops=motion.loops)
    placed = replace(feet, ankles=ankles)
    solved = reach(rig, pelvis, pose[:, 0], placed, start=legs, straightest=straightest)
    return _with_legs(motion, solved, pelvis - rig.pelvis)


def contacts(motion: Motion, points: Float[Tensor, "t 2 3 3"]) -> Bool[Tensor, "t 2 3"]:
    """Find where heel, ball and toe of each foot stand: low and slow, with the floor at 0."""
    before, after = _neighbours(motion, points)
    # The slower side decides, so that the first and last standing frame count.
    speed = (
        torch.minimum((points - before).norm(dim=-1), (after - points).norm(dim=-1)) * motion.fps
    )
    return (points[..., 1] < CONTACT_HEIGHT) & (speed < CONTACT_SPEED)


def _neighbours(motion: Motion, points: Tensor) -> tuple[Tensor, Tensor]:
    """Give the points one frame before and after; a loop goes round, other ends stand still."""
    before, after = points.roll(1, 0), points.roll(-1, 0)
    if motion.loops:
        way = travel(motion).double()
        before[0] = before[0] - way
        after[-1] = after[-1] + way
    else:
        before[0], after[-1] = points[0], points[-1]
    return before, after


def _keep_foot_size(
    motion: Motion,
    points: Float[Tensor, "t 2 3 3"],
    standing: Bool[Tensor, "t 2 3"],
    rigs: tuple[LegRig, LegRig],
) -> Float[Tensor, "t 2 3 3"]:
    """Correct the scaling of the feet themselves: a stride shrinks with the legs, a sole does not.

    While a foot stands, its points keep their distance to the middle of its print, by the size
    of this person's foot; only the print moves.
    """
    source, rig = rigs
    scale = rig.length / source.length
    foot_scale = _foot_length(rig) / _foot_length(source)
    count = motion.frame_count
    way = travel(motion).double()
    kept = torch.zeros_like(points)
    for foot in range(2):
        stands = standing[:, foot].any(-1)
        for run in _runs(stands, loops=motion.loops):
            index = torch.tensor([k % count for k in run])
            rounds = torch.tensor([float(k // count) for k in run], dtype=torch.float64)
            there = points[index, foot] + (rounds[:, None] * way)[:, None]
            down = standing[index, foot]
            flat = down & down.all(-1, keepdim=True)
            chosen = flat if bool(flat.any()) else down
            middle = there[chosen].mean(0)
            middle[1] = 0.0
            kept[index, foot] = (foot_scale - scale) * (there - middle)
        kept[:, foot] = _bridge(kept[:, foot], stands, loops=motion.loops)
    return kept


def _foot_length(rig: LegRig) -> float:
    return float((rig.soles[:, 1] - rig.soles[:, 0]).norm(dim=-1).mean())


def _lock(
    motion: Motion,
    points: Float[Tensor, "t 2 3 3"],
    standing: Bool[Tensor, "t 2 3"],
    scale: float,
) -> Float[Tensor, "t 2 3 3"]:
    """Hold every standing point where it stands on average, on the floor.

    Between two stands the correction goes smoothly from one to the other.
    """
    count = motion.frame_count
    way = travel(motion).double() * scale
    locked = points.clone()
    for foot in range(2):
        for point in range(3):
            path, flags = points[:, foot, point], standing[:, foot, point]
            runs = _runs(flags, loops=motion.loops)
            shift = torch.zeros(count, 3, dtype=torch.float64)
            known = torch.zeros(count, dtype=torch.bool)
            for run in runs:
                index = torch.tensor([k % count for k in run])
                rounds = torch.tensor([float(k // count) for k in run], dtype=torch.float64)
                there = path[index] + rounds[:, None] * way
                place = there.mean(0)
                place[1] = 0.0
                shift[index] = place - there
                known[index] = True
            locked[:, foot, point] = path + _bridge(shift, known, loops=motion.loops)
    return locked


def _runs(flags: Bool[Tensor, " t"], *, loops: bool) -> list[list[int]]:
    """List the stretches of consecutive true frames; a loop's go on past the seam."""
    count = flags.shape[0]
    values = flags.tolist()
    if all(values):
        return [list(range(count))]
    start = values.index(False) if loops else 0
    runs: list[list[int]] = []
    for k in range(start, start + count):
        if not values[k % count]:
            continue
        if runs and runs[-1][-1] == k - 1:
            runs[-1].append(k)
        else:
            runs.append([k])
    return runs


def _bridge(
    shift: Float[Tensor, "t *rest"], known: Bool[Tensor, " t"], *, loops: bool
) -> Float[Tensor, "t *rest"]:
    """Fill the frames between with a smooth passage from one known shift to the next."""
    where = torch.nonzero(known)[:, 0].tolist()
    count = shift.shape[0]
    if not where or len(where) == count:
        return shift
    filled = shift.clone()
    pairs = list(pairwise(where))
    if loops:
        pairs.append((where[-1], where[0] + count))
    else:
        filled[: where[0]] = shift[where[0]]
        filled[where[-1] + 1 :] = shift[where[-1]]
    for left, right in pairs:
        for k in range(left + 1, right):
            x = (k - left) / (right - left)
            x = x * x * (3 - 2 * x)
            filled[k % count] = (1 - x) * shift[left] + x * shift[right % count]
    return filled


def _ankles(
    rig: LegRig,
    feet: Feet,
    targets: Float[Tensor, "t 2 3 3"],
    standing: Bool[Tensor, "t 2 3"],
    fps: float,
) -> Float[Tensor, "t 2 3"]:
    """Place each ankle so that the standing points of the sole are on their targets.

    Feet of another size cannot have all points on target; those that stand count, and in the
    air all count alike.
    """
    offsets = sole_offsets(rig, feet.rotations, feet.toes)
    share = standing.double()
    share = torch.where(standing.any(-1, keepdim=True), share, torch.ones_like(share))
    share = smooth(share, round(SETTLE_SECONDS * fps / 2))
    # A point that stands keeps its say; one that does not must not drag it along.
    share = torch.where(standing.any(-1, keepdim=True) & ~standing, share * 0.02, share)
    share = share / share.sum(-1, keepdim=True)
    ankles = ((targets - offsets) * share[..., None]).sum(-2)
    lowest = (ankles[..., None, 1] + offsets[..., 1]).amin(-1)
    ankles[..., 1] -= lowest.clamp(max=0.0)
    return ankles


def _with_legs(motion: Motion, legs: LegPose, transl: Float[Tensor, "t 3"]) -> Motion:
    pose = motion.params.full_pose.double().clone()
    for ids, matrices in ((HIPS, legs.hips), (KNEES, legs.knees), (ANKLES, legs.ankles)):
        pose[:, list(ids)] = matrix_to_axis_angle(matrices)
    params = motion.params.with_full_pose(pose.to(motion.params.transl.dtype))
    return replace(motion, params=replace(params, transl=transl.to(motion.params.transl.dtype)))
