"""Masks and joints of models in the frames' labels, on a person whom MediaPipe sees."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from persona.geometry.cameras import Camera
from persona.perception.detectors import Detectors
from persona.perception.frame_labels import LabelFrame, embedded_labels, look
from persona.perception.models.labels import ModelLabels, mask_box, see
from persona.records.frame_set import picture_from
from persona.synthesis.sample.person import draw_sample_person
from tests.perception.models.conftest import save_depth, save_marigold


@pytest.fixture(scope="module")
def picture():
    return (draw_sample_person(seed=11, height=512) * 255).round().to(torch.uint8)


class Masks:
    """Follow a person whose mask is known."""

    def __init__(self, mask):
        self.mask, self.box = mask, None

    @property
    def started(self):
        return self.box is not None

    def start(self, picture, box):
        self.box = box
        return self.mask

    def next(self, picture):
        return self.mask


def test_the_mask_that_is_followed_takes_the_place_of_the_coarse_one(picture):
    pixels = picture.numpy()
    with Detectors() as detectors:
        found = look(pixels, detectors)
        half = np.where(np.arange(len(pixels))[:, None] < 250, found.mask, 0)
        masks = Masks(half)
        first = see(pixels, masks, detectors)
        assert masks.box == found.box
        np.testing.assert_array_equal(first.mask, half)
        again = see(pixels, replace_mask(masks, found.mask), detectors)
        np.testing.assert_array_equal(again.mask, found.mask)
        apart = np.linalg.norm(again.body - found.body, axis=1).mean()
        assert apart < 0.05 * (mask_box(found.mask)[3] - mask_box(found.mask)[1])
        for nobody in (None, np.zeros_like(half)):
            assert see(pixels, replace_mask(masks, nobody), detectors) is None
        assert see(np.full_like(pixels, 128), Masks(half), detectors) is None


def replace_mask(masks, mask):
    masks.mask = mask
    return masks


def test_frames_are_labelled_by_the_models_from_their_folders(weights, picture):
    labels = ModelLabels(
        sam2=weights / "sam2", vitpose=weights / "vitpose", device=torch.device("cpu")
    )
    with labels() as label:
        assert isinstance(label, LabelFrame)
        made = [label(picture), label(picture)]
    with embedded_labels() as label:
        plain = label(picture)
    for one in made:
        assert one.mask.shape == one.parts.shape == picture.shape[:2]
        assert bool(torch.isfinite(one.body).all())
        # The face is MediaPipe's, looked at in another window the second time.
        assert float((one.body[0] - plain.body[0]).norm()) < 25
        assert one.normal is None
        assert one.depth is None
    assert replace(labels, sam2=weights).key != labels.key


def test_normals_and_depth_are_given_where_the_person_is(weights, picture):
    save_marigold(weights / "marigold")
    save_depth(weights / "depth")
    labels = ModelLabels(
        sam2=weights / "sam2",
        vitpose=weights / "vitpose",
        marigold=weights / "marigold",
        depth=weights / "depth",
        device=torch.device("cpu"),
    )
    with labels() as label:
        made = label(picture)
    lengths, inside = made.normal.norm(dim=-1), made.mask > 0.5
    torch.testing.assert_close(lengths, inside.float())
    assert torch.equal(made.depth > 0, inside)
    camera = Camera(
        focal_px=500.0, center_px=(192.0, 256.0), width=384, height=512, T_camera_world=torch.eye(4)
    )
    rgb = picture.float() / 255
    shown = picture_from(0, camera, rgb, made.mask, normal=made.normal)
    assert float((shown.normal - made.normal).abs().max()) < 0.01
