"""VMC's numbers become the right pose: golden packets, byte by byte."""

import contextlib
import socket
import struct
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from persona.body.skeleton import JOINT_IDS
from persona.core.errors import InputError
from persona.records.body_params import rest_params
from persona.serving.app import Rooms
from persona.serving.hub import Hub
from persona.serving.schema import SentPose, unpack_pose
from persona.serving.sending import live_address
from persona.serving.stature import stature_of
from persona.serving.vmc import (
    Puppeteer,
    flip_place,
    flip_turn,
    hear_vmc,
    read_packet,
    vmc_ear,
    vmc_packet,
)
from persona.serving.vrm_names import BONES, PRESETS
from tests.serving.conftest import start

HALF = 0.70710678


def golden(name: bytes, *numbers: float) -> bytes:
    """One bone's message as it goes over the wire, written out."""
    padded = name + b"\0" * (4 - len(name) % 4)
    return b"/VMC/Ext/Bone/Pos\0\0\0" + b",sfffffff\0\0\0" + padded + struct.pack(">7f", *numbers)


@pytest.fixture(scope="module")
def stature(avatar):
    return stature_of(avatar)


@pytest.fixture
def puppeteer(stature):
    return Puppeteer(stature)


def play(puppeteer, *packets: bytes) -> SentPose:
    for packet in packets:
        for address, params in read_packet(packet):
            puppeteer.take(address, params)
    return puppeteer.pose()


def wrist(avatar, pose: SentPose, side: str) -> np.ndarray:
    params = rest_params().with_full_pose(torch.from_numpy(pose.rotations))
    joints = avatar.body.forward(params).joints
    return (joints[JOINT_IDS[f"{side}_wrist"]] - joints[JOINT_IDS[f"{side}_shoulder"]]).numpy()


# In Unity the left arm of a T-pose points to -x; turning it by +90 degrees about z lowers it, by
# +90 about y (clockwise seen from above, left-handed) brings it forward.
@pytest.mark.parametrize(
    ("bone", "side", "quat", "towards"),
    [
        (b"LeftUpperArm", "left", (0, 0, HALF, HALF), (0, -1, 0)),
        (b"RightUpperArm", "right", (0, 0, -HALF, HALF), (0, -1, 0)),
        (b"LeftUpperArm", "left", (0, HALF, 0, HALF), (0, 0, 1)),
        (b"RightUpperArm", "right", (0, -HALF, 0, HALF), (0, 0, 1)),
    ],
)
def test_arms_go_where_unity_sends_them(avatar, puppeteer, bone, side, quat, towards):
    pose = play(puppeteer, golden(bone, 0, 0, 0, *quat))
    arm = wrist(avatar, pose, side)
    assert float(arm @ np.array(towards)) > 0.95 * np.linalg.norm(arm)


def test_a_bow_goes_forward_and_a_turn_to_the_left_goes_left(avatar, puppeteer):
    # A positive turn about x tips what is up towards +z, forward in both worlds.
    pose = play(puppeteer, golden(b"Spine", 0, 0, 0, np.sin(0.25), 0, 0, np.cos(0.25)))
    np.testing.assert_allclose(pose.rotations[JOINT_IDS["spine1"]], [0.5, 0, 0], atol=1e-5)
    # The head to its own left is -x in Unity: a negative turn about y there, a positive one here.
    pose = play(puppeteer, golden(b"Head", 0, 0, 0, 0, -np.sin(0.25), 0, np.cos(0.25)))
    np.testing.assert_allclose(pose.rotations[JOINT_IDS["head"]], [0, 0.5, 0], atol=1e-5)


def test_hips_stand_on_the_floor_and_walk_to_their_left(puppeteer, stature):
    pose = play(puppeteer, golden(b"Hips", 0, 1.1, 0, 0, 0, 0, 1))
    np.testing.assert_allclose(pose.transl + stature.pelvis, [0, stature.standing, 0], atol=1e-5)
    pose = play(puppeteer, golden(b"Hips", -0.55, 1.1, 0, 0, 0, 0, 1))
    place = pose.transl + stature.pelvis
    np.testing.assert_allclose(place, [stature.standing / 2, stature.standing, 0], atol=1e-5)


def test_every_joint_has_one_name():
    assert sorted(BONES.values()) == list(range(55))


