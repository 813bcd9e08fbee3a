"""Other skeletons' motions on ours: families of BVH, feet, and the real files where they are."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from persona.animation.clips import clip
from persona.animation.contacts import find_contacts, lock_feet
from persona.animation.exchange import open_motion
from persona.animation.formats.bvh import read_bvh
from persona.animation.formats.joint_map import read_joint_map
from persona.animation.formats.joint_names import match_joints
from persona.animation.grounding import sole_paths
from persona.animation.retargeting import direction_errors, retarget
from persona.body import load_body
from persona.body.skeleton import JOINT_IDS, PARENTS
from persona.core.errors import FileFormatError, InputError, PersonaError
from persona.geometry.rotations import axis_angle_to_matrix
from persona.records.motion import Motion

MOTIONS = Path(__file__).parents[3] / "shared" / "data" / "motions"
TRUNK = {"pelvis": "Hips", "spine1": "Spine", "spine2": "Spine1", "spine3": "Spine2"}
TRUNK |= {"neck": "Neck", "head": "Head"}
BONE_STYLE = {"collar": "Shoulder", "shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand"}
BONE_STYLE |= {"hip": "UpLeg", "knee": "Leg", "ankle": "Foot", "foot": "ToeBase"}
JOINT_STYLE = {"collar": "Collar", "shoulder": "Shoulder", "elbow": "Elbow", "wrist": "Wrist"}
JOINT_STYLE |= {"hip": "Hip", "knee": "Knee", "ankle": "Ankle", "foot": "Toe"}
SIDES = (("left", "Left"), ("right", "Right"))


def names_of(style, *, prefix="", fingers=()):
    """SMPL-X name to the name in the file, parents before children."""
    found = {ours: prefix + theirs for ours, theirs in TRUNK.items()}
    for side, Side in SIDES:
        for ours, theirs in style.items():
            found[f"{side}_{ours}"] = prefix + Side + theirs
        for finger in fingers:
            for k in (1, 2, 3):
                found[f"{side}_{finger}{k}"] = f"{prefix}{Side}Hand{finger.capitalize()}{k}"
    return dict(sorted(found.items(), key=lambda item: JOINT_IDS[item[0]]))


def hanging(name):
    """A rest pose with hanging arms: what of a T-pose turns into it."""
    side, _, bare = name.partition("_")
    if bare in ("shoulder", "elbow", "wrist") or bare[-1:].isdigit():
        return Rotation.from_euler("z", 90 if side == "left" else -90, degrees=True).as_matrix()
    return np.eye(3)


def scrambled(name):
    """A rest pose that is nobody's: every joint has a frame of its own."""
    seed = sum(map(ord, name))
    if name[-1:].isdigit():  # fingers keep the frame of their hand, as real files do
        seed = sum(map(ord, name.split("_")[0] + "_wrist"))
    return Rotation.random(random_state=seed).as_matrix()


