"""Video -> Track: a person's motion on a level floor, with bones, camera and confidence."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from persona.animation.grounding import to_mean_body
from persona.animation.resampling import sample
from persona.body import SmplxBody
from persona.core.progress import current
from persona.core.threads import one_thread
from persona.geometry.rotations import matrix_to_axis_angle, rotation_between
from persona.images.clips import Frame
from persona.records.body_fit import Identity
from persona.records.body_params import BodyParams
from persona.records.motion import Motion
from persona.tracking.clip_fit import ClipBody, fit_clip
from persona.tracking.confidence import PARTS, part_confidence
from persona.tracking.faces import fit_face_motion
from persona.tracking.hands import fit_fingers
from persona.tracking.rig import JOINTS
from persona.tracking.sightings import Sightings
from persona.tracking.smoothness import Smoothness
from persona.tracking.watching import Camera, watch

EVEN: Final = 0.02
"""Frames this nearly even in time are even."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """One person's motion in a clip; all series have the frames of ``motion``."""

    motion: Motion
    """As the mean body does it, as motions in files are; the floor is at y = 0."""
    own: Motion
    """The same on the person's own bones, where the person was."""
    identity: Identity
    """Those bones."""
    standing: Bool[Tensor, "t 2 3"]
    """Whether heel, ball and toe of the left foot, then of the right, stand."""
    confidence: Float[Tensor, "t p"]
    """How sure each of `confidence.PARTS` is, 0 to 1."""
    seen: Bool[Tensor, " t"]
    """Whether the person was found."""
    shots: Int[Tensor, " t"]
    """Number of the shot."""
    times: Float[Tensor, " t"]
    """When, in the clip [s]."""
    T_camera_world: Float[Tensor, "t 4 4"]
    """Takes the world of ``own`` to the camera (x right, y down, z forward) [m]."""
    focal_px: float
    """Focal length, given or assumed."""
    size: tuple[int, int]
    """Width and height of the pictures [px]."""
    camera: Camera
    """Whether it moved."""
    facts: dict[str, str]
    """What was found, in words."""


def track_frames(
    body: SmplxBody,
    frames: Iterable[Frame],
    *,
    name: str,
    person: int | None = None,
    identity: Identity | None = None,
    focal_px: float | None = None,
) -> Track:
    """Track one person through a clip.

    Args:
        body: The body file.
        frames: The clip.
        name: What to call it.
        person: Counted from the left from 1; None insists that there is only one.
        identity: Whose bones, for example an avatar's; None finds those of the person.
        focal_px: Focal length [px]; None assumes one.

    Raises:
        InputError: Nobody is in it, only a head is, or several people are and none was picked.
    """
    sightings, camera = watch(frames, person=person, name=name, focal_px=focal_px)
    with current().stage("fit"), one_thread():
        fit = fit_clip(body, sightings, identity=identity, focal_px=focal_px)
        return track_from(body, fit, camera, name=name)


def track_from(body: SmplxBody, fit: ClipBody, camera: Camera, *, name: str) -> Track:
    """Put a fitted clip on the floor, at an even rate."""
    sightings = fit.sightings
    params, places = _on_the_floor(body, fit)
    fps, lookup = _evenly(sightings)
    nearest = lookup.round().long()
    own = Motion(params=sample(params, lookup), fps=fps, name=name)
    standing, shots = fit.ground.standing[nearest], sightings.shots[nearest]
    parts = [
        to_mean_body(_cut(own, shots == shot), body, fit.identity, standing[shots == shot])
        for shot in shots.unique().tolist()
    ]
    return Track(
        motion=replace(own, params=_joined([part.params for part in parts])),
        own=own,
        identity=fit.identity,
        standing=standing,
        confidence=part_confidence(fit)[nearest],
        seen=sightings.seen[nearest],
        shots=shots,
        times=sightings.times[0] + torch.arange(len(lookup)).double() / fps,
        T_camera_world=places[nearest],
        focal_px=fit.evidence.scene.focal_px,
        size=sightings.size,
        camera=camera,
        facts=_facts(fit, camera, fps),
    )


