"""Readers of published folders, on small generated copies of their layouts."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from persona.body import load_body
from persona.core.errors import FileFormatError, InputError
from persona.evaluation.readers.neuman import neuman_subject
from persona.evaluation.readers.opening import Opener
from persona.evaluation.readers.qualisys import read_qualisys
from persona.evaluation.readers.xhumans import xhumans_subject
from persona.evaluation.spec import SubjectSpec
from persona.geometry.cameras import photo_camera
from persona.images.files import write_png
from persona.images.masks import overlap
from persona.records.body_params import rest_params
from persona.rendering.body_maps import draw_body_maps
from tests import smplx_files

WIDTH, HEIGHT, FOCAL = 96, 128, 150.0


@pytest.fixture(scope="module")
def body_file(tmp_path_factory):
    arrays, _ = smplx_files.human_arrays()
    return smplx_files.write_npz(tmp_path_factory.mktemp("body") / "SMPLX_NEUTRAL.npz", arrays)


@pytest.fixture(scope="module")
def body(body_file):
    return load_body(body_file)


def pose(turn=0.0):
    """Upright before a camera whose y points down, as both data sets have them."""
    bent = torch.zeros(21, 3)
    bent[15, 2], bent[16, 2] = -0.9, 0.9
    upright = torch.tensor([np.pi, 0.0, 0.0], dtype=torch.float32)
    return replace(
        rest_params(),
        global_orient=upright,
        body_pose=bent + turn * 0.1,
        transl=torch.tensor([0.05, 0.2, 3.0]),
    )


def silhouette(body, params, camera):
    with torch.no_grad():
        posed = body.forward(params)
    return draw_body_maps(posed.vertices, body.faces, camera).mask.float()


def down_camera():
    """At the origin, y down: the frame that the fits are in."""
    return replace(photo_camera(WIDTH, HEIGHT, FOCAL), T_camera_world=torch.eye(4))


def picture_of(mask):
    return mask[..., None] * torch.tensor([0.7, 0.3, 0.2]) + (1 - mask[..., None]) * 0.4


def write_neuman(folder: Path, body, *, segmentations=False):
    camera = down_camera()
    fits = folder / "smplx_optimized"
    for name in ("images", "sparse", "smplx_optimized/smplx_params"):
        (folder / name).mkdir(parents=True)
    (folder / ("segmentations" if segmentations else "masks")).mkdir()
    for number in range(4):
        params = pose(number)
        mask = silhouette(body, params, camera)
        write_png(folder / "images" / f"{number:05d}.png", picture_of(mask))
        where = folder / ("segmentations" if segmentations else "masks")
        shown = 1 - mask if segmentations else mask
        write_png(where / f"{number:05d}.png", shown[..., None].expand(-1, -1, 3).contiguous())
        values = {
            "root_pose": params.global_orient,
            "body_pose": params.body_pose,
            "jaw_pose": params.jaw_pose,
            "leye_pose": params.leye_pose,
            "reye_pose": params.reye_pose,
            "lhand_pose": params.left_hand_pose,
            "rhand_pose": params.right_hand_pose,
            "expr": torch.zeros(50),
            "trans": params.transl,
        }
        plain = {key: value.tolist() for key, value in values.items()}
        (fits / "smplx_params" / f"{number}.json").write_text(json.dumps(plain))
    (fits / "shape_param.json").write_text(json.dumps([0.0] * 10))
    (fits / "joint_offset.json").write_text(json.dumps(np.zeros((55, 3)).tolist()))
    (folder / "train_split.txt").write_text("00000.png\n00002.png\n")
    (folder / "test_split.txt").write_text("00001.png\n00003.png\n")
    lens = f"1 PINHOLE {WIDTH} {HEIGHT} {FOCAL} {FOCAL} {WIDTH / 2} {HEIGHT / 2}"
    (folder / "sparse" / "cameras.txt").write_text(f"# Camera list\n{lens}\n")
    return folder


@pytest.fixture(scope="module")
def neuman(tmp_path_factory, body):
    return write_neuman(tmp_path_factory.mktemp("neuman") / "bike", body)


def spec(kind, **more):
    return SubjectSpec(name="bike", kind=kind, **more)


@pytest.mark.parametrize("segmentations", [False, True])
def test_neuman_stands_upright_in_its_own_pictures(tmp_path, body, body_file, segmentations):
    folder = write_neuman(tmp_path / "citron", body, segmentations=segmentations)
    subject = neuman_subject(folder, spec("neuman"), body=body_file)
    assert subject.frame_count == 2
    assert subject.photo.rgb.shape == (HEIGHT, WIDTH, 3)
    frames = list(subject.frames())
    assert [frame.name for frame in frames] == ["00001", "00003"]
    for frame in [*frames, subject.still]:
        # The pose, in our frame, drawn by the camera of our frame, is what the picture shows.
        again = silhouette(body, replace(frame.params, betas=torch.zeros(10)), frame.camera)
        assert overlap(again, frame.mask) > 0.97
        pixels, depth = frame.camera.project(frame.joints)
        rows = pixels[:22, 1].round().long().clamp(0, HEIGHT - 1)
        columns = pixels[:22, 0].round().long().clamp(0, WIDTH - 1)
        assert float(frame.mask[rows, columns].mean()) > 0.8
        assert float(depth.min()) > 2
        assert frame.joints[15, 1] > frame.joints[0, 1] > frame.joints[7, 1], "head above feet"
    assert [f.index for f in subject.frames(1)] == [1]


def test_neuman_takes_the_photo_that_was_named_and_shrinks_frames(neuman, body_file):
    subject = neuman_subject(neuman, spec("neuman", front=2, rows=64), body=body_file)
    assert subject.still.name == "00002"
    frame = next(subject.frames())
    assert frame.picture.shape == (64, 48, 3)
    with pytest.raises(InputError, match="train split"):
        neuman_subject(neuman, spec("neuman", front=1), body=body_file)


MISSING = {
    "images/00001.png": "a frame of the split",
    "masks/00001.png": "its mask",
    "sparse/cameras.txt": "the lens",
    "test_split.txt": "names of the split's frames",
    "smplx_optimized/smplx_params/1.json": "the pose of a frame",
    "smplx_optimized/shape_param.json": "the person's shape",
}


@pytest.mark.parametrize("piece", sorted(MISSING))
def test_every_missing_piece_of_neuman_is_named(tmp_path, body, body_file, piece):
    folder = write_neuman(tmp_path / "jogging", body)
    (folder / piece).unlink()
    with pytest.raises(FileFormatError) as refused:
        list(neuman_subject(folder, spec("neuman"), body=body_file).frames())
    assert Path(piece).name in refused.value.what
    assert MISSING[piece] in refused.value.what


DAMAGED = {
    "test_split.txt": ("../secret.png\n", "holds '../secret.png'"),
    "sparse/cameras.txt": ("1 OPENCV 96 128 1 1 1 1 0 0 0 0", "bends lines"),
    "smplx_optimized/shape_param.json": ('{"a": 1}', "holds numbers of shape"),
    "smplx_optimized/smplx_params/1.json": ('{"root_pose": [0, 0, 0]}', "has no body_pose"),
}


@pytest.mark.parametrize("piece", sorted(DAMAGED))
def test_every_damaged_piece_of_neuman_is_named(tmp_path, body, body_file, piece):
    folder = write_neuman(tmp_path / "seattle", body)
    text, said = DAMAGED[piece]
    (folder / piece).write_text(text)
    with pytest.raises(FileFormatError) as refused:
        list(neuman_subject(folder, spec("neuman"), body=body_file).frames())
    assert said in refused.value.what


def test_neuman_without_its_folders_or_body_says_so(tmp_path, neuman, body_file):
    with pytest.raises(FileFormatError, match="SMPL-X fits"):
        (tmp_path / "empty").mkdir()
        neuman_subject(tmp_path / "empty", spec("neuman"), body=body_file)
    with pytest.raises(FileFormatError, match="the SMPL-X file"):
        neuman_subject(neuman, spec("neuman"), body=tmp_path / "none.npz")
    opener = Opener(root=tmp_path, truth=tmp_path, cache=tmp_path)
    with pytest.raises(InputError, match="has no body"):
        opener.open(spec("neuman", path="x"))


def write_xhumans(folder: Path, body):
    camera = down_camera()
    for split, take in (("train", "Take2"), ("test", "Take9"), ("test", "Take10")):
        place = folder / split / take
        for name in ("render/image", "render/depth", "SMPLX"):
            (place / name).mkdir(parents=True)
        for number in (1, 2):
            params = pose(number)
            mask = silhouette(body, params, camera)
            write_png(place / "render/image" / f"color_{number:06d}.png", picture_of(mask))
            depth = torch.where(mask > 0.5, 3.0, 1000.0).numpy().astype(np.float32)
            cv2.imwrite(str(place / "render/depth" / f"depth_{number:06d}.tiff"), depth)
            values = {
                name: getattr(params, name).numpy().reshape(-1)
                for name in (
                    *("global_orient", "body_pose", "jaw_pose", "leye_pose", "reye_pose"),
                    *("left_hand_pose", "right_hand_pose", "transl"),
                )
            }
            values |= {"betas": np.zeros(10, np.float32), "expression": np.zeros(10, np.float32)}
            with (place / "SMPLX" / f"mesh-f{number:05d}_smplx.pkl").open("wb") as file:
                pickle.dump(values, file)
        intrinsic = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
        extrinsic = np.tile(np.eye(4)[:3], (2, 1, 1))
        np.savez(place / "render/cameras.npz", intrinsic=intrinsic, extrinsic=extrinsic)
    return folder


@pytest.fixture(scope="module")
def xhumans(tmp_path_factory, body):
    return write_xhumans(tmp_path_factory.mktemp("xhumans") / "00028", body)


def test_xhumans_gives_the_takes_of_the_test_split(xhumans, body, body_file):
    subject = xhumans_subject(xhumans, spec("xhumans"), body=body_file)
    frames = list(subject.frames())
    assert [frame.name for frame in frames] == [
        "Take10_000001",
        "Take10_000002",
        "Take9_000001",
        "Take9_000002",
    ]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    for frame in [*frames, subject.still]:
        again = silhouette(body, replace(frame.params, betas=torch.zeros(10)), frame.camera)
        assert overlap(again, frame.mask) > 0.97
    assert xhumans_subject(xhumans, spec("xhumans", frames=2), body=body_file).frame_count == 2
    with pytest.raises(InputError, match="front = N"):
        xhumans_subject(xhumans, spec("xhumans", front=7), body=body_file)


TAKE = "test/Take9"
XMISSING = {
    f"{TAKE}/render/depth/depth_000001.tiff": "depth, which is the mask",
    f"{TAKE}/render/cameras.npz": "cameras of Take9",
    f"{TAKE}/SMPLX/mesh-f00002_smplx.pkl": "the SMPL-X fit of a frame",
}


@pytest.mark.parametrize("piece", sorted(XMISSING))
def test_every_missing_piece_of_xhumans_is_named(tmp_path, body, body_file, piece):
    folder = write_xhumans(tmp_path / "00034", body)
    (folder / piece).unlink()
    with pytest.raises(FileFormatError) as refused:
        list(xhumans_subject(folder, spec("xhumans"), body=body_file).frames())
    assert XMISSING[piece] in refused.value.what


def test_foreign_and_damaged_pieces_of_xhumans_are_refused(tmp_path, body, body_file):
    folder = write_xhumans(tmp_path / "00087", body)
    place = folder / TAKE
    fit = place / "SMPLX" / "mesh-f00001_smplx.pkl"
    kept = fit.read_bytes()
    fit.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(FileFormatError, match="mesh-f00001"):
        list(xhumans_subject(folder, spec("xhumans"), body=body_file).frames())
    fit.write_bytes(kept)
    (place / "render/depth/depth_000001.tiff").write_bytes(b"no picture")
    with pytest.raises(FileFormatError, match="no picture of depth"):
        list(xhumans_subject(folder, spec("xhumans"), body=body_file).frames())
    np.savez(place / "render/cameras.npz", intrinsic=np.eye(3), extrinsic=np.zeros((5, 3, 4)))
    with pytest.raises(FileFormatError, match="5 cameras for 2 pictures"):
        xhumans_subject(folder, spec("xhumans"), body=body_file)


QCA = """<?xml version='1.0'?><calibration><cameras><camera serial="cam01">
<fov_video bottom="1919" left="0" right="1087" top="0"/>
<transform r11="1" r12="0" r13="0" r21="0" r22="1" r23="0" r31="0" r32="0" r33="1"
 x="1000" y="2000" z="3000"/>
