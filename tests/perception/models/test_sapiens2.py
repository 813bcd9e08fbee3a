from types import SimpleNamespace

import numpy as np
import pytest
import torch

from persona.core.errors import FileFormatError, MissingPartError
from persona.perception.models.pictures import IMAGENET
from persona.perception.models.sapiens2 import (
    CLASSES,
    JOINTS,
    Sapiens2Matting,
    Sapiens2Normals,
    Sapiens2Parts,
    Sapiens2Pose,
)
from persona.records.observation import Part
from tests.perception.models.conftest import (
    save_sapiens2_matting,
    save_sapiens2_normals,
    save_sapiens2_parts,
    save_sapiens2_pose,
)

CPU = torch.device("cpu")
PICTURE = np.random.default_rng(0).integers(0, 256, (128, 96, 3), dtype=np.uint8)
MASK = np.zeros((128, 96), np.float32)
MASK[20:100, 30:70] = 1


class Says:
    """A model that says the same of every picture, and remembers what it was shown."""

    def __init__(self, **said):
        self.said = SimpleNamespace(**said)

    def __call__(self, pixels):
        self.pixels = pixels
        return self.said


def saying(kind, **said):
    return kind(model=Says(**said), height=64, width=48, device=CPU)


@pytest.mark.parametrize(
    ("kind", "save"),
    [
        (Sapiens2Pose, save_sapiens2_pose),
        (Sapiens2Parts, save_sapiens2_parts),
        (Sapiens2Normals, save_sapiens2_normals),
        (Sapiens2Matting, save_sapiens2_matting),
    ],
)
def test_the_published_layout_is_read_and_damage_refused(kind, save, tmp_path):
    model = save(tmp_path)
    read = kind.load(tmp_path, device=CPU)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(read.model.state_dict()[name], tensor)
    settings = tmp_path / "preprocessor_config.json"
    for wrong in ("{}", '{"size": 64}', '{"size": {"height": 64, "width": 40}}'):
        settings.write_text(wrong)
        with pytest.raises(FileFormatError, match="states pictures of size"):
            kind.load(tmp_path, device=CPU)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(MissingPartError) as caught:
        kind.load(tmp_path, device=CPU)
    assert f"persona weights fetch {kind.weights}" in caught.value.fix


def test_a_model_of_other_outputs_is_refused(tmp_path):
    save_sapiens2_pose(tmp_path, outputs=17)
    with pytest.raises(FileFormatError, match="has 17 outputs"):
        Sapiens2Pose.load(tmp_path, device=CPU)


def test_random_weights_find_joints(tmp_path):
    save_sapiens2_pose(tmp_path)
    pose = Sapiens2Pose.load(tmp_path, device=CPU)
    joints, scores = pose(PICTURE, (30.0, 20.0, 70.0, 100.0))
    assert joints.shape == (len(JOINTS), 2)
    assert scores.shape == (len(pose.marks),)
    assert np.isfinite(joints).all()


def test_heat_at_a_place_is_a_joint_there():
    """Peaks, between the pixels of the maps, come back where the box has them in the picture."""
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(48.0), indexing="ij")
    at = torch.tensor([(8.3 + k % 30, 9.6 + k % 41) for k in range(308)])
    away = (rows - at[:, 1, None, None]) ** 2 + (columns - at[:, 0, None, None]) ** 2
    pose = saying(Sapiens2Pose, heatmaps=torch.exp(-away / 18)[None])
    joints, scores = pose(np.zeros((200, 200, 3), np.uint8), (50.0, 60.0, 110.0, 140.0))
    # 3 to 4 as the model's pictures are, and enlarged by a quarter to all sides: 75 x 100 px.
    wanted = torch.stack([at[:, 0] / 47 * 75 + 80 - 37.5, at[:, 1] / 63 * 100 + 100 - 50], 1)
    np.testing.assert_allclose(joints, wanted[list(JOINTS.values())].numpy(), atol=0.1)
    assert scores.min() > 0.9


