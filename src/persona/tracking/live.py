"""Poses while the film runs: every frame is fitted by what was before it, for puppeteering."""

import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.animation.grounding import to_mean_body
from persona.animation.motion_files import write_motion
from persona.body import SmplxBody, load_body
from persona.body.skeleton import LEFT_HAND_JOINTS, RIGHT_HAND_JOINTS
from persona.core.errors import InputError
from persona.core.threads import one_thread
from persona.fitting.terms_priors import rest_pose
from persona.geometry.rotations import matrix_to_axis_angle
from persona.images.clips import Frame
from persona.perception.detectors import Detectors
from persona.records.body_fit import Identity
from persona.records.body_params import rest_params
from persona.records.motion import Motion
from persona.tracking.clip_fit import find_shape
from persona.tracking.evidence import ClipEvidence, gather_evidence
from persona.tracking.faces import FaceReader
from persona.tracking.first_guess import guess_poses
from persona.tracking.following import VISIBLE, checked
from persona.tracking.hands import finger_angles, hand_rest
from persona.tracking.middles import Measured, measured
from persona.tracking.rig import JOINTS, SOLES, Pose, identity_from, pose_rig, rig_of
from persona.tracking.sightings import Sightings
from persona.tracking.smoothness import Smoothness
from persona.tracking.solve import solve_clip
from persona.tracking.watching import sightings_of

MEET: Final = 8
"""Frames from which shape, floor and resting face are known, before the first pose is given."""
WINDOW: Final = 8
"""Frames that are fitted together; the newest is shown."""
HELD: Final = 2
"""The oldest of them, which stay. Were all but the newest held, their errors would be taken for
speed, and what one picture hardly shows, such as how far the trunk leans, would drift on and on."""
STEPS: Final = 2
"""Steps of the solver a frame: it starts from the frame before."""
EASE: Final = 0.5
"""Share of a new frame in fingers and face."""
LATE: Final = 1 / 30
"""A picture of a film that comes later than this is left out [s]."""
LOST: Final = 15
"""Frames without the person after which the next one starts afresh."""


@dataclass(frozen=True, kw_only=True)
class LivePose:
    """The pose of one frame."""

    time: float
    """When the picture was taken, from the start [s]."""
    latency: float
    """From the picture's arrival to now [s]."""
    seen: bool
    """Whether the person was seen; otherwise the last pose is repeated."""
    pose: Float[Tensor, "55 3"]
    """Joint rotations, axis-angle [rad]."""
    transl: Float[Tensor, " 3"]
    """Translation on the person's own bones [m], the floor at y = 0, the start at x = z = 0."""
    expression: Float[Tensor, " e"]
    """Expression coefficients, relative to the first frames' [-]."""
    identity: Identity
    """Whose bones."""

    def line(self) -> str:
        """Write it as one line of JSON."""
        return json.dumps(
            {
                "time": round(self.time, 4),
                "latency_ms": round(1000 * self.latency, 1),
                "seen": self.seen,
                "pose": [[round(v, 4) for v in joint] for joint in self.pose.tolist()],
                "transl": [round(v, 4) for v in self.transl.tolist()],
                "expression": [round(v, 3) for v in self.expression.tolist()],
            }
        )


def live_poses(
    frames: Iterable[Frame],
    *,
    body: SmplxBody | None = None,
    identity: Identity | None = None,
    focal_px: float | None = None,
) -> Iterator[LivePose]:
    """Give a pose for every frame, as soon as it can be known.

    The first `MEET` frames with the person go into shape, floor and resting face.

    Args:
        frames: As they come; what comes late is late.
        body: The body that ``identity`` belongs to; None takes the open body.
        identity: Whose bones, for example an avatar's; None finds them.
        focal_px: Focal length [px]; None assumes one.

    Raises:
        InputError: Nobody came before the film ended.
    """
    body, source = body or load_body(), iter(frames)
    puppet: _Puppet | None = None
    met: list[tuple[float, Measured]] = []
    with Detectors() as detectors, ThreadPoolExecutor(1) as eyes, one_thread():

        def look() -> tuple[Frame, float, Measured | None] | None:
            frame = next(source, None)
            if frame is None:
                return None
            arrived = time.monotonic()
            seen = detectors.follow(frame.picture)
            visible = seen is not None and seen.core_visibility >= VISIBLE
            return frame, arrived, measured(checked(seen)) if seen is not None and visible else None

        # The next frame is looked at while this one is fitted.
        ahead = eyes.submit(look)
        while (looked := ahead.result()) is not None:
            frame, arrived, seen = looked
            ahead = eyes.submit(look)
            size = (frame.picture.shape[1], frame.picture.shape[0])
            if puppet is None:
                met += [] if seen is None else [(frame.time, seen)]
                if len(met) == MEET:
                    puppet = _Puppet(body, met, size, identity, focal_px)
                continue
            puppet.move(seen, frame.time)
            yield puppet.shown(frame.time, time.monotonic() - arrived, seen=seen is not None)
    if puppet is None:
        raise InputError(
            "nobody was found",
            why=f"{len(met)} frames showed a person; shape and floor are known from {MEET}",
            fix="stand in the picture from head to feet",
        )