def _on_the_floor(body: SmplxBody, fit: ClipBody) -> tuple[BodyParams, Float[Tensor, "t 4 4"]]:
    """Turn every shot upright with its floor at y = 0 and its first pelvis over the origin."""
    posed, ground = fit.posed(), fit.ground
    count = len(posed.centers)
    level = rotation_between(ground.up, torch.tensor([0.0, 1.0, 0.0]).double().expand(count, 3))
    pelvis = (level @ posed.centers[:, 0, :, None])[..., 0]
    shots = fit.evidence.shots
    shift = torch.zeros(count, 3, dtype=torch.float64)
    for shot in shots.unique().tolist():
        frames = shots == shot
        first = pelvis[frames][0]
        shift[frames] = torch.stack([-first[0], first.new_zeros(()), -first[2]])
    shift[:, 1] = -ground.height
    turns = fit.pose.turns.clone()
    turns[:, 0] = level @ turns[:, 0]
    camera = fit.evidence.scene.turn @ level.mT
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0]).double())
    places = torch.eye(4).double().repeat(count, 1, 1)
    places[:, :3, :3] = flip @ camera
    places[:, :3, 3] = -(flip @ camera @ shift[..., None])[..., 0]
    params = _params(body, fit, turns, pelvis + shift - fit.rig.joints[0])
    return params, places.float()


def _params(
    body: SmplxBody, fit: ClipBody, turns: Float[Tensor, "t 22 3 3"], transl: Float[Tensor, "t 3"]
) -> BodyParams:
    """Gather body, fingers and face."""
    smoothness = Smoothness.of(fit.evidence.times, fit.evidence.shots)
    face = fit_face_motion(body, fit.sightings, smoothness)
    hands = [fit_fingers(body, fit.sightings, side, smoothness) for side in ("left", "right")]
    count = len(turns)
    return BodyParams(
        betas=fit.identity.betas.expand(count, -1),
        expression=face.expression.float(),
        global_orient=matrix_to_axis_angle(turns[:, 0]).float(),
        body_pose=matrix_to_axis_angle(turns[:, 1:JOINTS]).float(),
        jaw_pose=face.jaw.float(),
        leye_pose=face.gaze.float(),
        reye_pose=face.gaze.float(),
        left_hand_pose=hands[0].float(),
        right_hand_pose=hands[1].float(),
        transl=transl.float(),
    )


def _evenly(sightings: Sightings) -> tuple[float, Float[Tensor, " n"]]:
    """Choose the clip's usual rate, and say which fractional frame to show when.

    Between two shots nothing is mixed: the nearer frame is shown.
    """
    times = sightings.times
    if len(times) < 2:
        return 30.0, torch.zeros(len(times), dtype=torch.float64)
    steps = times[1:] - times[:-1]
    usual = float(steps.median())
    if bool(((steps - usual).abs() < EVEN * usual).all()):
        rate = (len(times) - 1) / float(times[-1] - times[0])
        return rate, torch.arange(len(times)).double()
    wanted = torch.arange(int(float(times[-1] - times[0]) / usual + 1e-6) + 1).double() * usual
    wanted = wanted + times[0]
    before = (torch.searchsorted(times, wanted, right=True) - 1).clamp(0, len(times) - 2)
    share = ((wanted - times[before]) / steps[before]).clamp(0, 1)
    across = sightings.shots[before] != sightings.shots[before + 1]
    share = torch.where(across, share.round(), share)
    return 1 / usual, before + share


def _cut(motion: Motion, frames: Bool[Tensor, " t"]) -> Motion:
    params = motion.params
    return replace(
        motion,
        params=replace(params, **{f.name: getattr(params, f.name)[frames] for f in fields(params)}),
    )


def _joined(parts: list[BodyParams]) -> BodyParams:
    names = [f.name for f in fields(BodyParams)]
    return BodyParams(
        **{name: torch.cat([getattr(part, name) for part in parts]) for name in names}
    )


def _facts(fit: ClipBody, camera: Camera, fps: float) -> dict[str, str]:
    """Say what was found, for people."""
    seen, standing = fit.sightings.seen, fit.ground.standing
    shots = int(fit.evidence.shots.unique().numel())
    sure = part_confidence(fit).mean(0)
    weak = [f"{name} {float(c):.2f}" for name, c in zip(PARTS, sure, strict=True) if c < 0.5]
    facts = {
        "fps": f"{fps:.4g}",
        "seen": f"in {100 * float(seen.double().mean()):.0f} % of the frames from "
        f"{float(fit.evidence.times[0]):.2f} s to {float(fit.evidence.times[-1]):.2f} s",
        "shots": str(shots),
        "camera": camera.said,
        "standing": f"{100 * float(standing.any(-1).any(-1).double().mean()):.0f} % of the frames",
        "less_sure_of": ", ".join(weak) or "nothing",
    }
    if bool(fit.swapped.any()):
        facts["mended"] = f"left and right exchanged in {int(fit.swapped.sum())} frames"
    return facts