def test_joints_are_those_of_the_published_list():
    """Left and right, and every limb from its root to its end, in the publisher's own order."""
    assert [JOINTS[mark] for mark in (11, 12, 13, 14, 23, 24, 25, 26, 27, 28)] == list(range(5, 15))
    assert (JOINTS[15], JOINTS[16]) == (62, 41)
    assert [JOINTS[mark] for mark in (31, 29, 32, 30)] == [15, 17, 18, 20]


def test_classes_become_parts_inside_the_person_alone():
    logits = torch.full((1, 29, 64, 48), -9.0)
    # From top to bottom: hair, apparel, upper clothing, left and right sock.
    for rows, name in ((slice(0, 16), 4), (slice(16, 24), 1), (slice(24, 48), 23)):
        logits[:, name, rows] = 9
    logits[:, 10, 48:], logits[:, 19, 48:] = 2.0, 2.0
    logits[:, 13, 48:] = 2.5
    known = np.where(MASK > 0.5, int(Part.LOWER), int(Part.BACKGROUND))
    model = saying(Sapiens2Parts, logits=logits)
    made = model(PICTURE, known)
    assert ((made == Part.BACKGROUND) == (MASK < 0.5)).all()
    column = made[20:100, 50]
    order = [int(part) for k, part in enumerate(column) if k == 0 or part != column[k - 1]]
    # Two socks in doubt are shoes for certain, though trousers are the likeliest single class.
    assert order == [Part.HAIR, Part.LOWER, Part.UPPER, Part.SHOES]
    assert model.model.pixels.shape == (1, 3, 64, 48)


def test_every_class_has_a_part():
    assert len(CLASSES) == 29
    assert set(CLASSES) == set(Part)


def test_normals_are_of_the_whole_picture_in_the_cameras_frame():
    towards = torch.tensor([0.0, 0.6, 0.8])
    model = saying(Sapiens2Normals, normals=3 * towards.view(1, 3, 1, 1).expand(1, 3, 64, 48))
    made = model(torch.from_numpy(PICTURE))
    assert made.shape == PICTURE.shape
    torch.testing.assert_close(
        made, torch.tensor([0.0, -0.6, -0.8]).expand_as(made), atol=1e-5, rtol=0
    )
    # As published: the aspect is kept, colours are ImageNet's.
    wide = saying(Sapiens2Normals, normals=torch.ones(1, 3, 64, 48))
    wide(torch.full((24, 48, 3), 255, dtype=torch.uint8))
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in IMAGENET)
    shown = (wide.model.pixels[0] * deviation + mean).mean(0)
    torch.testing.assert_close(shown[20:44], torch.ones(24, 48))
    torch.testing.assert_close(shown[:19], torch.zeros(19, 48), atol=1e-6, rtol=0)


def test_random_weights_give_unit_normals_and_coverage(tmp_path):
    save_sapiens2_normals(tmp_path / "normals")
    normals = Sapiens2Normals.load(tmp_path / "normals", device=CPU)
    made = normals(torch.from_numpy(PICTURE))
    torch.testing.assert_close(made.norm(dim=-1), torch.ones(128, 96))
    save_sapiens2_matting(tmp_path / "matting")
    alpha = Sapiens2Matting.load(tmp_path / "matting", device=CPU)(PICTURE, MASK)
    assert alpha.shape == MASK.shape
    assert 0 < alpha.max() <= 1


def test_coverage_far_from_the_mask_is_somebody_elses():
    model = saying(Sapiens2Matting, alphas=torch.full((1, 1, 64, 48), 0.75))
    alpha = model(PICTURE, MASK)
    np.testing.assert_allclose(alpha[MASK > 0], 0.75, atol=1e-6)
    assert (alpha[:17] == 0).all()
    assert (alpha[18:20, 40] > 0.7).all(), "hair that stands out is the person's"
