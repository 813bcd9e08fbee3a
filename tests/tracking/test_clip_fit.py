"""A known motion comes back from noisy landmarks: joints, floor, standing feet, calm."""

from dataclasses import replace

import pytest
import torch

from persona.geometry.rotations import axis_angle_to_matrix
from persona.tracking import clip_fit
from persona.tracking.clip_fit import fit_clip, solve_windows
from persona.tracking.first_guess import guess_poses
from persona.tracking.rig import SOLES, identity_from, pose_rig, shape_size
from persona.tracking.smoothness import Smoothness
from persona.tracking.solve import solve_clip
from persona.tracking.track import track_from
from persona.tracking.watching import Camera


@pytest.fixture(scope="module")
def fitted(body, squat):
    return fit_clip(body, squat.sightings)


STILL = Camera(moving=False, said="still")


def centred(joints):
    return joints - joints[:, :1]


def test_joints_come_back(fitted, squat):
    found = fitted.posed().centers
    miss = (centred(found) - centred(squat.joints)).norm(dim=-1)
    assert float(miss.median()) < 0.05
    away = (found[:, 0] - squat.joints[:, 0]).norm(dim=-1)
    # Size and distance cannot be told apart by one camera.
    assert float(away.median()) < 0.06 * 4


def test_an_avatars_bones_are_kept(body, squat):
    identity = identity_from(body, torch.zeros(shape_size(body)).double())
    fit = fit_clip(body, squat.sightings, identity=identity)
    assert fit.identity is identity
    miss = (fit.posed().centers - squat.joints).norm(dim=-1)
    assert float(miss.median()) < 0.10


def test_the_whole_clip_is_calmer_than_its_frames(body, fitted):
    fit = fitted
    alone = Smoothness.of(fit.evidence.times, fit.evidence.shots, strength=0.0)
    raw = solve_windows(fit.rig, fit.evidence, guess_poses(body, fit.rig, fit.evidence), alone)

    def jolt(pose):
        joints = pose_rig(fit.rig, pose).centers
        return float((joints[2:] - 2 * joints[1:-1] + joints[:-2]).norm(dim=-1).median())

    assert jolt(fit.pose) < jolt(raw) / 3


def test_feet_of_a_squat_stand_on_the_floor(fitted):
    fit = fitted
    standing = fit.ground.standing.flatten(1)
    assert float(standing.double().mean()) > 0.8
    soles = fit.posed().points[:, SOLES]
    both = standing[1:] & standing[:-1]
    slide = (soles[1:] - soles[:-1]).norm(dim=-1)[both]
    assert float(slide.median()) < 0.003
    tilt = torch.acos(fit.ground.up[0, 1].clamp(-1, 1))
    assert float(torch.rad2deg(tilt)) < 6


def test_swinging_feet_do_not_stand(body, walk, fitted):
    fit = fit_clip(body, walk.sightings, identity=fitted.identity)
    miss = (centred(fit.posed().centers) - centred(walk.joints)).norm(dim=-1)
    assert float(miss.median()) < 0.05
    share = fit.ground.standing.any(-1).double().mean(0)
    assert bool((share > 0.3).all())
    assert bool((share < 0.95).all())


def test_a_track_stands_on_level_ground(body, squat, fitted):
    fit = fitted
    track = track_from(body, fit, STILL, name="squat")
    assert track.motion.frame_count == squat.motion.frame_count
    assert abs(track.motion.fps - 30) < 1e-6
    posed = body.forward(track.motion.params, with_pose_correctives=False)
    lowest = posed.vertices[..., 1].amin(1)
    assert float(lowest.abs().max()) < 0.03
    # The camera sees the person's own bones where the detector saw them.
    own = body.forward(
        track.own.params, joint_offsets=track.identity.joint_offsets, with_pose_correctives=False
    )
    rotation, shift = track.T_camera_world[0, :3, :3], track.T_camera_world[0, :3, 3]
    seen = own.joints[0] @ rotation.T + shift
    expected = fit.posed().centers[0].float() * torch.tensor([1.0, -1.0, -1.0])
    torch.testing.assert_close(seen[:22], expected, atol=1e-3, rtol=0)
    assert float(track.confidence[:, :8].min()) > 0.3
    assert float(track.confidence[:, 8:].max()) == 0


