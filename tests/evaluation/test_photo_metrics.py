"""PSNR and overlap at 512 pixels: perfect for the avatar's own picture, low for another."""

import pytest
import torch

from persona.evaluation.metrics import METRICS
from persona.evaluation.photo_metrics import PERSON_HEIGHT_PX, measure_photo, photo_window
from persona.records.observation import Observation
from persona.records.photo import Photo


@pytest.fixture(scope="module")
def own_photo(plain_avatar):
    drawn = plain_avatar.render(
        plain_avatar.photo_params, plain_avatar.photo_camera, background=torch.ones(3)
    )
    rows = torch.nonzero(drawn.alpha.amax(1) > 0.5)[:, 0]
    columns = torch.nonzero(drawn.alpha.amax(0) > 0.5)[:, 0]
    observation = Observation(
        mask=drawn.alpha.clamp(0, 1),
        mask_source="alpha",
        box=tuple(float(x) for x in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)),
        body=torch.zeros(33, 2),
        body_confidence=torch.ones(33),
        body_world=torch.zeros(33, 3),
        parts=(drawn.alpha > 0.5).long(),
    )
    return Photo(rgb=drawn.color.clamp(0, 1)), observation


def test_the_window_makes_the_person_512_tall(plain_avatar, own_photo):
    _, mask, camera = photo_window(*own_photo, plain_avatar.photo_camera)
    rows = torch.nonzero(mask.amax(1) > 0.5)[:, 0]
    assert int(rows[-1] - rows[0] + 1) == pytest.approx(PERSON_HEIGHT_PX, abs=3)
    assert mask.shape == (camera.height, camera.width)


def test_its_own_picture_passes_and_a_shifted_one_fails(plain_avatar, own_photo):
    photo, observation = own_photo
    numbers = measure_photo(plain_avatar, photo, observation)
    assert METRICS["psnr_db"].passes(numbers["psnr_db"])
    assert METRICS["iou"].passes(numbers["iou"])
    shifted = Observation(**{**vars(observation), "mask": observation.mask.roll(25, 1)})
    worse = measure_photo(plain_avatar, Photo(rgb=photo.rgb.roll(25, 1)), shifted)
    assert not METRICS["iou"].passes(worse["iou"])
    assert worse["psnr_db"] < numbers["psnr_db"] - 5
