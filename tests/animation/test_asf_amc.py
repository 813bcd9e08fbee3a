"""ASF and AMC: the skeleton bends as its own axes say; what is damaged is refused by name."""

from pathlib import Path

import numpy as np
import pytest
import torch

from persona.animation.exchange import open_motion
from persona.animation.formats.asf_amc import read_amc, skeleton_of
from persona.animation.retargeting import direction_errors, retarget
from persona.body import load_body
from persona.core.errors import FileFormatError, PersonaError

REAL = Path(__file__).parents[3] / "shared" / "data" / "motions" / "fairmotion_cmu_11_01.amc"

LEG = """
  begin
    id {k} name-line
    name {s}hipjoint
    direction {x} -1 0
    length 1.4142
    axis 0 0 0 XYZ
  end
  begin
    name {s}femur
    direction {x5} -1 0
    length 7
    axis 0 0 {tilt} XYZ
    dof rx ry rz
  end
  begin
    name {s}tibia
    direction {x5} -1 0
    length 7
    axis 0 0 {tilt} XYZ
    dof rx
  end
  begin
    name {s}foot
    direction 0 -0.5 1
    length 2
    axis 0 0 0 XYZ
    dof rx
  end"""
ARM = """
  begin
    name {s}clavicle
    direction {x} 0 0
    length 3
    axis 0 0 0 XYZ
  end
  begin
    name {s}humerus
    direction {x} 0 0
    length 5
    axis 180 30 90 ZYX
    dof rx ry rz
  end
  begin
    name {s}radius
    direction {x} 0 0
    length 3
    axis 0 0 0 XYZ
    dof rx
  end
  begin
    name {s}hand
    direction {x} 0 0
    length 1
    axis 0 0 0 XYZ
  end"""
TREE = """
:hierarchy
  begin
    root lhipjoint rhipjoint thorax
    lhipjoint lfemur
    lfemur ltibia
    ltibia lfoot
    rhipjoint rfemur
    rfemur rtibia
    rtibia rfoot
    thorax head lclavicle rclavicle
    lclavicle lhumerus
    lhumerus lradius
    lradius lhand
    rclavicle rhumerus
    rhumerus rradius
    rradius rhand
  end
"""
MIDDLE = """
  begin
    name thorax
    direction 0 1 0
    length 8
    axis 0 0 0 XYZ
    dof rx
  end
  begin
    name head
    direction 0 1 0
    length 3
    axis 0 0 0 XYZ
  end"""


def skeleton():
    text = ":version 1.10\n:units\n  angle deg\n:root\n  order TX TY TZ RX RY RZ\n  axis XYZ\n"
    text += "  position 0 0 0\n  orientation 0 0 0\n:bonedata"
    for s, x in (("l", 1), ("r", -1)):
        leg = LEG.replace("    id {k} name-line\n", "")
        text += leg.format(s=s, x=x, x5=0.3 * x, tilt=20 * x) + ARM.format(s=s, x=x)
    return text + MIDDLE + TREE


def motion(frames=30):
    lines = [":FULLY-SPECIFIED", ":DEGREES"]
    for k in range(frames):
        swing = 30 * np.sin(k / 5)
        lines += [str(k + 1), f"root 0 16 {0.1 * k} 0 10 0", f"thorax {swing / 6}"]
        for s in "lr":
            lines += [f"{s}femur {swing} 3 1", f"{s}tibia {10 + abs(swing)}", f"{s}foot -5"]
            lines += [f"{s}humerus {swing} 20 -60", f"{s}radius {abs(swing)}"]
    return "\n".join(lines) + "\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "07.asf").write_text(skeleton())
    (tmp_path / "07_02.amc").write_text(motion())
    return tmp_path


