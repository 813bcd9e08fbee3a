"""VRM animations: made here with nodes turned at rest, the real one, and damaged ones."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from persona.animation.clips import clip
from persona.animation.exchange import open_motion
from persona.body import load_body
from persona.body.skeleton import JOINT_IDS, PARENTS
from persona.core.errors import FileFormatError, PersonaError
from persona.geometry.rotations import axis_angle_to_matrix, matrix_to_quaternion

REAL = Path(__file__).parents[3] / "shared" / "data" / "motions" / "three_vrm_test.vrma"
BONES = {"pelvis": "hips", "spine1": "spine", "spine2": "chest", "spine3": "upperChest"}
BONES |= {"neck": "neck", "head": "head"}
for side in ("left", "right"):
    BONES |= {
        f"{side}_{ours}": side + theirs
        for ours, theirs in {
            **{"hip": "UpperLeg", "knee": "LowerLeg", "ankle": "Foot", "foot": "Toes"},
            **{"collar": "Shoulder", "shoulder": "UpperArm", "elbow": "LowerArm", "wrist": "Hand"},
        }.items()
    }


def turned_at_rest(joint):
    """A frame of its own for every joint."""
    vector = torch.tensor([0.3 * (joint % 3), 0.2 * joint, -0.5]).double()
    return axis_angle_to_matrix(vector)


def write_vrma(path, motion):
    pose = axis_angle_to_matrix(motion.params.full_pose.double())
    joints = load_body().joints_template.double()
    times = np.arange(motion.frame_count, dtype="<f4") / motion.fps
    data, views, accessors = bytearray(), [], []

    def store(values, kind):
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": values.nbytes})
        accessors.append(
            {
                "bufferView": len(views) - 1,
                "componentType": 5126,
                "count": len(values),
                "type": kind,
            }
        )
        data.extend(values.astype("<f4").tobytes())
        return len(accessors) - 1

    ids = [JOINT_IDS[name] for name in BONES]
    nodes, samplers, channels = [], [], []
    clock = store(times.astype("<f4"), "SCALAR")
    for place, joint in enumerate(ids):
        parent = PARENTS[joint]
        frame = turned_at_rest(joint)
        before = turned_at_rest(parent) if parent >= 0 else torch.eye(3).double()
        way = before.T @ (joints[joint] - (joints[parent] if parent >= 0 else 0))
        local = before.T @ pose[:, joint] @ frame
        nodes.append(
            {
                "translation": way.tolist(),
                "rotation": matrix_to_quaternion(before.T @ frame)[[1, 2, 3, 0]].tolist(),
                "children": [ids.index(k) for k in ids if PARENTS[k] == joint],
            }
        )
        keys = store(matrix_to_quaternion(local)[:, [1, 2, 3, 0]].numpy(), "VEC4")
        samplers.append({"input": clock, "output": keys})
        channels.append({"sampler": place, "target": {"node": place, "path": "rotation"}})
    human = {bone: {"node": place} for place, bone in enumerate(BONES.values())}
    document = {
        "asset": {"version": "2.0"},
        "nodes": nodes,
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(data)}],
        "animations": [{"samplers": samplers, "channels": channels}],
        "extensions": {"VRMC_vrm_animation": {"humanoid": {"humanBones": human}}},
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
    chunks += struct.pack("<II", len(data), 0x004E4942) + bytes(data)
    path.write_bytes(b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks)


def test_frames_turned_at_rest_do_not_matter(tmp_path):
    source = clip("bend")
    write_vrma(tmp_path / "m.vrma", source)
    motion = open_motion(tmp_path / "m.vrma", fps=source.fps, feet="keep").motion
    assert motion.frame_count == source.frame_count
    joints = [0, 1, 2, 3, 4, 5, 6, 9, 12, 15, 16, 17, 18, 19, 20, 21]
    first, second = (
        axis_angle_to_matrix(m.params.full_pose.double())[:, joints] for m in (motion, source)
    )
    chord = (first - second).flatten(-2).norm(dim=-1) / 8**0.5
    assert float(torch.rad2deg(2 * torch.asin(chord.clamp(max=1))).median()) < 2.0


@pytest.mark.skipif(not REAL.is_file(), reason="needs the shared motion files")
def test_the_real_file_is_a_person_with_five_fingers():
    found = open_motion(REAL)
    assert found.format == "VRM animation"
    assert "5 fingers" in found.facts["joints"]
    assert max(found.limb_errors(found.motion).values()) < 5.0


def test_damaged_files_are_refused_by_typed_errors_only(tmp_path):
    path = tmp_path / "m.vrma"
    write_vrma(path, clip("idle"))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        data = bytearray(whole)
        for place in rng.integers(0, 12_000, rng.integers(1, 8)):
            data[place] = rng.integers(0, 256)
        path.write_bytes(bytes(data if rng.random() > 0.2 else data[: rng.integers(0, len(data))]))
        try:
            open_motion(path, feet="keep")
        except PersonaError:
            refused += 1
    assert refused > 100


def test_nodes_in_a_circle_are_refused(tmp_path):
    path = tmp_path / "m.vrma"
    write_vrma(path, clip("idle"))
    path.write_bytes(path.read_bytes().replace(b'"children": [1, ', b'"children": [0, ', 1))
    with pytest.raises(FileFormatError, match="hangs on"):
        open_motion(path)
    path.write_bytes(b"nothing")
    with pytest.raises(FileFormatError, match="glTF"):
        open_motion(path)