def write_family(
    path, motion, names, *, rest=lambda name: np.eye(3), unit=0.01, up="y", order="ZXY"
):
    """Write a motion on another skeleton.

    ``rest(name)`` takes a joint's frame in T-pose to its frame in the file.
    """
    pose = axis_angle_to_matrix(motion.params.full_pose.double()).numpy()
    joints = load_body().joints_template.double().numpy()
    world = [pose[:, 0]]
    for joint, parent in list(enumerate(PARENTS))[1:]:
        world.append(world[parent] @ pose[:, joint])
    turn = np.eye(3) if up == "y" else Rotation.from_euler("x", 90, degrees=True).as_matrix()
    frames = {n: turn @ world[JOINT_IDS[n]] @ rest(n).T for n in names}
    lines, columns = ["HIERARCHY"], []

    def parent_of(name):
        joint = PARENTS[JOINT_IDS[name]]
        while joint >= 0:
            found = [n for n in names if JOINT_IDS[n] == joint]
            if found:
                return found[0]
            joint = PARENTS[joint]
        return None

    def offset(name, parent):
        way = joints[JOINT_IDS[name]] - joints[JOINT_IDS[parent]]
        return rest(parent) @ way / unit

    def add(name, depth):
        pad, parent = "\t" * depth, parent_of(name)
        own = frames[name] if parent is None else frames[parent].transpose(0, 2, 1) @ frames[name]
        columns.append(Rotation.from_matrix(own).as_euler(order, degrees=True))
        place = np.zeros(3) if parent is None else offset(name, parent)
        lines.append(f"{pad}{'ROOT' if parent is None else 'JOINT'} {names[name]}\n{pad}{{")
        lines.append(f"{pad}\tOFFSET {' '.join(f'{x:.5f}' for x in place)}")
        turns = " ".join(f"{axis}rotation" for axis in order)
        root = "Xposition Yposition Zposition " if parent is None else ""
        lines.append(f"{pad}\tCHANNELS {6 if parent is None else 3} {root}{turns}")
        children = [n for n in names if parent_of(n) == name]
        for child in children:
            add(child, depth + 1)
        if not children:
            end = rest(name) @ np.array([0.0, 0.1, 0.0]) / unit
            lines.append(f"{pad}\tEnd Site\n{pad}\t{{\n{pad}\t\tOFFSET {end[0]} {end[1]} {end[2]}")
            lines.append(f"{pad}\t}}")
        lines.append(f"{pad}}}")

    add("pelvis", 0)
    root = (motion.params.transl.double().numpy() + joints[0]) @ turn.T / unit
    rows = np.concatenate([root, *columns], 1)
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / motion.fps:.7f}"]
    lines += [" ".join(f"{value:.5f}" for value in row) for row in rows]
    path.write_text("\n".join(lines) + "\n")


def joints_of(motion):
    """Joints of the mean body that does a motion [m]."""
    few = load_body().subset(torch.arange(1))
    return few.forward(motion.params, with_pose_correctives=False).joints


FIVE = ("thumb", "index", "middle", "ring", "pinky")

FAMILIES = {
    "mixamo": (names_of(BONE_STYLE, prefix="mixamorig:", fingers=FIVE), {}),
    "cmu": (names_of(BONE_STYLE), {"unit": 0.0254 / 0.45, "order": "ZYX"}),
    "hanging": (names_of(JOINT_STYLE), {"rest": hanging}),
    "z-up": (names_of(BONE_STYLE), {"up": "z", "unit": 1.0, "order": "XYZ"}),
    "three-finger": (names_of(BONE_STYLE, fingers=("thumb", "index", "middle")), {"unit": 0.001}),
    "rokoko": (names_of(BONE_STYLE, fingers=FIVE), {"rest": scrambled, "order": "YXZ"}),
}


def median_turn(a, b, joints):
    """Median angle between two motions' rotations of some joints [deg]."""
    first, second = (axis_angle_to_matrix(m.params.full_pose.double())[:, joints] for m in (a, b))
    chord = (first - second).flatten(-2).norm(dim=-1) / 8**0.5
    return float(torch.rad2deg(2 * torch.asin(chord.clamp(max=1))).median())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["dance", "bend"])
def test_limbs_point_where_the_source_has_them(tmp_path, family, name):
    names, layout = FAMILIES[family]
    source = clip(name)
    write_family(tmp_path / "m.bvh", source, names, **layout)
    found = open_motion(tmp_path / "m.bvh", feet="keep")
    skeleton = read_bvh(tmp_path / "m.bvh")
    errors = direction_errors(skeleton, retarget(skeleton), joints_of(found.motion))
    assert set(errors) == {"upper arm", "lower arm", "thigh", "shin"}
    assert max(errors.values()) < 0.1
    assert found.facts["up"].startswith("z" if family == "z-up" else "y")
    assert found.motion.fps == pytest.approx(source.fps, rel=1e-4)


@pytest.mark.parametrize("family", ["mixamo", "cmu", "z-up", "three-finger"])
def test_a_t_pose_skeleton_gives_our_own_rotations_back(tmp_path, family):
    names, layout = FAMILIES[family]
    source = clip("bend")
    write_family(tmp_path / "m.bvh", source, names, **layout)
    motion = open_motion(tmp_path / "m.bvh", feet="keep").motion
    arms, trunk = list(range(16, 22)), [0, 3, 6, 9, 12, 15]
    assert median_turn(motion, source, [*arms, *trunk, 1, 2, 4, 5]) < 2.0
    moved, theirs = (m.params.transl - m.params.transl[0] for m in (motion, source))
    assert float((moved - theirs).abs().max()) < 0.05


