"""Two legs on a floor: where the feet are for a pose, and which pose puts them somewhere."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from persona.body.skeleton import JOINT_IDS
from persona.geometry.rotations import rotation_between

HIPS = (JOINT_IDS["left_hip"], JOINT_IDS["right_hip"])
KNEES = (JOINT_IDS["left_knee"], JOINT_IDS["right_knee"])
ANKLES = (JOINT_IDS["left_ankle"], JOINT_IDS["right_ankle"])
TOES = (JOINT_IDS["left_foot"], JOINT_IDS["right_foot"])
SOLE_POINTS = ("heel", "ball", "toe")
"""Where a sole meets the floor, back to front."""
STRAIGHTEST = 0.9962
"""Longest reach of a leg as a share of thigh plus shin: a locked knee snaps when it unlocks."""

SETTLE_SECONDS = 0.13
"""How long before and after it is needed a correction fades in and out [s]."""


@dataclass(frozen=True, kw_only=True)
class LegRig:
    """Lengths of a pair of legs in rest pose, left first; what matters of a body on a floor."""

    pelvis: Float[Tensor, " 3"]
    """Rest position of the pelvis joint [m], body frame."""
    hips: Float[Tensor, "2 3"]
    """From the pelvis to the hips [m]."""
    thighs: Float[Tensor, "2 3"]
    """From hip to knee [m]."""
    shins: Float[Tensor, "2 3"]
    """From knee to ankle [m]."""
    feet: Float[Tensor, "2 3"]
    """From the ankle to the toe joint [m]."""
    soles: Float[Tensor, "2 3 3"]
    """From the ankle to heel and ball, from the toe joint to the tip of the toes [m]; on the floor
    when the foot is flat."""

    @property
    def length(self) -> float:
        """Thigh, shin and the ankle's height, mean of both legs [m]: the scale of a stride."""
        bones = self.thighs.norm(dim=-1) + self.shins.norm(dim=-1) - self.soles[:, 0, 1]
        return float(bones.mean())

    def to(self, dtype: torch.dtype) -> "LegRig":
        """Give the same rig in another precision."""
        return LegRig(**{name: value.to(dtype) for name, value in vars(self).items()})


@dataclass(frozen=True, kw_only=True)
class LegPose:
    """Rotations of both legs relative to their parents, left first."""

    hips: Float[Tensor, "t 2 3 3"]
    """Thigh to pelvis."""
    knees: Float[Tensor, "t 2 3 3"]
    """Shin to thigh."""
    ankles: Float[Tensor, "t 2 3 3"]
    """Foot to shin."""
    toes: Float[Tensor, "t 2 3 3"]
    """Toes to foot."""


@dataclass(frozen=True, kw_only=True)
class Feet:
    """Where both feet are, world frame."""

    ankles: Float[Tensor, "t 2 3"]
    """Positions of the ankle joints [m]."""
    rotations: Float[Tensor, "t 2 3 3"]
    """Foot to world."""
    toes: Float[Tensor, "t 2 3 3"]
    """Toes to foot."""


def feet_of(
    rig: LegRig,
    pelvis: Float[Tensor, "t 3"],
    pelvis_rotation: Float[Tensor, "t 3 3"],
    pose: LegPose,
) -> Feet:
    """Follow the bones from the pelvis [m] to the feet."""
    thigh = pelvis_rotation[:, None] @ pose.hips
    shin = thigh @ pose.knees
    hip = pelvis[:, None] + _turned(pelvis_rotation[:, None], rig.hips)
    ankle = hip + _turned(thigh, rig.thighs) + _turned(shin, rig.shins)
    return Feet(ankles=ankle, rotations=shin @ pose.ankles, toes=pose.toes)


def sole_offsets(
    rig: LegRig, rotations: Float[Tensor, "t 2 3 3"], toes: Float[Tensor, "t 2 3 3"]
) -> Float[Tensor, "t 2 3 3"]:
    """Give heel, ball and toe tip relative to the ankle [m], world frame."""
    heel_and_ball = (rotations[..., None, :, :] @ rig.soles[:, :2, :, None])[..., 0]
    tip = _turned(rotations, rig.feet) + _turned(rotations @ toes, rig.soles[:, 2])
    return torch.cat([heel_and_ball, tip[..., None, :]], -2)


