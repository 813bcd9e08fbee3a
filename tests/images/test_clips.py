"""Moving pictures: what is read is what was written, and strangers' files are refused kindly."""

import numpy as np
import pytest
import torch
from PIL import Image

from persona.core.errors import FileFormatError, InputError
from persona.export.video import VideoConfig, write_mp4
from persona.images import clips
from persona.images.clips import is_clip, open_clip


def grey(level, height=48, width=64):
    return torch.full((height, width, 3), level / 10)


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.mp4"
    write_mp4((grey(k) for k in range(10)), path, config=VideoConfig(fps=25))
    return path


def test_frames_come_in_order_with_their_times(film):
    frames = list(open_clip(film).frames())
    assert [round(float(f.picture.mean()) / 25.5) for f in frames] == list(range(10))
    np.testing.assert_allclose([f.time for f in frames], np.arange(10) / 25, atol=1e-4)
    assert frames[0].picture.shape == (48, 64, 3)


def test_a_clip_can_be_read_again(film):
    clip = open_clip(film)
    assert len(list(clip.frames())) == len(list(clip.frames())) == 10


def test_a_rate_that_is_told_is_believed(film):
    times = [f.time for f in open_clip(film, fps=10.0).frames()]
    np.testing.assert_allclose(times, np.arange(10) / 10)
    with pytest.raises(InputError, match="0 frames a second"):
        open_clip(film, fps=0.0)


def test_a_gif_keeps_its_uneven_times(tmp_path):
    path = tmp_path / "film.gif"
    pictures = [Image.new("RGB", (40, 30), (20 * k, 0, 90)) for k in range(4)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[100, 300, 100, 100])
    times = [f.time for f in open_clip(path).frames()]
    np.testing.assert_allclose(np.diff(times), [0.1, 0.3, 0.1], atol=0.011)


def test_a_folder_is_read_by_the_numbers_in_its_names(tmp_path):
    for k in (10, 2, 1):
        Image.new("RGB", (40, 30), (k, k, k)).save(tmp_path / f"frame{k}.png")
    frames = list(open_clip(tmp_path, fps=5.0).frames())
    assert [int(f.picture[0, 0, 0]) for f in frames] == [1, 2, 10]
    np.testing.assert_allclose([f.time for f in frames], [0, 0.2, 0.4])
    assert is_clip(str(tmp_path))
    Image.new("RGB", (20, 30)).save(tmp_path / "frame11.png")
    with pytest.raises(FileFormatError, match="one size"):
        list(open_clip(tmp_path).frames())


@pytest.mark.parametrize("size", [0, 10, 5000])
def test_noise_is_no_video(tmp_path, size):
    path = tmp_path / "film.mp4"
    path.write_bytes(np.random.default_rng(size).bytes(size))
    with pytest.raises(FileFormatError, match=r"film\.mp4 (is not a video|holds no pictures)"):
        list(open_clip(path).frames())


def test_what_names_other_files_is_not_opened(tmp_path, film):
    for name, text in (
        ("list.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{film}\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", f"ffconcat version 1.0\nfile '{film}'\n"),
    ):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(FileFormatError, match="is not a video"):
            list(open_clip(path).frames())


def test_a_cut_off_file_gives_what_it_has_or_says_no(film):
    data = film.read_bytes()
    for share in (0.3, 0.6, 0.9):
        film.write_bytes(data[: int(share * len(data))])
        try:
            count = len(list(open_clip(film).frames()))
        except FileFormatError:
            continue
        assert 0 < count <= 10


def test_mutated_files_raise_nothing_else(film):
    data, draw = bytearray(film.read_bytes()), np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(data)
        for place in draw.integers(0, len(data), 8):
            broken[place] = draw.integers(0, 256)
        film.write_bytes(broken)
        try:
            count = sum(1 for _ in open_clip(film).frames())
        except FileFormatError:
            continue
        assert count > 0


def test_limits_are_kept_before_anything_is_decoded(film, monkeypatch):
    monkeypatch.setattr(clips, "MAX_PIXELS", 1000)
    with pytest.raises(FileFormatError, match=r"frames of 64 x 48"):
        list(open_clip(film).frames())
    monkeypatch.undo()
    monkeypatch.setattr(clips, "MAX_SECONDS", 0.1)
    with pytest.raises(FileFormatError, match="s long"):
        list(open_clip(film).frames())
    monkeypatch.undo()
    monkeypatch.setattr(clips, "MAX_FRAMES", 5)
    with pytest.raises(FileFormatError, match="more than 5 frames"):
        list(open_clip(film).frames())
    monkeypatch.undo()
    monkeypatch.setattr(clips, "MAX_BYTES", 5)
    with pytest.raises(FileFormatError, match="bytes"):
        open_clip(film)


def test_large_frames_are_made_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr(clips, "LONGEST_SIDE", 32)
    path = tmp_path / "film.mp4"
    write_mp4((grey(3) for _ in range(2)), path)
    assert next(open_clip(path).frames()).picture.shape == (24, 32, 3)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(FileFormatError, match="no such file"):
        open_clip(tmp_path / "no.mp4")
    with pytest.raises(FileFormatError, match="holds no pictures"):
        open_clip(tmp_path)
    assert not is_clip("walk")
    assert not is_clip("walk.npz")


def test_a_camera_that_is_not_there_is_said():
    with pytest.raises(InputError, match="camera 97 cannot be opened"):
        next(clips.camera_frames(97))
