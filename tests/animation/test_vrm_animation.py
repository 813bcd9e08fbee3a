"""VRM animations: made here with nodes turned at rest, the real one, and damaged ones."""

from pathlib import Path

import numpy as np
import pytest
import torch

from persona.animation.clips import clip
from persona.animation.exchange import open_motion
from persona.core.errors import FileFormatError, PersonaError
from persona.geometry.rotations import axis_angle_to_matrix
from tests.vrma_files import write_vrma

REAL = Path(__file__).parents[3] / "shared" / "data" / "motions" / "three_vrm_test.vrma"


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