def test_a_pause_of_sight_is_bridged(body, squat, fitted):
    hidden = squat.sightings.seen.clone()
    hidden[20:30] = False
    sightings = replace(squat.sightings, seen=hidden)
    fit = fit_clip(body, sightings, identity=fitted.identity)
    miss = (centred(fit.posed().centers) - centred(squat.joints)).norm(dim=-1)
    assert float(miss[20:30].median()) < 0.10
    track = track_from(body, fit, STILL, name="gap")
    assert float(track.confidence[20:30].max()) == 0


def test_nothing_is_smoothed_across_a_cut(body, squat, fitted):
    shots = torch.zeros_like(squat.sightings.shots)
    shots[30:] = 1
    order = torch.cat([torch.arange(30), torch.arange(30).flip(0)])
    film = replace(squat.sightings.pick(order), times=squat.sightings.times, shots=shots)
    fit = fit_clip(body, film, identity=fitted.identity)
    whole = fit.posed().centers
    alone = fit_clip(body, film.pick(slice(0, 30)), identity=fit.identity).posed().centers
    torch.testing.assert_close(whole[:30], alone, atol=0.02, rtol=0)
    links = Smoothness.of(film.times, film.shots)
    assert not bool(links.linked[29])


def test_uneven_times_become_an_even_motion(body, squat, fitted):
    keep = torch.tensor([k for k in range(60) if k % 4 != 1])
    fit = fit_clip(body, squat.sightings.pick(keep), identity=fitted.identity)
    track = track_from(body, fit, STILL, name="uneven")
    assert abs(track.motion.fps - 30) < 0.1
    span = float(squat.sightings.times[keep[-1]])
    assert abs((track.motion.frame_count - 1) / track.motion.fps - span) < 0.07


def test_windows_meet_smoothly(body, squat, fitted, monkeypatch):
    monkeypatch.setattr(clip_fit, "WINDOW", 24)
    monkeypatch.setattr(clip_fit, "OVERLAP", 12)
    monkeypatch.setattr(clip_fit, "SETTLED", 6)
    parts = fit_clip(body, squat.sightings, identity=fitted.identity).posed().centers
    whole = fitted.posed().centers
    second = (parts[2:] - 2 * parts[1:-1] + parts[:-2]).norm(dim=-1)
    smooth = (whole[2:] - 2 * whole[1:-1] + whole[:-2]).norm(dim=-1)
    assert float(second.max()) < 3 * float(smooth.max()) + 0.002
    assert float((parts - whole).norm(dim=-1).median()) < 0.03


def test_a_turning_camera_is_taken_out(body, squat, fitted):
    film = squat.sightings
    angles = torch.linspace(0, 0.15, film.count)
    about = torch.stack([0 * angles, angles, 0 * angles], -1)
    turn = axis_angle_to_matrix(about).double()
    local = torch.stack(
        [(film.body[..., 0] - 360) / 1280, -(film.body[..., 1] - 640) / 1280], -1
    ).double()
    rays = torch.cat([local, -torch.ones_like(local[..., :1])], -1) @ turn.mT
    seen = torch.stack(
        [360 - 1280 * rays[..., 0] / rays[..., 2], 640 + 1280 * rays[..., 1] / rays[..., 2]], -1
    )
    moving = replace(film, body=seen.float(), camera_turn=turn)
    fit = fit_clip(body, moving, identity=fitted.identity)
    miss = (centred(fit.posed().centers) - centred(squat.joints)).norm(dim=-1)
    assert float(miss.median()) < 0.05
    drift = fit.posed().centers[-1, 0] - fit.posed().centers[0, 0]
    true = squat.joints[-1, 0] - squat.joints[0, 0]
    # Along the line of sight one camera knows less.
    assert float((drift - true)[:2].norm()) < 0.04


def test_a_fit_of_one_frame_runs(body, squat, fitted):
    fit = fit_clip(body, squat.sightings.pick(slice(0, 1)), identity=fitted.identity)
    assert fit.pose.shift.shape == (1, 3)
    found = solve_clip(
        fit.rig,
        fit.evidence,
        fit.pose,
        smoothness=Smoothness.of(fit.evidence.times, fit.evidence.shots),
    )
    assert found.iterations >= 1