class _Puppet:
    """The state between frames."""

    def __init__(
        self,
        body: SmplxBody,
        met: list[tuple[float, Measured]],
        size: tuple[int, int],
        identity: Identity | None,
        focal_px: float | None,
    ) -> None:
        self._body, self._size, self._focal = body, size, focal_px
        times, glimpses = [when for when, _ in met], [seen for _, seen in met]
        first = sightings_of(glimpses, times, size)
        evidence = gather_evidence(first, focal_px=focal_px)
        self._identity = identity or identity_from(body, find_shape(body, evidence))
        self._rig = rig_of(body, self._identity)
        start = guess_poses(body, self._rig, evidence)
        smoothness = Smoothness.of(evidence.times, evidence.shots)
        settled = solve_clip(self._rig, evidence, start, smoothness=smoothness).pose
        soles = pose_rig(self._rig, settled).points[:, SOLES]
        self._floor = float(soles[..., 1].amin(1).median())
        self._origin = settled.shift[-1] + self._rig.joints[0]
        self._reader = FaceReader(body)
        self._hands = {side: hand_rest(body, side) for side in ("left", "right")}
        self._past: list[tuple[float, Pose, ClipEvidence]] = [
            (when, settled.pick(slice(k, k + 1)), evidence.pick(slice(k, k + 1)))
            for k, when in enumerate(times)
        ]
        self._last = settled.pick(slice(-1, None))
        self._missing = 0
        self._pose = rest_pose().double()
        self._units = torch.zeros(1, self._reader.width + 1, dtype=torch.float64)
        self._gaze = torch.zeros(1, 2, dtype=torch.float64)
        faces = first.face[first.face_seen]
        self._own = self._reader.in_head(faces).median(0).values if len(faces) else None

    def move(self, seen: Measured | None, when: float) -> None:
        """Take the next frame in."""
        if seen is None:
            self._missing += 1
            return
        sightings = sightings_of([seen], [when], self._size)
        evidence = gather_evidence(sightings, focal_px=self._focal)
        start = self._last
        if self._missing > LOST:
            self._past, start = [], guess_poses(self._body, self._rig, evidence)
        self._missing = 0
        self._past = [*self._past[1 - WINDOW :], (when, start, evidence)]
        poses = [pose for _, pose, _ in self._past]
        held = torch.arange(len(poses)) < (HELD if len(poses) == WINDOW else 0)
        times = torch.tensor([t for t, _, _ in self._past], dtype=torch.float64)
        fit = solve_clip(
            self._rig,
            ClipEvidence.joined([one for _, _, one in self._past]),
            Pose(torch.cat([p.turns for p in poses]), torch.cat([p.shift for p in poses])),
            smoothness=Smoothness.of(times, torch.zeros(len(times), dtype=torch.int64)),
            held=held,
            iterations=STEPS,
        )
        self._past = [
            (t, fit.pose.pick(slice(k, k + 1)), one) for k, (t, _, one) in enumerate(self._past)
        ]
        self._last = self._past[-1][1]
        self._pose[:JOINTS] = matrix_to_axis_angle(self._last.turns[0])
        self._detail(sightings)

    def _detail(self, sightings: Sightings) -> None:
        """Ease fingers and face towards what this frame shows."""
        for side, joints in (("left", LEFT_HAND_JOINTS), ("right", RIGHT_HAND_JOINTS)):
            span = slice(joints.start, joints.stop)
            goal = rest_pose()[span].double()
            if bool(getattr(sightings, f"{side}_seen")):
                points = getattr(sightings, f"{side}_hand").double()
                goal = finger_angles(
                    self._hands[side], points * points.new_tensor([1.0, -1.0, -1.0])
                )[0]
            self._pose[span] = torch.lerp(self._pose[span], goal, EASE)
        if self._own is None or not bool(sightings.face_seen):
            return
        moved = self._reader.in_head(sightings.face) - self._own
        self._units = torch.lerp(self._units, self._reader.units(moved), EASE)
        self._gaze = torch.lerp(self._gaze, self._reader.gaze(moved), EASE)

    def shown(self, when: float, latency: float, *, seen: bool) -> LivePose:
        """Give the pose as it is now."""
        face = self._reader.motion(self._units, self._gaze)
        pose = self._pose.clone()
        pose[JOINTS], pose[JOINTS + 1], pose[JOINTS + 2] = face.jaw[0], face.gaze[0], face.gaze[0]
        place = self._last.shift[0].clone()
        place = place - place.new_tensor(
            [float(self._origin[0]), self._floor, float(self._origin[2])]
        )
        return LivePose(
            time=when,
            latency=latency,
            seen=seen,
            pose=pose.float(),
            transl=place.float(),
            expression=face.expression[0].float(),
            identity=self._identity,
        )


def paced(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Play a film at its own pace, as a camera would: what comes too late is left out."""
    start = time.monotonic()
    for frame in frames:
        ahead = frame.time - (time.monotonic() - start)
        if ahead > 0:
            time.sleep(ahead)
        elif ahead < -LATE:
            continue
        yield frame


def write_live(poses: list[LivePose], path: Path, *, body: SmplxBody, name: str) -> None:
    """Write what was played as a motion at its mean rate; feet are not held.

    Args:
        poses: In order.
        path: An npz.
        body: The body that the poses' identity belongs to.
        name: What to call the source in messages.

    Raises:
        InputError: There is nothing to write.
    """
    if len(poses) < 2:
        raise InputError(
            f"{name} gave {len(poses)} poses",
            why="a motion has at least two",
            fix="stay in the picture for a second, head to feet",
        )
    params = rest_params(len(poses)).with_full_pose(torch.stack([one.pose for one in poses]))
    params.transl[:] = torch.stack([one.transl for one in poses])
    span = poses[-1].time - poses[0].time
    motion = Motion(params=params, fps=(len(poses) - 1) / span, name=path.stem)
    standing: Bool[Tensor, "t 2 3"] = torch.zeros(len(poses), 2, 3, dtype=torch.bool)
    write_motion(to_mean_body(motion, body, poses[0].identity, standing), path)
