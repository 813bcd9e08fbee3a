"""Masks and joints of models in the frames' labels, on a person whom MediaPipe sees."""

import numpy as np
import pytest
import torch

from persona.geometry.cameras import Camera
from persona.perception.detectors import Detectors
from persona.perception.frame_labels import LabelFrame, embedded_labels, frame_labels, look
from persona.perception.models.labels import ModelLabels, see
from persona.perception.models.pictures import mask_box
from persona.perception.models.sapiens2 import JOINTS
from persona.perception.models.vitmatte import DOUBT, SURE, trimap
from persona.records.frame_set import picture_from
from persona.synthesis.sample.person import draw_sample_person
from tests.perception.models.conftest import (
    save_depth,
    save_depth_pro,
    save_marigold,
    save_sapiens2_normals,
    save_sapiens2_parts,
    save_sapiens2_pose,
    save_swin2sr,
    save_vitmatte,
)


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


def labels_of(weights, *names):
    return ModelLabels(folders={name: weights / name for name in names}, device=torch.device("cpu"))


def test_frames_are_labelled_by_the_models_from_their_folders(weights, picture):
    labels = labels_of(weights, "sam2", "vitpose")
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
        assert one.face is None
    assert labels_of(weights, "sam2").key != labels.key


@pytest.mark.parametrize(
    ("depth", "save_depth"), [("depth-anything", save_depth), ("depth-pro", save_depth_pro)]
)
@pytest.mark.parametrize(
    ("normals", "save_normals"),
    [("marigold", save_marigold), ("sapiens2-normals", save_sapiens2_normals)],
)
def test_normals_and_depth_are_given_where_the_person_is(
    depth, save_depth, normals, save_normals, weights, picture
):
    save_normals(weights / normals)
    save_depth(weights / depth)
    with labels_of(weights, "sam2", normals, depth)() as label:
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


def test_without_sam_2_the_embedded_mask_is_refined(weights, picture):
    """Random weights say nothing of the person: all that they may change is the border."""
    save_vitmatte(weights / "vitmatte")
    save_sapiens2_parts(weights / "sapiens2-parts")
    save_swin2sr(weights / "swin2sr")
    with labels_of(weights, "sapiens2-parts", "vitmatte", "swin2sr")() as label:
        made = label(picture)
    with embedded_labels() as label:
        plain = label(picture)
    changed = (made.mask - plain.mask).abs() > SURE
    doubt = torch.from_numpy(trimap(plain.mask.numpy()) == DOUBT)
    assert bool(changed.any())
    assert not bool((changed & ~doubt).any())
    assert torch.equal(made.parts > 0, made.mask > 0.5)
    assert not torch.equal(made.parts, plain.parts)
    assert torch.equal(made.body, plain.body)
    rows, columns = (side // 2 for side in made.face.image_8.shape[:2])
    here = picture[made.face.top :, made.face.left :][:rows, :columns]
    assert here.shape == (rows, columns, 3)
    nose = made.body[0] - torch.tensor([made.face.left, made.face.top])
    assert bool(((nose > 0) & (nose < torch.tensor([columns, rows]))).all())


def test_sapiens_moves_body_hands_and_feet_but_no_face(weights, picture):
    save_sapiens2_pose(weights / "sapiens2-pose")
    with labels_of(weights, "sapiens2-pose")() as label:
        made = label(picture)
    with embedded_labels() as label:
        plain = label(picture)
    moved = (made.body - plain.body).norm(dim=1) > 1e-3
    assert not bool(moved[:11].any())
    assert bool(moved[list(JOINTS)].any())


def test_whose_edges_vanish_is_nobody(picture):
    pixels = picture.numpy()
    with Detectors() as detectors:
        found = look(pixels, detectors)
    assert frame_labels(pixels, found) is not None
    assert frame_labels(pixels, found, edges=lambda _, mask: 0 * mask) is None
