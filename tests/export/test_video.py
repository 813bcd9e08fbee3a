import re

import av
import numpy as np
import pytest
import torch

from persona.core.conventions import PROVENANCE, RIGHTS
from persona.core.errors import InputError
from persona.core.progress import Progress, Stage, speaking
from persona.export.video import VideoConfig, write_mov, write_mp4, write_webm


def pictures(count: int, height: int = 48, width: int = 64, *, alpha: bool = False):
    """Smooth gradients that change with time; the left half transparent where asked."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    for k in range(count):
        layers = [x, y, torch.full_like(x, (k + 0.5) / count)]
        yield torch.stack([*layers, (x > 0.5).float()] if alpha else layers, -1)


@pytest.mark.parametrize(("height", "width"), [(48, 64), (49, 65)])
@pytest.mark.parametrize("fps", [24.0, 29.97, 60.0])
def test_mp4_comes_back(tmp_path, height, width, fps):
    path = tmp_path / "clip.mp4"
    config = VideoConfig(fps=fps)
    assert write_mp4(pictures(9, height, width), path, config=config) == 9
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        assert (stream.width, stream.height) == (width + width % 2, height + height % 2)
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == pytest.approx(fps, rel=1e-4)
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 9
    for frame, source in zip(frames, pictures(9, height, width), strict=True):
        error = np.abs(frame[:height, :width] / 255 - source.numpy())
        assert error.mean() < 0.012
        assert error.max() < 0.06


def test_mp4_says_where_it_comes_from_and_nothing_else(tmp_path):
    path = tmp_path / "clip.mp4"
    write_mp4(pictures(3), path)
    with av.open(str(path)) as video:
        told = {k: v for k, v in video.metadata.items() if k not in CONTAINER_KEYS}
        assert told == {"comment": PROVENANCE, "copyright": RIGHTS}
    data = path.read_bytes()
    for word in (b"x264", b"Lavf", b"Lavc", b"options"):
        assert word not in data
    assert re.search(rb"(/[a-z]+){2,}", data) is None, "a path"


CONTAINER_KEYS = {"major_brand", "minor_version", "compatible_brands"}


def test_pure_colors_survive(tmp_path):
    path = tmp_path / "red.mp4"
    for color in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]):
        write_mp4([torch.tensor(color).expand(32, 32, 3)] * 2, path)
        with av.open(str(path)) as video:
            frame = next(video.decode(video=0)).to_ndarray(format="rgb24")
        assert np.abs(frame / 255 - np.array(color)).max() < 0.02, color


def test_webm_keeps_transparency(tmp_path):
    path = tmp_path / "clip.webm"
    assert write_webm(pictures(8, alpha=True), path) == 8
    decoder = av.codec.CodecContext.create("libvpx-vp9", "r")
    frames = []
    with av.open(str(path)) as video:
        assert video.metadata["COMMENT"] == PROVENANCE
        assert video.streams.video[0].metadata["alpha_mode"] == "1"
        for packet in video.demux(video=0):
            frames += decoder.decode(packet) if packet.size else []
    assert len(frames) == 8
    for frame, source in zip(frames, pictures(8, alpha=True), strict=True):
        found = frame.to_ndarray(format="rgba") / 255
        wanted = source.numpy()
        clear = np.ones(64, bool)
        clear[30:34] = False  # codecs blur the edge itself
        assert np.abs(found - wanted)[:, clear, 3].max() < 0.03
        shown = wanted[..., 3] == 1
        assert np.abs(found - wanted)[shown][:, :3].mean() < 0.02


def test_opaque_webm(tmp_path):
    path = tmp_path / "clip.webm"
    write_webm(pictures(4), path)
    with av.open(str(path)) as video:
        frame = next(video.decode(video=0))
    assert frame.format.name == "yuv420p"


@pytest.mark.parametrize("alpha", [False, True])
def test_prores_keeps_ten_bits_and_transparency(tmp_path, alpha):
    path = tmp_path / "clip.mov"
    assert write_mov(pictures(4, alpha=alpha), path, config=VideoConfig(fps=25)) == 4
    with av.open(str(path)) as video:
        assert video.metadata["copyright"] == RIGHTS
        stream = video.streams.video[0]
        assert stream.codec_context.name == "prores"
        assert float(stream.average_rate) == 25
        decoded = list(video.decode(video=0))
    assert {frame.format.name for frame in decoded} <= {"yuva444p10le", "yuva444p12le"} or not alpha
    layout = "rgba" if alpha else "rgb24"
    for frame, source in zip(decoded, pictures(4, alpha=alpha), strict=True):
        found, wanted = frame.to_ndarray(format=layout) / 255, source.numpy()
        shown = wanted[..., 3] == 1 if alpha else np.ones(wanted.shape[:2], bool)
        assert np.abs(found - wanted)[shown][:, :3].mean() < 0.01
        if alpha:
            assert np.abs(found - wanted)[..., 3].max() < 0.01


def test_quality_costs_bytes(tmp_path):
    noise = list(torch.rand(6, 64, 64, 3, generator=torch.Generator().manual_seed(0)))
    for crf in (10, 40):
        write_mp4(noise, tmp_path / f"{crf}.mp4", config=VideoConfig(crf=crf))
    assert (tmp_path / "10.mp4").stat().st_size > 2 * (tmp_path / "40.mp4").stat().st_size


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")

    def breaking():
        yield from pictures(2)
        yield torch.zeros(10, 10, 3)

    with pytest.raises(InputError, match="frame 2 is"):
        write_mp4(breaking(), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("frames", "word"),
    [
        ([], "no frames"),
        ([torch.zeros(8, 8)], "shape|h w c"),
        ([torch.zeros(8, 8, 4)], "transparent"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path, frames, word):
    with pytest.raises(Exception, match=word):
        write_mp4(frames, tmp_path / "clip.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("settings", [{"fps": 0.0}, {"fps": 1000.0}, {"crf": 52}])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(InputError):
        VideoConfig(**settings)


def test_progress_is_told_frame_by_frame(tmp_path):
    stages: list[Stage] = []

    class Listener(Progress):
        def _begin(self, name: str, steps: int | None) -> Stage:
            stages.append(Stage(name, steps))
            return stages[-1]

    with speaking(Listener()):
        write_mp4(pictures(5), tmp_path / "clip.mp4", frame_count=5)
    assert [(s.name, s.steps, s.done) for s in stages] == [("write clip.mp4", 5, 5)]
