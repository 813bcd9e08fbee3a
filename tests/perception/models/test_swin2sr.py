import numpy as np
import pytest
import torch

from persona.core.errors import FileFormatError
from persona.geometry.cameras import Camera
from persona.perception.models.faces import enlarge_face
from persona.perception.models.swin2sr import Swin2Sr
from persona.records.frame_labels import EnlargedFace
from persona.records.frame_set import picture_from
from tests.perception.models.conftest import save_swin2sr

CPU = torch.device("cpu")


def test_pictures_of_any_size_become_twice_as_large(tmp_path):
    model = save_swin2sr(tmp_path)
    read = Swin2Sr.load(tmp_path, device=CPU)
    picture = np.random.default_rng(0).integers(0, 256, (21, 32, 3), dtype=np.uint8)
    made = read(picture)
    assert made.shape == (42, 64, 3)
    assert made.dtype == np.uint8
    with torch.no_grad():
        seen = model(read.processor(picture, return_tensors="pt")["pixel_values"].float())
    wanted = seen.reconstruction[0, :, :42, :64].clamp(0, 1).permute(1, 2, 0) * 255
    assert np.abs(made - wanted.numpy()).max() <= 0.51


def test_another_factor_is_refused(tmp_path):
    save_swin2sr(tmp_path, upscale=4)
    with pytest.raises(FileFormatError, match="4 times as large"):
        Swin2Sr.load(tmp_path, device=CPU)


def doubled(picture):
    return picture.repeat(2, 0).repeat(2, 1)


def seen_face(left, top, right, bottom):
    mesh = np.full((478, 3), [(left + right) / 2, (top + bottom) / 2, 0])
    mesh[0, :2], mesh[1, :2] = (left, top), (right, bottom)
    return mesh


def test_a_face_is_cut_out_with_room_and_enlarged():
    picture = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    face = enlarge_face(picture, seen_face(50, 40, 90, 100), doubled)
    assert (face.left, face.top, face.scale) == (41, 31, 2)
    # 60 rows and 0.15 of them above and below.
    assert face.image_8.shape == (158, 118, 3)
    np.testing.assert_array_equal(face.image_8[::2, ::2], picture[31:110, 41:100])


@pytest.mark.parametrize("box", [None, (50, 40, 60, 48), (10, 10, 190, 260), (195, 40, 230, 100)])
def test_no_face_a_tiny_or_a_large_one_is_left(box):
    face = None if box is None else seen_face(*box)
    assert enlarge_face(np.zeros((300, 200, 3), np.uint8), face, doubled) is None


def test_the_enlarged_face_is_a_picture_of_its_own():
    camera = Camera(
        focal_px=500.0, center_px=(90.0, 150.0), width=200, height=300, T_camera_world=torch.eye(4)
    )
    mask = torch.zeros(300, 200)
    mask[:, 60:] = 1
    whole = picture_from(3, camera, torch.zeros(300, 200, 3), mask, trust=0.5)
    face = EnlargedFace(
        left=40, top=30, scale=2, image_8=torch.full((160, 120, 3), 7, dtype=torch.uint8)
    )
    near = face.shown_in(whole)
    assert (near.frame, near.trust, near.camera.height, near.camera.width) == (3, 0.5, 160, 120)
    point = torch.tensor([[0.05, -0.1, 1.0]])
    pixel, _ = camera.project(point)
    closer, _ = near.camera.project(point)
    torch.testing.assert_close(closer, (pixel - torch.tensor([40.0, 30.0])) * 2)
    assert (near.mask[:, :38] == 0).all()
    assert (near.mask[:, 42:] == 1).all()
    assert (
        face.shown_in(picture_from(3, camera, torch.zeros(300, 200, 3), mask.flip(1))) is not None
    )
    away = torch.zeros(300, 200)
    away[200:] = 1
    assert face.shown_in(picture_from(3, camera, torch.zeros(300, 200, 3), away)) is None
