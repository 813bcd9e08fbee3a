"""VRM animations made here, whose nodes are turned at rest."""

import json
import struct

import numpy as np
import torch

from persona.body import load_body
from persona.body.skeleton import JOINT_IDS, PARENTS
from persona.geometry.rotations import axis_angle_to_matrix, matrix_to_quaternion

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