def reach(
    rig: LegRig,
    pelvis: Float[Tensor, "t 3"],
    pelvis_rotation: Float[Tensor, "t 3 3"],
    feet: Feet,
    *,
    start: LegPose,
    straightest: float = STRAIGHTEST,
) -> LegPose:
    """Bend the legs so that the feet are where they shall be.

    Each knee bends to the right length, then the thigh swings the shortest way from where
    ``start`` has it: the knees keep pointing where ``start`` points them. Beyond a leg's reach
    the foot hangs short of its target; `drop_to_reach` avoids that.
    """
    hip = pelvis[:, None] + _turned(pelvis_rotation[:, None], rig.hips)
    wanted = _turned(pelvis_rotation.transpose(-1, -2)[:, None], feet.ankles - hip)
    longest = straightest * (rig.thighs.norm(dim=-1) + rig.shins.norm(dim=-1))
    distance = torch.minimum(wanted.norm(dim=-1), longest)

    # |thigh + K Rx(a) shin| = distance has the form A cos a + B sin a = C.
    thigh = _turned(start.knees.transpose(-1, -2), rig.thighs)
    cosine = thigh[..., 1] * rig.shins[:, 1] + thigh[..., 2] * rig.shins[:, 2]
    sine = thigh[..., 2] * rig.shins[:, 1] - thigh[..., 1] * rig.shins[:, 2]
    squares = rig.thighs.square().sum(-1) + rig.shins.square().sum(-1)
    right = (distance.square() - squares) / 2 - thigh[..., 0] * rig.shins[:, 0]
    size = torch.hypot(cosine, sine)
    angle = torch.atan2(sine, cosine) + torch.acos((right / size).clamp(-1.0, 1.0))
    knees = start.knees @ rotation_x(angle)

    before = _turned(start.hips, rig.thighs + _turned(knees, rig.shins))
    hips = rotation_between(before, wanted) @ start.hips
    shin = pelvis_rotation[:, None] @ hips @ knees
    ankles = shin.transpose(-1, -2) @ feet.rotations
    return LegPose(hips=hips, knees=knees, ankles=ankles, toes=feet.toes)


def drop_to_reach(
    rig: LegRig,
    pelvis: Float[Tensor, "t 3"],
    pelvis_rotation: Float[Tensor, "t 3 3"],
    ankles: Float[Tensor, "t 2 3"],
    *,
    straightest: float = STRAIGHTEST,
) -> Float[Tensor, " t"]:
    """Say how far the pelvis must sink [m] so that both ankles come within reach."""
    hip = pelvis[:, None] + _turned(pelvis_rotation[:, None], rig.hips)
    longest = straightest * (rig.thighs.norm(dim=-1) + rig.shins.norm(dim=-1))
    away = (hip - ankles)[..., [0, 2]].square().sum(-1)
    highest = ankles[..., 1] + (longest.square() - away).clamp(min=0.0).sqrt()
    return (hip[..., 1] - highest).clamp(min=0.0).amax(-1)


def soften_drop(drop: Float[Tensor, " t"], radius: int, *, loops: bool) -> Float[Tensor, " t"]:
    """Let the pelvis sink early and rise late, ``radius`` frames either way, never too little."""
    count = drop.shape[0]
    if radius < 1 or float(drop.max()) == 0.0:
        return drop
    mode = "circular" if loops and count > 2 * radius else "replicate"
    padded = torch.nn.functional.pad(drop[None, None], (2 * radius, 2 * radius), mode=mode)
    widest = torch.nn.functional.max_pool1d(padded, 2 * radius + 1, stride=1)[0, 0]
    return smooth(widest, radius)[radius : radius + count]


def smooth(values: Float[Tensor, "t *rest"], radius: int) -> Float[Tensor, "t *rest"]:
    """Average over ``2 radius + 1`` frames with a raised cosine; the ends repeat."""
    if radius < 1:
        return values
    kernel = torch.hann_window(2 * radius + 3, periodic=False, dtype=values.dtype)[1:-1]
    kernel = kernel / kernel.sum()
    flat = values.reshape(values.shape[0], -1).T[:, None]
    padded = torch.nn.functional.pad(flat, (radius, radius), mode="replicate")
    return torch.nn.functional.conv1d(padded, kernel[None, None])[:, 0].T.reshape(values.shape)


def rotation_x(angle: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 3 3"]:
    """Turn about the x axis by ``angle`` [rad]."""
    c, s = angle.cos(), angle.sin()
    one, zero = torch.ones_like(c), torch.zeros_like(c)
    rows = [one, zero, zero, zero, c, -s, zero, s, c]
    return torch.stack(rows, -1).reshape(*angle.shape, 3, 3)


def rotation_y(angle: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 3 3"]:
    """Turn about the y axis by ``angle`` [rad]."""
    c, s = angle.cos(), angle.sin()
    one, zero = torch.ones_like(c), torch.zeros_like(c)
    rows = [c, zero, s, zero, one, zero, -s, zero, c]
    return torch.stack(rows, -1).reshape(*angle.shape, 3, 3)


def _turned(rotation: Tensor, vector: Tensor) -> Tensor:
    return (rotation @ vector[..., None])[..., 0]
