"""The film is one, and the person is in it."""

import av
import numpy as np
import pytest

from persona.pipeline import preview


@pytest.mark.slow
def test_the_film_has_its_frames_and_somebody_in_each(plain_avatar, tmp_path, monkeypatch):
    monkeypatch.setattr(preview, "FPS", 5.0)
    monkeypatch.setattr(preview, "HEIGHT_PX", 160)
    monkeypatch.setattr(preview, "WIDTH_PX", 120)
    count = preview.write_preview(plain_avatar, tmp_path / "preview.mp4")
    with av.open(str(tmp_path / "preview.mp4")) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == count == 2 * round(2.4 * 5)
    for frame in frames:
        covered = (frame < 200).any(-1)
        assert covered.mean() > 0.02
        rim = np.concatenate([covered[0], covered[:, 0], covered[:, -1]])
        assert not rim.any(), "the person touches the edge"