<intrinsic centerPointU="34816" centerPointV="61440" focalLengthU="107520" focalLengthV="107520"
 radialDistortion1="0.1" radialDistortion2="0" radialDistortion3="0.3"
 tangentalDistortion1="0.01" tangentalDistortion2="0.02"/>
</camera></cameras></calibration>"""


def test_a_qualisys_camera_is_read_in_pixels_and_metres(tmp_path):
    path = tmp_path / "c.qca.txt"
    path.write_text(QCA)
    camera = read_qualisys(path)["cam01"]
    assert camera.size == (1088, 1920)
    assert camera.matrix[0].tolist() == [1680.0, 0.0, 544.0]
    assert camera.position.tolist() == [1.0, 2.0, 3.0]
    assert camera.distortion.tolist() == [0.1, 0.0, 0.01, 0.02, 0.3]
    # It looks down its own -z: a point below it lies before it.
    assert (camera.T_camera_lab @ [1.0, 2.0, 1.0, 1.0])[:3].tolist() == [0.0, 0.0, 2.0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<?xml version='1.0'?>", "<!DOCTYPE a [<!ENTITY b 'c'>]>"),
        ('r11="1"', 'r11="2"'),
        ('focalLengthU="107520" ', ""),
        ('x="1000"', 'x="nan"'),
        ("<cameras>", "<other>"),
    ],
)
def test_damaged_calibrations_are_refused(tmp_path, old, new):
    path = tmp_path / "c.qca.txt"
    path.write_text(QCA.replace(old, new))
    with pytest.raises(FileFormatError, match=r"c\.qca\.txt cannot be read"):
        read_qualisys(path)
