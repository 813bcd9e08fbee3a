from types import SimpleNamespace

import numpy as np
import pytest
import torch

from persona.core.errors import FileFormatError
from persona.perception.models.labels import move_joints
from persona.perception.models.vitpose import MARKS, VitPose
from tests.perception.models.conftest import tiny_vitpose

CPU = torch.device("cpu")


def test_the_published_layout_gives_joints(weights):
    read = VitPose.load(weights / "vitpose", device=CPU)
    made = VitPose(model=tiny_vitpose(), processor=read.processor, device=CPU)
    picture = np.random.default_rng(0).integers(0, 256, (120, 90, 3), dtype=np.uint8)
    box = (10.0, 20.0, 60.0, 100.0)
    joints, scores = read(picture, box)
    assert joints.shape == (17, 2)
    assert scores.shape == (17,)
    wanted, _ = made(picture, box)
    np.testing.assert_allclose(joints, wanted)


def test_heat_at_a_place_is_a_joint_there(weights):
    """Peaks on the grid of the maps come back where the box has them in the picture."""
    read = VitPose.load(weights / "vitpose", device=CPU)
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(12.0), indexing="ij")
    at = torch.tensor([(2 + k % 8, 2 + k % 11) for k in range(17)]).float()
    away = (rows - at[:, 1, None, None]) ** 2 + (columns - at[:, 0, None, None]) ** 2
    heat = torch.exp(-away / 8)[None]

    class Sure:
        config = read.model.config

        def __call__(self, *_, **__):
            return SimpleNamespace(heatmaps=heat)

    sure = VitPose(model=Sure(), processor=read.processor, device=CPU)
    # 3 to 4 as the model's pictures are, and enlarged by a quarter to all sides: 75 x 100 px.
    joints, scores = sure(np.zeros((200, 200, 3), np.uint8), (50.0, 60.0, 110.0, 140.0))
    wanted = torch.stack([at[:, 0] / 11 * 75 + 80 - 37.5, at[:, 1] / 15 * 100 + 100 - 50], 1)
    np.testing.assert_allclose(joints, wanted.numpy(), atol=0.6)
    assert scores.min() > 0.99


def test_another_number_of_joints_is_refused(weights):
    tiny_vitpose(joints=5).save_pretrained(weights / "vitpose")
    with pytest.raises(FileFormatError, match="finds 5 joints"):
        VitPose.load(weights / "vitpose", device=CPU)


def test_a_missing_processor_is_refused(weights):
    (weights / "vitpose" / "preprocessor_config.json").unlink()
    with pytest.raises(FileFormatError, match="VitPoseImageProcessorPil cannot be read"):
        VitPose.load(weights / "vitpose", device=CPU)


def test_only_sure_joints_move_and_hands_and_feet_go_along():
    body = np.arange(66.0).reshape(33, 2)
    joints = np.full((17, 2), 500.0)
    scores = np.zeros(17)
    scores[MARKS.index(27)], scores[MARKS.index(0)] = 0.9, 0.9
    moved = move_joints(body, joints, scores, marks=MARKS)
    np.testing.assert_allclose(moved[27], 500)
    for mark in (29, 31):
        np.testing.assert_allclose(moved[mark] - moved[27], body[mark] - body[27])
    still = [k for k in range(33) if k not in (27, 29, 31)]
    np.testing.assert_allclose(moved[still], body[still])


def test_feet_that_a_model_sees_itself_are_its_own():
    body = np.arange(66.0).reshape(33, 2)
    joints, scores = np.array([[500.0, 500], [7, 8], [1, 2]]), np.array([0.9, 0.9, 0.1])
    moved = move_joints(body, joints, scores, marks=(27, 31, 29))
    np.testing.assert_allclose(moved[[27, 31]], joints[:2])
    np.testing.assert_allclose(moved[29] - moved[27], body[29] - body[27])
