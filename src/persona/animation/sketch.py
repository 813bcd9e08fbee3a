"""A motion while it is being composed: joint turns, a pelvis that travels, feet that are placed."""

from typing import Final, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from persona.animation.legs import (
    ANKLES,
    HIPS,
    KNEES,
    SETTLE_SECONDS,
    SOLE_POINTS,
    TOES,
    Feet,
    LegPose,
    LegRig,
    drop_to_reach,
    reach,
    rotation_x,
    rotation_y,
    soften_drop,
    sole_offsets,
)
from persona.body.skeleton import JOINT_IDS, JOINT_NAMES
from persona.geometry.rotations import (
    axis_angle_to_quaternion,
    matrix_to_axis_angle,
    multiply_quaternions,
    quaternion_to_axis_angle,
    quaternion_to_matrix,
    slerp,
)
from persona.records.body_params import rest_params
from persona.records.motion import Motion

BASE_FPS: Final = 30.0
"""Rate at which clips are composed [1/s]."""

NOMINAL_RIG: Final = LegRig(
    pelvis=torch.tensor([0.0, -0.350, 0.012]),
    hips=torch.tensor([[0.108, -0.092, 0.0], [-0.108, -0.092, 0.0]]),
    thighs=torch.tensor([[0.035, -0.406, -0.005], [-0.035, -0.406, -0.005]]),
    shins=torch.tensor([[-0.012, -0.398, -0.040], [0.012, -0.398, -0.040]]),
    feet=torch.tensor([[0.022, -0.049, 0.138], [-0.022, -0.049, 0.138]]),
    soles=torch.tensor(
        [
            [[0.005, -0.075, -0.050], [0.022, -0.075, 0.138], [0.0, -0.026, 0.063]],
            [[-0.005, -0.075, -0.050], [-0.022, -0.075, 0.138], [0.0, -0.026, 0.063]],
        ]
    ),
)
"""Legs of the mean open body: clips are composed for these."""

TOE_BEND: Final = 34.0
"""Most that the toes bend while the heel rises [deg]."""
PEEL_SECONDS: Final = 0.14
"""How long before a step the heel begins to rise [s]."""

Axis = Literal["x", "y", "z"]
Amount = float | Float[Tensor, "..."]
"""An angle [deg], constant or over time."""
Turn = tuple[Axis, Amount]
"""Axis and angle [deg]."""