def test_a_bone_turns_about_its_own_axes(files):
    clip = read_amc(files / "07_02.amc")
    assert (clip.frame_count, clip.fps) == (30, 120.0)

    # By hand, for the left thigh: C M C^-1 on the rest direction, M = Rz Ry Rx, C = Rz(20 deg).
    def about(axis, degrees):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        matrix = np.eye(3)
        i, j = [(1, 2), (2, 0), (0, 1)][axis]
        matrix[i, i] = matrix[j, j] = c
        matrix[i, j], matrix[j, i] = -s, s
        return matrix

    swing = 30 * np.sin(7 / 5)
    own = about(2, 20)
    turn = own @ about(2, 1) @ about(1, 3) @ about(0, swing) @ own.T
    rest = np.array([0.3, -1, 0]) / np.hypot(0.3, 1) * 7
    want = about(1, 10) @ turn @ rest
    knee, hip = clip.names.index("ltibia"), clip.names.index("lfemur")
    got = clip.positions[7, knee] - clip.positions[7, hip]
    np.testing.assert_allclose(got.numpy(), want, atol=1e-9)


def test_limbs_point_where_the_source_has_them(files):
    clip = read_amc(files / "07_02.amc")
    done = retarget(clip)
    few = load_body().subset(torch.arange(1))
    posed = few.forward(done.motion.params, with_pose_correctives=False)
    assert max(direction_errors(clip, done, posed.joints).values()) < 0.1
    found = open_motion(files / "07_02.amc")
    assert found.format == "ASF/AMC"
    assert "assumed" in found.facts["fps"]


def test_the_skeleton_is_found_beside(files, tmp_path):
    assert skeleton_of(files / "07_02.amc").name == "07.asf"
    (files / "07.asf").rename(files / "other.asf")
    assert skeleton_of(files / "07_02.amc").name == "other.asf"
    (files / "third.asf").write_text(skeleton())
    with pytest.raises(FileFormatError, match=r"2 \.asf files") as caught:
        open_motion(files / "07_02.amc")
    assert "07.asf" in caught.value.fix
    with pytest.raises(FileFormatError, match="skeleton only"):
        open_motion(files / "third.asf")


@pytest.mark.parametrize(
    ("file", "old", "new", "word"),
    [
        ("asf", "rtibia rfoot", "rtibia rfoot rfemur", "two parents"),
        ("asf", "root lhipjoint", "root", "does not lead from the root"),
        ("asf", "lclavicle lhumerus", "lclavicle nobody", "no bone"),
        ("asf", "dof rx ry rz", "dof rx ry rw", "not what moves"),
        ("asf", "direction 0 1 0", "direction 0 nan 0", "sensible size"),
        ("asf", ":bonedata", ":nothing", "no :bonedata"),
        ("amc", "ltibia", "ghost", "no bone"),
        ("amc", "root 0 16", "root 16", "6 numbers"),
        ("amc", "root 0 16", "root 1e999 16", "sensible size"),
        ("amc", "lfoot -5\n", "", "lacks lfoot"),
        ("amc", "lfoot -5\n", "lfoot -5\nlfoot -5\n", "one again"),
        ("amc", "lfoot -5", "lfoot five", "no number"),
    ],
)
def test_damage_is_refused_by_name(files, file, old, new, word):
    path = files / ("07.asf" if file == "asf" else "07_02.amc")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(FileFormatError, match=word):
        open_motion(files / "07_02.amc")


def test_mutated_files_are_refused_by_typed_errors_only(files):
    rng = np.random.default_rng(0)
    for path in (files / "07.asf", files / "07_02.amc"):
        whole = path.read_bytes()
        for _ in range(60):
            data = bytearray(whole)
            for place in rng.integers(0, len(data), rng.integers(1, 6)):
                data[place] = rng.integers(0, 256)
            path.write_bytes(bytes(data))
            try:
                open_motion(files / "07_02.amc", feet="keep")
            except PersonaError:
                continue
        path.write_bytes(whole)


@pytest.mark.skipif(not REAL.is_file(), reason="needs the shared motion files")
def test_a_real_file_keeps_its_limbs_and_stands():
    found = open_motion(REAL)
    assert found.motion.frame_count == 597
    errors = found.limb_errors(found.motion)
    assert max(errors.values()) < 5.0
    assert "1.80 m" in found.facts["units"]