def test_a_rest_pose_of_nobody_still_gives_forearms_their_twist(tmp_path):
    names, layout = FAMILIES["rokoko"]
    source = clip("dance")
    write_family(tmp_path / "m.bvh", source, names, **layout)
    found = open_motion(tmp_path / "m.bvh", feet="keep")
    assert found.facts["rest pose"].startswith("no person's")
    assert median_turn(found.motion, source, [4, 5, 16, 17, 18, 19]) < 20.0


@pytest.mark.parametrize(
    ("family", "words"),
    [
        ("mixamo", ("centimetres", "5 fingers")),
        ("cmu", ("CMU", "0 fingers")),
        ("z-up", ("metres", "0 fingers")),
        ("three-finger", ("millimetres", "3 fingers")),
    ],
)
def test_units_and_fingers_are_stated(tmp_path, family, words):
    names, layout = FAMILIES[family]
    write_family(tmp_path / "m.bvh", clip("idle"), names, **layout)
    facts = open_motion(tmp_path / "m.bvh", feet="keep").facts
    assert facts["units"].startswith(words[0])
    assert words[1] in facts["joints"]


def test_names_of_the_known_families_are_understood():
    for name, wanted in {
        "mixamorig:LeftForeArm": "left_elbow",
        "LThumb": None,
        "RightHandPinky2": "right_pinky2",
        "LeftLittleProximal": "left_pinky1",
        "l_shoulder": "left_shoulder",
        "leftUpperArm": "left_shoulder",
        "thigh.L": "left_hip",
        "RHipJoint": None,
    }.items():
        others = ["LeftElbow"] if name == "l_shoulder" else []
        found = {place: ours for ours, place in match_joints([name, *others]).items()}
        assert found.get(0) == wanted, name


def skating_walk():
    """A walk whose feet creep by a millimetre a frame while they stand, 4 cm above the floor."""
    walk = clip("walk", fps=30.0)
    transl = walk.params.transl.clone()
    count = walk.frame_count
    transl[:, 0] += 0.001 * torch.arange(count)
    transl[:, 1] += 0.04
    params = walk.params.__class__(**{**vars(walk.params), "transl": transl})
    return Motion(params=params, fps=30.0)


def test_feet_that_skate_are_held():
    motion = skating_walk()
    before = find_contacts(motion)
    locked, contacts, left = lock_feet(motion)
    assert 0.8 < before.skating < 1.5
    assert left < 0.2
    assert contacts.floor == pytest.approx(0.04, abs=0.005)
    assert float(sole_paths(locked)[..., 1].min()) > -1e-3


HEAD = "HIERARCHY\nROOT Hips\n{\nOFFSET 0 0 0\nCHANNELS 3 Xrotation Yrotation Zrotation\n"
END = "End Site\n{\nOFFSET 0 1 0\n}\n}\n"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "ends before MOTION"),
        ("not a skeleton", "HIERARCHY"),
        (HEAD + END + "MOTION\nFrames: 1000000000\nFrame Time: 0.03\n", "1000000000 frames"),
        (HEAD + END + "MOTION\nFrames: 1\nFrame Time: 0.03\n0 nan 0\n", "not finite"),
        (HEAD + END + "MOTION\nFrames: 1\nFrame Time: 0.03\n0 1e999 0\n", "not finite"),
        (HEAD + END + "MOTION\nFrames: 2\nFrame Time: 0.03\n0 0 0\n", "has 1.0"),
        (HEAD + END + "MOTION\nFrames: 1\nFrame Time: 0.03\n0 0 0 0\n", "has more"),
        (HEAD + END + "MOTION\nFrames: 1\nFrame Time: 0\n0 0 0\n", "Frame Time is 0"),
        (HEAD + "JOINT Hips\n{\nOFFSET 0 0 0\n}\n", "a second time"),
        (HEAD + "OFFSET 1 2\n", "has 2 numbers"),
        (HEAD + "CHANNELS 1 Wrotation\n", "are not what they say"),
        (HEAD + "MOTION\n", "not closed"),
        (HEAD + "".join(f"JOINT j{k}\n{{\n" for k in range(300)), "200 deep"),
        ("HIERARCHY\n}\n", "was not opened"),
    ],
)
def test_damaged_bvh_is_refused_by_name(tmp_path, text, word):
    (tmp_path / "m.bvh").write_text(text)
    with pytest.raises(FileFormatError, match=word):
        read_bvh(tmp_path / "m.bvh")


