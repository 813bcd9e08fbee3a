"""Poses while a film runs: from a scripted detector they are the ones that were filmed."""

import json

import numpy as np
import pytest
import torch

from persona.animation.exchange import open_motion
from persona.body.skeleton import JOINT_IDS
from persona.core.errors import InputError
from persona.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from persona.images.clips import Frame
from persona.perception.detectors import Sighting
from persona.tracking import live
from persona.tracking.live import MEET, live_poses, paced, write_live
from tests.tracking.conftest import FOCAL, HEIGHT, WIDTH

PICTURE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)


def glimpses(film):
    """What the detector says in every frame of a synthetic film."""
    seen = film.sightings
    return [
        Sighting(
            body=seen.body[k].numpy(),
            visibility=seen.visibility[k].numpy(),
            world=seen.world[k].numpy(),
            face=None,
            left_hand=None,
            right_hand=None,
            mask=np.zeros((HEIGHT, WIDTH), np.float32),
        )
        for k in range(len(seen.times))
    ]


@pytest.fixture
def watched(monkeypatch):
    """Let the detector say what is in a list, frame by frame."""
    script = []

    class Scripted:
        def __enter__(self):
            self._left = iter(script)
            return self

        def __exit__(self, *_):
            return None

        def follow(self, picture):
            return next(self._left)

    monkeypatch.setattr(live, "Detectors", Scripted)
    return script


def frames(count, fps=30.0):
    return [Frame(PICTURE, k / fps) for k in range(count)]


def turn_off(poses, film, joints):
    """Median angle between given and true rotations [deg]."""
    first = len(film.sightings.times) - len(poses)
    true = axis_angle_to_matrix(film.motion.params.full_pose[first:, joints])
    ours = axis_angle_to_matrix(torch.stack([pose.pose for pose in poses])[:, joints])
    return float(torch.rad2deg(matrix_to_axis_angle(ours.mT @ true).norm(dim=-1)).median())


def test_poses_are_those_that_were_filmed(watched, body, squat):
    watched[:] = glimpses(squat)
    poses = list(live_poses(frames(len(watched)), body=body, focal_px=FOCAL))
    assert len(poses) == len(watched) - MEET
    assert all(pose.seen and pose.latency >= 0 for pose in poses)
    names = ("left_hip", "right_hip", "left_knee", "right_knee", "left_shoulder", "right_shoulder")
    assert turn_off(poses, squat, [JOINT_IDS[name] for name in names]) < 12
    # A squat goes down and comes up again.
    down = torch.stack([pose.transl[1] for pose in poses])
    true = squat.motion.params.transl[MEET:, 1]
    assert torch.corrcoef(torch.stack([down, true]))[0, 1] > 0.95


def test_who_is_lost_keeps_their_pose_and_comes_back(watched, body, squat):
    script = glimpses(squat)
    script[20:40] = [None] * 20
    watched[:] = script
    poses = list(live_poses(frames(len(script)), body=body, focal_px=FOCAL))
    assert [pose.seen for pose in poses] == [seen is not None for seen in script[MEET:]]
    gap = poses[20 - MEET : 40 - MEET]
    assert all(torch.equal(pose.pose, poses[19 - MEET].pose) for pose in gap)
    back = poses[45 - MEET :]
    knees = [JOINT_IDS["left_knee"], JOINT_IDS["right_knee"]]
    assert turn_off(back, squat, knees) < 12


def test_nobody_is_said_so(watched, body):
    watched[:] = [None] * 12
    with pytest.raises(InputError, match="nobody was found"):
        list(live_poses(frames(12), body=body))


def test_a_line_is_json(watched, body, squat):
    watched[:] = glimpses(squat)[: MEET + 1]
    (pose,) = live_poses(frames(MEET + 1), body=body)
    said = json.loads(pose.line())
    assert len(said["pose"]) == 55
    assert said["time"] == pytest.approx(MEET / 30, abs=1e-3)
    assert said["seen"] is True


def test_what_was_played_is_a_motion(watched, body, squat, tmp_path):
    watched[:] = glimpses(squat)
    poses = list(live_poses(frames(len(watched)), body=body))
    path = tmp_path / "played.npz"
    write_live(poses, path, body=body, name="camera 0")
    found = open_motion(path).motion
    assert found.frame_count == len(poses)
    assert found.fps == pytest.approx(30, rel=1e-3)
    with pytest.raises(InputError, match="camera 0 gave 1 poses"):
        write_live(poses[:1], path, body=body, name="camera 0")


def test_a_film_at_its_own_pace_leaves_late_pictures_out(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(live.time, "sleep", lambda wait: clock.__setitem__(0, clock[0] + wait))
    shown = []
    for frame in paced(frames(12)):
        shown.append(round(frame.time * 30))
        clock[0] += 0.1  # Three frames' time for each.
    assert shown == [0, 3, 6, 9]