def test_shapes_are_applied_together(puppeteer, stature):
    value = b"/VMC/Ext/Blend/Val\0\0" + b",sf\0" + b"jawOpen\0" + struct.pack(">f", 1.0)
    before = play(puppeteer, value)
    assert before.rotations[JOINT_IDS["jaw"], 0] == 0
    after = play(puppeteer, b"/VMC/Ext/Blend/Apply\0\0\0\0" + b",\0\0\0")
    assert after.rotations[JOINT_IDS["jaw"], 0] > 0.2
    assert {shape for mix in PRESETS.values() for shape in mix} <= set(stature.arkit)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4).filter(lambda q: np.linalg.norm(q) > 0.1))
def test_flipping_twice_changes_nothing_and_mirrors_the_axes(quat):
    q = np.array(quat) / np.linalg.norm(quat)
    np.testing.assert_allclose(flip_turn(flip_turn(q)), q)
    point = np.array([1.0, 2.0, 3.0])
    there = flip_place(Rotation.from_quat(q).apply(point))
    here = Rotation.from_quat(flip_turn(q)).apply(flip_place(point))
    np.testing.assert_allclose(there, here, atol=1e-9)


def test_what_goes_out_comes_in(stature):
    generator = np.random.default_rng(0)
    standing = np.array([0, stature.standing, 0]) - stature.pelvis
    sent = SentPose(
        sequence=0,
        time=0.0,
        rotations=generator.uniform(-0.8, 0.8, (55, 3)).astype(np.float32),
        transl=standing.astype(np.float32),
        expression=stature.face.astype(np.float32),
    )
    packet = vmc_packet(sent, stature)
    got = play(Puppeteer(stature), packet)
    np.testing.assert_allclose(got.rotations, sent.rotations, atol=1e-5)
    np.testing.assert_allclose(got.transl, sent.transl, atol=1e-5)
    np.testing.assert_allclose(got.expression, sent.expression, atol=1e-3)


@pytest.mark.parametrize(
    "packet",
    [b"", b"#bundle\0", b"#bundle\0" + b"\0" * 8 + b"\xff\xff\xff\xff", b"/x", b"\0" * 40,
     b"/a\0\0,i\0\0", b"/a\0\0,s\0\0abc", b"x" * 40_000, b"/a\0\0,[[[[[["],
)  # fmt: skip
def test_a_damaged_packet_moves_nothing(puppeteer, packet):
    before = puppeteer.pose().rotations
    with contextlib.suppress(InputError):
        play(puppeteer, packet)
    np.testing.assert_array_equal(puppeteer.pose().rotations, before)


@pytest.mark.parametrize(
    "params",
    [
        ["Head"], ["Head", *[float("nan")] * 7], ["Head", *[1e30] * 7], [5, *[0.0] * 7],
        ["Head", *["a"] * 7], ["Nowhere", *[0.0] * 6, 1.0], ["Head", *[0.0] * 7],
    ],
)  # fmt: skip
def test_a_bone_that_makes_no_sense_moves_nothing(puppeteer, params):
    assert not puppeteer.take("/VMC/Ext/Bone/Pos", params)
    assert not puppeteer.turns.any()


def test_a_packet_reaches_a_viewer(running, stature):
    from websockets.sync.client import connect

    hub = Hub()
    ear = vmc_ear(0)
    port = ear.getsockname()[1]

    def listening():
        return hear_vmc(ear, stature, hub.publish)

    rooms = Rooms(show=running.show, hub=hub, webcam=None, vmc_port=port, background=(listening,))
    server, thread = start(rooms)
    with (
        connect(live_address(server.link), proxy=None) as viewer,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth,
    ):
        time.sleep(0.2)
        mouth.sendto(b"nonsense", ("127.0.0.1", port))
        mouth.sendto(golden(b"LeftUpperArm", 0, 0, 0, 0, 0, HALF, HALF), ("127.0.0.1", port))
        got = unpack_pose(viewer.recv(timeout=10))
        np.testing.assert_allclose(got.rotations[16], [0, 0, -np.pi / 2], atol=1e-4)
    server.stop()
    thread.join(20)


def test_a_taken_port_is_said_in_words():
    with vmc_ear(0) as ear, pytest.raises(InputError, match="UDP port") as caught:
        vmc_ear(ear.getsockname()[1])
    assert "--vmc" in caught.value.fix