@pytest.mark.parametrize("gone", ["left_wrist", "right_ring1", "left_foot", "neck", "head"])
def test_a_joint_of_unknown_name_costs_only_itself(tmp_path, gone):
    names = names_of(BONE_STYLE, fingers=FIVE)
    write_family(tmp_path / "m.bvh", clip("idle"), {**names, gone: "Q"})
    found = open_motion(tmp_path / "m.bvh", feet="keep")
    assert max(found.limb_errors(found.motion).values()) < 0.1


def test_a_skeleton_that_is_no_person_is_refused(tmp_path):
    (tmp_path / "m.bvh").write_text(HEAD + END + "MOTION\nFrames: 1\nFrame Time: 0.03\n0 0 0\n")
    with pytest.raises(InputError, match="left_hip"):
        open_motion(tmp_path / "m.bvh")


def strange_names(path):
    """Give every joint of a BVH a name that says nothing; return old name -> new."""
    text, names = path.read_text(), {}
    for line in text.splitlines():
        words = line.split()
        if words and words[0] in ("ROOT", "JOINT"):
            names[words[1]] = f"Bone.{len(names):03d}"
    for old, new in names.items():
        text = re.sub(rf"(ROOT|JOINT) {re.escape(old)}$", rf"\1 {new}", text, flags=re.M)
    path.write_text(text)
    return names


def test_a_joint_map_says_what_names_do_not(tmp_path):
    names, layout = FAMILIES["mixamo"]
    path = tmp_path / "m.bvh"
    write_family(path, clip("dance"), names, **layout)
    known = open_motion(path).motion
    strange = strange_names(path)
    with pytest.raises(InputError, match="no joints that could be") as caught:
        open_motion(path)
    assert "--joint-map" in caught.value.fix
    lines = [f'{ours} = "{strange[theirs]}"' for ours, theirs in names.items() if theirs in strange]
    (tmp_path / "map.toml").write_text("[joints]\n" + "\n".join(lines) + "\n")
    mapped = open_motion(path, joint_map=read_joint_map(tmp_path / "map.toml")).motion
    limbs = [JOINT_IDS[f"left_{name}"] for name in ("shoulder", "elbow", "hip", "knee", "index2")]
    assert median_turn(known, mapped, limbs) < 0.1


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("joints = 3", "no table"),
        ("[joints]\nleft_hip = 4", "no table"),
        ("[joints]\nleft_hoof = 'a'", "left_hoof"),
        ("[joints", "no TOML"),
        ("\xff", "no TOML"),
    ],
)
def test_a_map_that_is_none_is_refused(tmp_path, text, word):
    (tmp_path / "map.toml").write_text(text, encoding="latin1")
    with pytest.raises(FileFormatError, match=word):
        read_joint_map(tmp_path / "map.toml")


def test_a_map_to_joints_that_are_not_there_is_refused(tmp_path):
    names, layout = FAMILIES["mixamo"]
    write_family(tmp_path / "m.bvh", clip("bend"), names, **layout)
    with pytest.raises(InputError, match=r"Bone\.9"):
        open_motion(tmp_path / "m.bvh", joint_map={"left_hip": "Bone.9"})


@pytest.mark.skipif(not MOTIONS.is_dir(), reason="needs the shared motion files")
@pytest.mark.parametrize("path", sorted(MOTIONS.glob("*.bvh")), ids=lambda path: path.stem)
def test_real_files_keep_their_limbs_and_feet(path):
    skeleton = read_bvh(path)
    if len(skeleton.names) < 10:
        with pytest.raises(PersonaError, match="no joints that could be"):
            open_motion(path)
        return
    done = retarget(skeleton)
    errors = direction_errors(skeleton, done, joints_of(done.motion))
    assert max(errors.values()) < 5.0
    locked, contacts, left = lock_feet(done.motion)
    held = direction_errors(skeleton, done, joints_of(locked))
    assert max(held["upper arm"], held["lower arm"]) < 1.0
    # Knees that the source bends backwards are not followed: legs may be off by more.
    assert max(held["thigh"], held["shin"]) < 9.0
    assert left <= contacts.skating
