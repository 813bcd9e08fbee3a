import pytest
import torch

from persona.animation.anatomy import AXES, anatomical_angles
from persona.animation.clips import CLIPS, clip
from persona.animation.coverage import cover
from persona.body.skeleton import JOINT_IDS, mirror_pose
from persona.core.errors import InputError
from persona.records.body_params import rest_params
from persona.records.motion import Motion

KNOWN = {
    ("left_knee", (70, 0, 0)): ("knee", "flexion", 70),
    ("left_hip", (-80, 0, 0)): ("hip", "flexion", 80),
    ("left_hip", (0, 0, 30)): ("hip", "abduction", 30),
    ("left_hip", (0, 25, 0)): ("hip", "external", 25),
    ("left_ankle", (30, 0, 0)): ("ankle", "plantar", 30),
    ("left_foot", (-20, 0, 0)): ("toes", "flexion", -20),
    ("spine2", (20, 0, 0)): ("trunk", "flexion", 20),
    ("head", (0, 40, 0)): ("neck", "rotation", 40),
    ("left_shoulder", (0, 0, -80)): ("shoulder", "abduction", 10),
    ("left_shoulder", (0, -90, 0)): ("shoulder", "flexion", 90),
    ("left_shoulder", (-60, 0, 0)): ("shoulder", "internal", -60),
    ("left_elbow", (0, -120, 0)): ("elbow", "flexion", 120),
    ("left_elbow", (50, 0, 0)): ("forearm", "pronation", 50),
    ("left_wrist", (0, 0, -40)): ("wrist", "flexion", 40),
    ("left_wrist", (0, -15, 0)): ("wrist", "radial", 15),
}
"""Joint and its turn -> joint, movement and angle as a physician says it [deg]."""


def one_pose(joint: str, turn) -> torch.Tensor:
    pose = torch.zeros(1, 55, 3, dtype=torch.float64)
    pose[0, JOINT_IDS[joint]] = torch.deg2rad(torch.tensor(turn, dtype=torch.float64))
    return pose


@pytest.mark.parametrize(("turned", "expected"), KNOWN.items(), ids=str)
def test_angles_are_those_of_the_clinic(turned, expected):
    joint, name, angle = expected
    pose = one_pose(*turned)
    values = anatomical_angles(pose)[joint, name]
    assert float(values[0]) == pytest.approx(angle, abs=1e-6)
    if turned[0].startswith("left_"):
        # The right side is the mirror image, listed after the left.
        mirrored = anatomical_angles(mirror_pose(pose))[joint, name]
        assert float(mirrored[1]) == pytest.approx(angle, abs=1e-6)


def test_coverage_is_the_part_inside_peoples_range():
    pose = torch.cat([one_pose("left_knee", (0, 0, 0)), one_pose("left_knee", (54, 0, 0))])
    motion = Motion(params=rest_params(2).with_full_pose(pose.float()), fps=10.0)
    found = cover([motion])
    knee = next(entry for entry in found.axes if entry.axis.joint == "knee")
    assert (knee.low, knee.high) == (pytest.approx(0, abs=1e-4), pytest.approx(54, abs=1e-4))
    assert knee.share == pytest.approx(54 / 135)
    assert knee.beyond == pytest.approx(0.0, abs=1e-4)
    assert found.speeds["knee"][-1] == pytest.approx(540, rel=1e-4)
    assert found.speeds["hip"] == (0.0, 0.0, 0.0)


def test_what_is_beyond_people_is_said():
    pose = one_pose("left_knee", (160, 0, 0)).float()
    found = cover([Motion(params=rest_params(1).with_full_pose(pose), fps=10.0)])
    assert max(entry.beyond for entry in found.axes) == pytest.approx(25, abs=1e-3)


def test_the_library_covers_the_body():
    found = cover([clip(name) for name in CLIPS])
    assert len(found.axes) == len(AXES)
    assert found.share > 0.65
    shares = {(entry.axis.joint, entry.axis.name): entry.share for entry in found.axes}
    for joint in ("shoulder", "elbow", "knee", "hip", "trunk"):
        assert shares[joint, "flexion"] > 0.7, joint


def test_nothing_has_no_coverage():
    with pytest.raises(InputError, match="no motions"):
        cover([])
