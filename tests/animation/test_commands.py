"""`persona animate` and `persona render`, run as a person would run them."""

import json

import av
import numpy as np
import pytest
import torch
from PIL import Image

from persona.cli.main import main
from persona.export.video import VideoConfig, write_mp4


def pixels_of(path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def animate(folder, out, *words: str) -> int:
    return main(["animate", str(folder), "--out", str(out), "--size", "64", *words])


def render(folder, out, *words: str) -> int:
    return main(["render", str(folder), "--out", str(out), *words])


def test_a_video_of_the_asked_size_rate_and_length(avatar_folder, tmp_path):
    out = tmp_path / "walk.mp4"
    words = ["--motion", "walk", "--seconds", "1.0", "--fps", "12", "--width", "50"]
    assert animate(avatar_folder, out, *words, "--from-photo") == 0
    with av.open(str(out)) as video:
        stream = video.streams.video[0]
        assert (stream.width, stream.height) == (50, 64)
        assert float(stream.average_rate) == 12
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 24  # a second of transition, a second of walk
    assert frames[0][0, 0].min() > 250  # white
    assert (frames[5].min(-1) < 120).any()  # somebody
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 60  # who moves


def test_a_transparent_video_and_pictures(avatar_folder, tmp_path):
    words = ["--seconds", "0.2", "--background", "transparent", "--camera", "turntable"]
    assert animate(avatar_folder, tmp_path / "turn.webm", "--motion", "idle", *words) == 0
    assert (tmp_path / "turn.webm").stat().st_size > 500
    assert animate(avatar_folder, tmp_path / "frames", "--motion", "idle", *words) == 0
    pictures = sorted((tmp_path / "frames").iterdir())
    assert [p.name for p in pictures] == [f"{k:05d}.png" for k in range(6)]
    assert pixels_of(pictures[0]).shape[2] == 4


def test_an_avatar_without_clothes_cannot_be_simulated(avatar_folder, tmp_path, capsys):
    assert animate(avatar_folder, tmp_path / "walk.mp4", "--simulate") == 2
    assert "holds no clothes to simulate" in capsys.readouterr().err
    assert not (tmp_path / "walk.mp4").exists()


def test_events_tell_programs_what_was_made(avatar_folder, tmp_path, capsys):
    out = tmp_path / "wave.mp4"
    assert animate(avatar_folder, out, "--motion", "wave", "--seconds", "0.1", "--json") == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["event"] == "result"
    assert result["out"] == str(out)
    assert result["frames"] == 3


def test_a_motion_of_ones_own_is_played_at_any_speed(avatar_folder, tmp_path, capsys):
    pose = np.zeros((11, 55, 3))
    pose[:, 16, 2] = np.linspace(-1.2, 1.2, 11)  # the left arm goes up in a second
    np.savez(tmp_path / "mine.npz", full_pose=pose, fps=10)
    words = ["--motion", str(tmp_path / "mine.npz"), "--fps", "10", "--json"]
    for speed, frames in (("1", 11), ("2", 6)):
        out = tmp_path / f"x{speed}.mp4"
        assert animate(avatar_folder, out, *words, "--speed", speed) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["frames"] == frames


@pytest.mark.parametrize(
    ("out", "words", "said"),
    [
        ("x.mp4", ["--motion", "moonwalk"], "no motion called"),
        ("x.mp4", ["--motion", "absent.npz"], "no such file"),
        ("x.mp4", ["--motion", "run", "--speed", "5"], "times as fast"),
        ("x.gif", [], "cannot be written"),
        ("x.mp4", ["--background", "transparent"], "H.264 has no transparency"),
        ("x.mp4", ["--seconds", "0"], "above 0"),
        ("x.mp4", ["--fps", "-3"], "above 0"),
        ("x.mp4", ["--background", "absent.jpg"], "no such file"),
        ("x.mp4", ["--crf", "99"], "quality scale"),
    ],
)
def test_impossible_animations_leave_nothing(avatar_folder, tmp_path, capsys, out, words, said):
    assert animate(avatar_folder, tmp_path / out, "--seconds", "0.1", *words) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_missing_avatar_is_told(tmp_path, capsys):
    assert animate(tmp_path / "nobody.persona", tmp_path / "x.mp4") == 2
    assert "fix:" in capsys.readouterr().err


def test_the_photos_camera_gives_the_photos_pixels(avatar, avatar_folder, tmp_path):
    out = tmp_path / "photo.png"
    assert render(avatar_folder, out) == 0
    drawn = pixels_of(out).astype(float) / 255
    assert drawn.shape == (200, 140, 4)
    expected = avatar.render(avatar.photo_params, avatar.photo_camera)
    np.testing.assert_allclose(drawn[..., 3], expected.alpha, atol=0.6 / 255)
    # The middle of what is drawn is where the camera says the person is.
    means = avatar.pose(avatar.photo_params).means
    pixels, _ = avatar.photo_camera.project(means)
    rows, columns = np.nonzero(drawn[..., 3] > 0.5)
    for found, wanted in ((columns, pixels[:, 0]), (rows, pixels[:, 1])):
        assert abs(found.min() - float(wanted.min())) < 3.5
        assert abs(found.max() + 1 - float(wanted.max())) < 3.5


def test_size_scales_the_photos_camera(avatar_folder, tmp_path):
    assert render(avatar_folder, tmp_path / "big.png", "--size", "400") == 0
    assert pixels_of(tmp_path / "big.png").shape == (400, 280, 4)


def test_depth_alpha_and_normals(avatar, avatar_folder, tmp_path):
    for channel in ("alpha", "depth", "normal"):
        assert render(avatar_folder, tmp_path / f"{channel}.png", "--channel", channel) == 0
    depth = pixels_of(tmp_path / "depth.png")
    assert depth.dtype == np.uint16
    alpha = pixels_of(tmp_path / "alpha.png")[..., 0]
    chest = avatar.photo_camera.project(torch.tensor([[0.1, 0.2, -3.0]]))[0][0].long()
    row, column = int(chest[1]), int(chest[0])
    assert alpha[row, column] > 250
    assert 2700 < depth[row, column] < 3000  # 3 m less half a chest
    assert depth[0, 0] == 0
    normal = pixels_of(tmp_path / "normal.png")
    assert normal[row, column, 2] > 200  # blue: towards the viewer


@pytest.mark.parametrize("camera", ["front", "side", "back"])
def test_named_cameras(avatar_folder, tmp_path, camera):
    out = tmp_path / "x.png"
    words = ["--camera", camera, "--size", "96", "--pose", "canonical", "--background", "white"]
    assert render(avatar_folder, out, *words) == 0
    picture = pixels_of(out)
    assert picture.shape[0] == 96
    assert picture.shape[2] == 3
    assert picture[0, 0].tolist() == [255, 255, 255]
    assert picture.min() < 120


def test_turntable_is_eight_views(avatar_folder, tmp_path):
    assert render(avatar_folder, tmp_path / "t.png", "--camera", "turntable", "--size", "48") == 0
    assert pixels_of(tmp_path / "t.png").shape[1] % 8 == 0


def test_a_pose_from_a_file(avatar, avatar_folder, tmp_path):
    np.savez(tmp_path / "pose.npz", full_pose=avatar.photo_params.full_pose.numpy())
    assert render(avatar_folder, tmp_path / "a.png", "--pose", str(tmp_path / "pose.npz")) == 0
    assert render(avatar_folder, tmp_path / "b.png") == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_renders_that_cannot_be(avatar_folder, tmp_path, capsys):
    assert render(avatar_folder, tmp_path / "x.jpg") == 2
    assert "PNG" in capsys.readouterr().err
    assert render(avatar_folder, tmp_path / "x.png", "--pose", "absent.npz") == 2
    assert "no such file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def film(tmp_path):
    """Half a second of a blue room that turns green."""
    shades = torch.linspace(0, 1, 12)
    frames = (torch.tensor([0.0, s, 1.0 - s]).expand(48, 96, 3) for s in shades)
    write_mp4(frames, tmp_path / "room.mp4", config=VideoConfig(fps=24, crf=5))
    return tmp_path / "room.mp4"


def test_a_film_runs_behind_the_person(avatar_folder, tmp_path, film):
    out = tmp_path / "frames"
    words = ["--motion", "idle", "--seconds", "0.5", "--background", str(film), "--fps", "24"]
    assert animate(avatar_folder, out, *words) == 0
    pictures = [pixels_of(path) for path in sorted(out.iterdir())]
    assert pictures[0].shape[:2] == (64, 128)  # the film's shape
    corners = np.stack([picture[2, 2, :3] for picture in pictures]).astype(int)
    assert corners[0, 2] > 200 > 60 > corners[0, 1]
    assert corners[-1, 1] > 200 > 60 > corners[-1, 2]
    assert (np.diff(corners[:, 1]) > 0).all()


def test_a_plate_needs_a_film(avatar_folder, tmp_path, capsys):
    assert animate(avatar_folder, tmp_path / "a.mp4", "--plate") == 2
    assert "--plate was given" in capsys.readouterr().err


def test_the_place_of_a_film_without_anybody(avatar_folder, tmp_path):
    still = (torch.tensor([0.2, 0.5, 0.3]).expand(48, 96, 3) for _ in range(5))
    write_mp4(still, tmp_path / "room.mp4", config=VideoConfig(fps=24, crf=5))
    words = ["--motion", "idle", "--seconds", "0.1", "--background", str(tmp_path / "room.mp4")]
    assert animate(avatar_folder, tmp_path / "frames", *words, "--plate") == 0
    first = pixels_of(tmp_path / "frames" / "00000.png")
    np.testing.assert_allclose(first[2, 2, :3], [51, 128, 77], atol=6)


def test_the_camera_of_a_folder_of_poses(avatar_folder, tmp_path, capsys):
    assert main(["motion", "convert", "squat", str(tmp_path / "m"), "--format", "json"]) == 0
    words = ["--motion", str(tmp_path / "m"), "--camera", "source", "--seconds", "0.1"]
    assert animate(avatar_folder, tmp_path / "frames", *words) == 0
    first = pixels_of(tmp_path / "frames" / "00000.png")
    assert first.shape[:2] == (64, 64)
    rows, columns = np.nonzero(first[..., :3].min(-1) < 128)
    # It stands 4 m from the person, whole in the picture and in its middle.
    assert 20 < np.ptp(rows) < 60
    assert abs(columns.mean() - 32) < 4
    assert animate(avatar_folder, tmp_path / "b.mp4", *words, "--width", "50") == 2
    assert animate(avatar_folder, tmp_path / "b.mp4", "--camera", "source") == 2
    assert "no motion file" in capsys.readouterr().err
