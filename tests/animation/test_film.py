"""Films behind the person: the picture of the moment, and the place without its people."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from persona.animation.clips import clip
from persona.animation.film import aspect_of, film_behind, plate_of
from persona.animation.grounding import ground_motion
from persona.animation.source_cameras import cameras_for, read_cameras
from persona.core.errors import FileFormatError, InputError
from persona.export.video import VideoConfig, write_mp4
from persona.geometry.cameras import Camera, look_at


def grey_film(path, levels, fps=10.0):
    """A film whose pictures are plain, of growing brightness."""
    frames = (torch.full((32, 48, 3), level) for level in levels)
    write_mp4(frames, path, config=VideoConfig(fps=fps, crf=1))
    return path


def test_every_moment_shows_its_picture_and_the_last_one_stays(tmp_path):
    path = grey_film(tmp_path / "f.mp4", [k / 20 for k in range(20)])
    times = [0.0, 0.05, 0.1, 0.95, 1.9, 7.0]
    shown = [float(p.mean()) * 20 for p in film_behind(path, times, width=20, height=10)]
    np.testing.assert_allclose(shown, [0, 0, 1, 9, 19, 19], atol=0.35)
    assert aspect_of(path) == 1.5


def test_a_folder_of_pictures_is_a_film(tmp_path):
    for k in range(3):
        Image.new("RGB", (8, 8), (80 * k,) * 3).save(tmp_path / f"{k}.png")
    shown = [float(p.mean()) * 255 for p in film_behind(tmp_path, [0, 1], width=8, height=8)]
    assert shown == pytest.approx([0, 160], abs=1)


def place_with_walker(path, *, shake=0):
    """A patterned wall before which a red bar goes from left to right."""
    rng = np.random.default_rng(0)
    wall = np.repeat(np.repeat(rng.random((12, 30, 3)), 8, 0), 8, 1).astype(np.float32)
    shifts = np.random.default_rng(1)

    def frames():
        for k in range(40):
            dx, dy = shifts.integers(-shake, shake + 1, 2) if shake else (0, 0)
            picture = np.roll(wall, (8 * dy, 8 * dx), (0, 1)).copy()
            picture[20:, 10 + 4 * k : 40 + 4 * k] = (1, 0, 0)
            yield torch.from_numpy(picture)

    write_mp4(frames(), path, config=VideoConfig(fps=10, crf=5))
    return wall


def red(picture):
    return (picture[..., 0] > 180) & (picture[..., 1:].max(-1) < 90)


def test_the_plate_shows_what_was_behind_people(tmp_path):
    wall = place_with_walker(tmp_path / "f.mp4")
    plate = plate_of(tmp_path / "f.mp4", width=240, height=96, people=red).numpy()
    assert np.median(np.abs(plate - wall)) < 0.03
    assert red((plate * 255).astype(np.uint8))[30:, 20:200].mean() < 0.02


def test_what_is_never_free_is_filled_and_said(tmp_path, recwarn):
    place_with_walker(tmp_path / "f.mp4")
    always = np.zeros((96, 240), bool)
    always[40:60, 100:130] = True
    plate = plate_of(
        tmp_path / "f.mp4", width=240, height=96, people=lambda picture: red(picture) | always
    )
    hole = plate[45:55, 105:125]
    assert float(hole.std()) < float(plate.std())
    assert 0.1 < float(hole.mean()) < 0.9


def test_a_moving_camera_has_no_plate(tmp_path):
    place_with_walker(tmp_path / "f.mp4", shake=3)
    with pytest.raises(InputError, match="no background that stands still"):
        plate_of(tmp_path / "f.mp4", width=240, height=96, people=red)


def test_what_is_no_film_is_refused(tmp_path):
    (tmp_path / "f.mp4").write_bytes(b"not a film at all")
    with pytest.raises(FileFormatError, match="not a video"):
        next(film_behind(tmp_path / "f.mp4", [0.0], width=8, height=8))


def track_file(path, frames):
    camera = look_at(torch.tensor([0.5, 1.2, 5.0]), torch.tensor([0.0, 0.9, 0.0]))
    np.savez(
        path,
        full_pose=np.zeros((frames, 55, 3)),
        focal_px=np.float64(900),
        image_size=np.array([640, 480]),
        T_camera_world=np.repeat(camera.numpy()[None], frames, 0),
    )
    return camera


def test_the_camera_of_a_track_sees_the_person_where_the_film_did(tmp_path, avatar, people):
    avatar = replace(avatar, identity=people["one"])
    motion = clip("walk")
    world = track_file(tmp_path / "m.npz", motion.frame_count)
    filmed = read_cameras(tmp_path / "m.npz")
    done = ground_motion(motion, avatar.body, avatar.identity)
    cameras = cameras_for(filmed, motion, done, avatar, height=240, speed=1.0)
    assert (cameras[0].width, cameras[0].height) == (320, 240)
    theirs = Camera(width=320, height=240, focal_px=450, center_px=(160, 120), T_camera_world=world)
    pelvis = torch.tensor([0.0, -0.35, 0.012])
    for frame in (0, 40, 100):
        was, _ = theirs.project(motion.params.transl[frame] + pelvis)
        now, _ = cameras[frame].project(done.params.transl[frame] + pelvis)
        assert float((was - now).norm()) < 6.0


def test_a_file_without_cameras_says_so(tmp_path):
    np.savez(tmp_path / "m.npz", full_pose=np.zeros((3, 55, 3)))
    with pytest.raises(InputError, match="does not say how it was filmed"):
        read_cameras(tmp_path / "m.npz")
    track_file(tmp_path / "m.npz", 3)
    with np.load(tmp_path / "m.npz") as file:
        arrays = dict(file)
    np.savez(tmp_path / "m.npz", **(arrays | {"T_camera_world": np.ones((3, 4, 4))}))
    with pytest.raises(FileFormatError, match="no rotation"):
        read_cameras(tmp_path / "m.npz")
