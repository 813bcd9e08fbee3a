"""A motion to learn from: no sense in it, but much of what a body can do, at many speeds."""

import math
from dataclasses import replace
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.body.skeleton import JOINT_IDS
from persona.core.errors import InputError
from persona.core.seeds import Seeds
from persona.geometry.rotations import (
    axis_angle_to_matrix,
    axis_angle_to_quaternion,
    matrix_to_axis_angle,
    quaternion_to_axis_angle,
    slerp,
)
from persona.records.body_params import rest_params
from persona.records.motion import Motion

HOLD_SECONDS: Final = (0.3, 1.1)
"""From one posture to the next takes between these [s]; cloth must learn haste and patience."""
CHANGES: Final = 0.75
"""Chance that a limb goes elsewhere with the next posture; else it rests, and others move alone."""
LONGEST_SECONDS: Final = 600.0
"""More is asked for by mistake."""

RANGES: Final[dict[str, tuple[tuple[float, float], ...]]] = {
    "spine": ((-10, 30), (-20, 20), (-12, 12)),
    "neck": ((-20, 20), (-30, 30), (-10, 10)),
    "hip": ((-120, 25), (-35, 35), (-15, 45)),
    "knee": ((0, 130), (0, 0), (0, 0)),
    "ankle": ((-20, 35), (0, 0), (-10, 10)),
    "collar": ((-5, 5), (-10, 10), (-5, 18)),
    "shoulder": ((-45, 45), (-95, 35), (-75, 75)),
    "elbow": ((-30, 30), (-130, 0), (0, 0)),
    "wrist": ((-30, 30), (-20, 20), (-50, 50)),
}
"""Turns about x, y and z of left and middle joints [deg]; right ones are mirrored. A little less
than `skeleton.joint_limits`, and no arm goes into the chest."""
CALM: Final[dict[str, float]] = {"hip": 1.8, "knee": 2.2, "spine": 1.3, "shoulder": 1.2}
"""How much oftener small turns are than large ones: an exponent on the way through the range."""
LIMBS: Final = (
    ("spine1", "spine2", "spine3"),
    ("neck", "head"),
    ("left_hip", "left_knee", "left_ankle"),
    ("right_hip", "right_knee", "right_ankle"),
    ("left_collar", "left_shoulder", "left_elbow", "left_wrist"),
    ("right_collar", "right_shoulder", "right_elbow", "right_wrist"),
)
"""What goes elsewhere together."""
TURN: Final = 110.0
"""Most that the whole body turns from one posture to the next [deg]."""
LEAN: Final = (35.0, 20.0)
"""Most that it leans to the front or back, and to a side [deg]."""
STEP: Final = (0.35, 0.12, 0.35)
"""Most that the pelvis moves from one posture to the next, along x, y and z [m]."""


def wander(seconds: float, *, fps: float, seed: int = 0) -> Motion:
    """Compose a motion that goes through the ranges of all joints, a new posture about every 0.7 s.

    Not for looking at: feet slide and hang in the air, which cloth does not mind. It begins and
    ends standing at ease.

    Args:
        seconds: Length [s].
        fps: Frames a second.
        seed: Same seed, same motion.

    Raises:
        InputError: The length or the rate makes no sense.
    """
    if not (0 < seconds <= LONGEST_SECONDS and 1 <= fps <= 240):
        raise InputError(
            f"{seconds} s of wandering at {fps} frames a second were asked for",
            why=f"it takes up to {LONGEST_SECONDS:g} s at 1 to 240 frames a second",
            fix="twenty seconds at 30 teach a coat to move",
        )
    generator = Seeds(seed).torch("wander")
    times, poses, places = [0.0], [_at_ease()], [torch.zeros(3)]
    facing = 0.0
    while times[-1] < seconds:
        low, high = HOLD_SECONDS
        times.append(times[-1] + low + (high - low) * float(_rand(generator)))
        pose = _elsewhere(poses[-1], generator)
        facing += math.radians(TURN) * (2 * float(_rand(generator)) - 1)
        pose[0] = _root(facing, generator)
        poses.append(pose)
        places.append((2 * torch.rand(3, generator=generator) - 1) * torch.tensor(STEP))
    poses[-1] = _at_ease()
    return _played(torch.tensor(times), torch.stack(poses), torch.stack(places), seconds, fps)


def _played(
    times: Float[Tensor, " k"],
    poses: Float[Tensor, "k 55 3"],
    places: Float[Tensor, "k 3"],
    seconds: float,
    fps: float,
) -> Motion:
    """Go from posture to posture; eased, so that each begins and ends at rest."""
    frames = torch.arange(max(2, round(seconds * fps))) / fps
    after = torch.searchsorted(times, frames, right=True).clamp(1, len(times) - 1)
    share = (frames - times[after - 1]) / (times[after] - times[after - 1])
    share = share.clamp(0, 1)
    eased = share * share * (3 - 2 * share)
    quats = axis_angle_to_quaternion(poses)
    turned = slerp(quats[after - 1], quats[after], eased[:, None].expand(-1, 55))
    params = rest_params(len(frames)).with_full_pose(quaternion_to_axis_angle(turned))
    transl = torch.lerp(places[after - 1], places[after], eased[:, None])
    return Motion(params=replace(params, transl=transl), fps=fps, name="wander")


def _elsewhere(pose: Float[Tensor, "55 3"], generator: torch.Generator) -> Float[Tensor, "55 3"]:
    """Move some limbs to somewhere in their range."""
    pose = pose.clone()
    for limb in LIMBS:
        if float(_rand(generator)) > CHANGES:
            continue
        for name in limb:
            pose[JOINT_IDS[name]] = _turn(name, generator)
    return pose


def _turn(name: str, generator: torch.Generator) -> Float[Tensor, " 3"]:
    bare = name.removeprefix("left_").removeprefix("right_").rstrip("123")
    kind = "neck" if bare == "head" else bare
    low, high = (torch.tensor(side) for side in zip(*RANGES[kind], strict=True))
    # Away from rest to either end of the range, in proportion to how far each end is.
    way = torch.rand(3, generator=generator)
    far = torch.rand(3, generator=generator) ** CALM.get(kind, 1.0)
    up = way < high / (high - low).clamp(min=1e-6)
    angles = torch.deg2rad(far * torch.where(up, high, low))
    if kind == "shoulder":
        # The T-pose is nobody's rest: an arm is anywhere from hanging to overhead, about z.
        angles[2] = torch.deg2rad(torch.tensor(-75.0 + 150.0 * float(way[2]) ** 1.5))
    if name.startswith("right_"):
        angles = angles * torch.tensor([1.0, -1.0, -1.0])
    return angles


def _root(facing: float, generator: torch.Generator) -> Float[Tensor, " 3"]:
    lean = (2 * torch.rand(2, generator=generator) - 1) * torch.deg2rad(torch.tensor(LEAN))
    turn = axis_angle_to_matrix(torch.tensor([0.0, facing, 0.0]))
    tilt = axis_angle_to_matrix(torch.stack([lean[0], torch.zeros(()), lean[1]]))
    return matrix_to_axis_angle(turn @ tilt)


def _at_ease() -> Float[Tensor, "55 3"]:
    """Stand with hanging arms."""
    pose = torch.zeros(55, 3)
    for side, sign in (("left", -1.0), ("right", 1.0)):
        pose[JOINT_IDS[f"{side}_shoulder"], 2] = sign * math.radians(65.0)
    return pose


def _rand(generator: torch.Generator) -> Tensor:
    return torch.rand((), generator=generator)