class Sketch:
    """Composes one `Motion`; every curve has one value a frame.

    Pelvis and feet start as a person standing with feet a little apart. Feet are placed by the
    point they roll on, so that a planted foot stays planted whatever the hips do; the legs follow.

    Args:
        seconds: How long the motion takes at its own pace.
        speed: How many times faster it is done; curves over `time` are not touched by it.
    """

    def __init__(self, seconds: float, *, speed: float = 1.0) -> None:
        frame_count = round(seconds / speed * BASE_FPS)
        self.frame_count = frame_count
        self.phase = torch.arange(frame_count, dtype=torch.float64) / frame_count
        """Share of the clip that has passed, in [0, 1)."""
        self.time = self.phase * seconds
        """Seconds that have passed at the motion's own pace."""
        self._quats = torch.zeros(frame_count, len(JOINT_NAMES), 4, dtype=torch.float64)
        self._quats[..., 0] = 1.0
        self.rig = NOMINAL_RIG.to(torch.float64)
        self.hip_height = float(-(self.rig.hips + self.rig.thighs + self.rig.shins)[0, 1])
        self.hip_height -= float(self.rig.soles[0, 0, 1])
        """Height of the pelvis over the floor with straight legs [m]."""
        self.pelvis = self.zeros(3)
        """Where the pelvis is, relative to standing straight at the origin [m]."""
        self.foot_position = self.zeros(2, 3)
        """Where the point is that each foot rolls on [m], left first; y is its height."""
        self.foot_yaw = self.zeros(2)
        """Where the toes point [deg], positive to the person's left."""
        self.foot_pitch = self.zeros(2)
        """Heel raised [deg], toes raised when negative."""
        self.foot_roll = self.zeros(2)
        """Outer edge down for the left foot [deg], about the foot's long axis."""
        self.toe_bend = self.zeros(2)
        """Toes bent up [deg]."""
        self.pivot = self.zeros(2)
        """The point each foot rolls on: 0 heel, 1 ball."""
        self.knee_yaw = self.zeros(2)
        """Where the knees point, relative to the pelvis [deg]."""
        self.stand()

    def zeros(self, *shape: int) -> Tensor:
        """Give zeros over time."""
        return torch.zeros(self.frame_count, *shape, dtype=torch.float64)

    def stand(self, *, width: float = 0.1, toe_out: float = 10.0, forward: float = 0.0) -> None:
        """Put both feet flat on the floor, ankles ``width`` [m] either side of the middle."""
        signs = torch.tensor([1.0, -1.0], dtype=torch.float64)
        self.foot_yaw[:] = signs * toe_out
        self.knee_yaw[:] = signs * toe_out * 0.7  # the shin turns a little inside the ankle
        self.pivot[:] = 1.0
        ball = rotation_y(torch.deg2rad(self.foot_yaw)) @ self.rig.soles[:, 1, :, None]
        self.foot_position[:] = ball[..., 0]
        self.foot_position[..., 0] += signs * width
        self.foot_position[..., 1] = 0.0
        self.foot_position[..., 2] += forward

    def step(self, foot: int, start: float, end: float, *, lift: float, roll: float) -> None:
        """Take a foot off the floor between two times [s], heel first, and put it down again.

        The foot rises faster than `curves.ease` starts to travel, so that nothing drags; where
        it goes is the caller's.

        Args:
            foot: 0 left, 1 right.
            start: When it leaves the floor.
            end: When it is back.
            lift: Height of the ball at the top [m].
            roll: Heel lift at the top [deg].
        """
        share = ((self.time - start) / (end - start)).clamp(0.0, 1.0)
        self.foot_position[:, foot, 1] += lift * (4 * share * (1 - share)) ** 1.5
        # The heel comes up first: a leg that leaves the floor straight would snap at the knee.
        early = start - PEEL_SECONDS
        peeled = ((self.time - early) / (end - early)).clamp(0.0, 1.0)
        self.foot_pitch[:, foot] += roll * torch.sin(torch.pi * peeled).square()

    def tiptoe(self, foot: int, rise: Float[Tensor, " t"]) -> None:
        """Lift a heel by ``rise`` [deg] over the ball; toes stay flat as far as they bend."""
        self.foot_pitch[:, foot] += rise
        self.toe_bend[:, foot] += TOE_BEND * torch.tanh(rise.clamp(min=0.0) / TOE_BEND)

    def ankles(self) -> Float[Tensor, "t 2 3"]:
        """Say where the ankles are [m] for the feet as they are placed and turned by now."""
        return self._ankles(*self._foot_turns())

    def carry_feet(self, ankles: Float[Tensor, "t 2 3"]) -> None:
        """Take the feet along with their ankles [m], turned as they are by now."""
        rotation, toes = self._foot_turns()
        self.pivot[:] = 0.0
        self.foot_position[:] = ankles + sole_offsets(self.rig, rotation, toes)[..., 0, :]

    def turn(self, joint: str, *turns: Turn) -> None:
        """Set a joint to the product of ``turns``, outermost first, all in the parent's axes."""
        total = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64).expand(self.frame_count, 4)
        for axis, amount in turns:
            total = multiply_quaternions(total, self._quaternion(axis, amount))
        self._quats[:, JOINT_IDS[joint]] = total

    def add(self, joint: str, *turns: Turn) -> None:
        """Turn a joint further, after what it already does, in the parent's axes."""
        before = self._quats[:, JOINT_IDS[joint]].clone()
        self.turn(joint, *turns)
        after = self._quats[:, JOINT_IDS[joint]]
        self._quats[:, JOINT_IDS[joint]] = multiply_quaternions(after, before)

    def both(self, joint: str, *turns: Turn) -> None:
        """Set the left joint as given and the right one to its mirror image."""
        for side, sign in (("left", 1.0), ("right", -1.0)):
            self.turn(f"{side}_{joint}", *mirrored(turns, sign=sign))

    def blend(self, joint: str, share: Float[Tensor, " t"], *turns: Turn) -> None:
        """Go ``share`` of the way from what the joint does to the product of ``turns``."""
        before = self._quats[:, JOINT_IDS[joint]].clone()
        self.turn(joint, *turns)
        after = self._quats[:, JOINT_IDS[joint]]
        self._quats[:, JOINT_IDS[joint]] = slerp(before, after, share)

    def motion(self, name: str, *, loops: bool) -> Motion:
        """Solve the legs and give the finished motion."""
        pelvis, rotation, feet = self._placed()
        legs = reach(self.rig, pelvis, rotation, feet, start=self._leg_start())
        pose = quaternion_to_axis_angle(self._quats)
        for ids, matrices in (
            (HIPS, legs.hips),
            (KNEES, legs.knees),
            (ANKLES, legs.ankles),
            (TOES, legs.toes),
        ):
            pose[:, list(ids)] = matrix_to_axis_angle(matrices)
        params = rest_params(self.frame_count).with_full_pose(pose.float())
        params.transl.copy_((pelvis - self.rig.pelvis).float())
        return Motion(params=params, fps=BASE_FPS, name=name, loops=loops)

    def _placed(self) -> tuple[Tensor, Tensor, Feet]:
        rotation = quaternion_to_matrix(self._quats[:, 0])
        feet_rotation, toes = self._foot_turns()
        ankles = self._ankles(feet_rotation, toes)
        pelvis = self.pelvis.clone()
        pelvis[:, 1] += self.hip_height
        drop = drop_to_reach(self.rig, pelvis, rotation, ankles)
        pelvis[:, 1] -= soften_drop(drop, round(SETTLE_SECONDS * BASE_FPS), loops=True)
        return pelvis, rotation, Feet(ankles=ankles, rotations=feet_rotation, toes=toes)

    def _ankles(self, rotation: Tensor, toes: Tensor) -> Tensor:
        offsets = sole_offsets(self.rig, rotation, toes)
        heel, ball, _ = (offsets[..., k, :] for k in range(len(SOLE_POINTS)))
        ankles = self.foot_position - torch.lerp(heel, ball, self.pivot[..., None])
        # No part of the sole goes below the floor.
        lowest = (ankles[..., None, 1] + offsets[..., 1]).amin(-1)
        ankles[..., 1] -= lowest.clamp(max=0.0)
        return ankles

    def _foot_turns(self) -> tuple[Tensor, Tensor]:
        yaw, pitch, roll = (
            torch.deg2rad(angle) for angle in (self.foot_yaw, self.foot_pitch, self.foot_roll)
        )
        foot = rotation_y(yaw) @ rotation_x(pitch) @ _rotation_z(roll)
        return foot, rotation_x(-torch.deg2rad(self.toe_bend))

    def _leg_start(self) -> LegPose:
        eye = torch.eye(3, dtype=torch.float64).expand(self.frame_count, 2, 3, 3)
        hips = rotation_y(torch.deg2rad(self.knee_yaw))
        return LegPose(hips=hips, knees=eye, ankles=eye, toes=eye)

    def _quaternion(self, axis: Axis, amount: Amount) -> Tensor:
        vector = self.zeros(3)
        angle = torch.as_tensor(amount, dtype=torch.float64)
        vector[:, "xyz".index(axis)] = torch.deg2rad(angle)
        return axis_angle_to_quaternion(vector)


def mirrored(turns: tuple[Turn, ...], *, sign: float) -> tuple[Turn, ...]:
    """Give ``turns`` for the left side (``sign`` 1) or as the right side does them (-1)."""
    return tuple((axis, amount if axis == "x" else sign * amount) for axis, amount in turns)


def _rotation_z(angle: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 3 3"]:
    c, s = angle.cos(), angle.sin()
    one, zero = torch.ones_like(c), torch.zeros_like(c)
    return torch.stack([c, -s, zero, s, c, zero, zero, zero, one], -1).reshape(*angle.shape, 3, 3)
