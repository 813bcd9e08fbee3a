"""Panoramas of light: read as they were written, and strangers' files refused before they cost."""

import cv2
import pytest
import torch

from persona.core.errors import FileFormatError
from persona.images import radiance
from persona.images.radiance import read_radiance


@pytest.fixture
def panorama(tmp_path):
    light = torch.rand(16, 32, 3, generator=torch.Generator().manual_seed(0)) * 4
    path = tmp_path / "place.hdr"
    assert cv2.imwrite(str(path), light.numpy()[..., ::-1])
    return path, light


def test_a_panorama_comes_back_in_its_colours(panorama):
    path, light = panorama
    found = read_radiance(path)
    # Radiance keeps 8 bits beside a shared exponent.
    assert torch.allclose(found, light, atol=4 / 128)


@pytest.mark.parametrize(
    ("size", "match"),
    [
        (b"-Y 99999 +X 199998\n", "99999"),
        (b"-Y 16 +X 16\n", "16 x 16"),
        (b"-Y 0 +X 0\n", "0 x 0"),
        (b"+Y 16 +X 32\n", "no Radiance picture"),
        (b"-Y 999999999999 +X 32\n", "no Radiance picture"),
        (b"-Y -16 +X -32\n", "no Radiance picture"),
    ],
)
def test_headers_that_lie_are_refused_before_a_pixel_is_decoded(panorama, size, match, monkeypatch):
    path, _ = panorama
    path.write_bytes(path.read_bytes().replace(b"-Y 16 +X 32\n", size))
    monkeypatch.setattr(radiance.cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(FileFormatError, match=match):
        read_radiance(path)


def test_a_second_size_behind_the_first_is_not_believed(panorama, monkeypatch):
    path, _ = panorama
    data = path.read_bytes().replace(b"\n\n", b"\n\n-Y 90000 +X 90000\n\n\n", 1)
    path.write_bytes(data)
    monkeypatch.setattr(radiance.cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(FileFormatError):
        read_radiance(path)


@pytest.mark.parametrize("kept", [0, 5, 60, 200, -3])
def test_files_cut_short_are_refused(panorama, kept):
    path, _ = panorama
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(FileFormatError, match=r"place\.hdr"):
        read_radiance(path)


def test_noise_behind_a_good_header_is_refused_or_finite(panorama):
    path, _ = panorama
    head = path.read_bytes().split(b"+X 32\n")[0] + b"+X 32\n"
    for seed in range(30):
        noise = torch.randint(0, 256, (4096,), generator=torch.Generator().manual_seed(seed))
        path.write_bytes(head + bytes(noise.tolist()))
        try:
            found = read_radiance(path)
        except FileFormatError:
            continue
        assert bool(found.isfinite().all())
        assert float(found.min()) >= 0


def test_black_missing_and_huge_files_are_refused(tmp_path, panorama, monkeypatch):
    black = tmp_path / "black.hdr"
    assert cv2.imwrite(str(black), torch.zeros(8, 16, 3).numpy())
    with pytest.raises(FileFormatError, match="black everywhere"):
        read_radiance(black)
    with pytest.raises(FileFormatError, match="no such file"):
        read_radiance(tmp_path / "nothing.hdr")
    monkeypatch.setattr(radiance, "MAX_FILE_BYTES", 100)
    with pytest.raises(FileFormatError, match="bytes"):
        read_radiance(panorama[0])
