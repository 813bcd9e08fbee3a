"""Frame sets: what does not belong together is refused before anything is trained on it."""

from dataclasses import replace

import pytest
import torch

from persona.avatar.rates import at_rest
from persona.core.errors import InputError
from persona.geometry.cameras import photo_camera
from persona.records.body_params import rest_params
from persona.records.frame_set import MAX_PICTURES, Clip, FrameSet, picture_from
from persona.records.motion import Motion
from persona.records.nodes import Nodes
from persona.records.storage import load_record, save_record

CAMERA = photo_camera(8, 12, 20.0)


def picture(**changes):
    image, mask = torch.rand(12, 8, 3), torch.ones(12, 8)
    return picture_from(
        0, changes.pop("camera", CAMERA), image, changes.pop("mask", mask), **changes
    )


def clip(frames: int = 3, **changes) -> Clip:
    motion = Motion(params=rest_params(frames), fps=30.0)
    return Clip(source="physics", motion=motion, rates=at_rest(frames), **changes)


@pytest.fixture
def nodes() -> Nodes:
    return Nodes(
        points=torch.rand(4, 3),
        joints=torch.zeros(4, dtype=torch.int64),
        holder_ids=torch.zeros(6, 1, dtype=torch.int64),
        shares=torch.ones(6, 1),
    )


def test_eight_bits_come_back_as_they_went_in():
    normal = torch.nn.functional.normalize(torch.randn(12, 8, 3), dim=-1)
    kept = picture(normal=normal, depth=torch.full((12, 8), 2.0), parts=torch.ones(12, 8).long())
    assert kept.normal is not None
    assert float((kept.normal - normal).abs().max()) < 0.005
    assert float(kept.mask.min()) == 1


def test_a_set_is_saved_and_loaded(nodes, tmp_path):
    whole = FrameSet(
        clips=(
            clip(
                pictures=(replace(picture(), face=picture()),),
                offsets=torch.rand(3, 4, 3),
                noise=torch.rand(3, 4),
            ),
            clip(1, offsets=torch.rand(1, 4, 3), held_out=True),
        ),
        nodes=nodes,
    )
    save_record(tmp_path / "frames", whole)
    back = load_record(tmp_path / "frames", FrameSet)
    assert torch.equal(back.clips[0].pictures[0].image_8, whole.clips[0].pictures[0].image_8)
    face = back.clips[0].pictures[0].face
    assert torch.equal(face.image_8, whole.clips[0].pictures[0].face.image_8)
    assert back.held_out[0].frame_count == 1
    assert back.predictable_share == whole.predictable_share


@pytest.mark.slow
def test_as_many_pictures_as_a_set_may_hold_are_read_back(tmp_path):
    maps = {"normal": torch.zeros(12, 8, 3), "depth": torch.ones(12, 8), "parts": torch.ones(12, 8)}
    full = replace(picture(**maps), face=picture())
    whole = FrameSet(clips=(clip(pictures=(full,) * MAX_PICTURES),))
    save_record(tmp_path / "frames", whole)
    back = load_record(tmp_path / "frames", FrameSet)
    assert len(back.clips[0].pictures) == MAX_PICTURES


def test_an_empty_mask_and_a_wrong_camera_are_refused():
    with pytest.raises(InputError, match="shows nobody"):
        picture(mask=torch.zeros(12, 8))
    with pytest.raises(InputError, match="came with a camera"):
        picture(camera=photo_camera(9, 12, 20.0))
    with pytest.raises(InputError, match="trusted by"):
        picture(trust=1.5)


def test_rows_that_do_not_belong_together_are_refused(nodes):
    with pytest.raises(InputError, match="has 3 poses"):
        clip(offsets=torch.rand(2, 4, 3))
    with pytest.raises(InputError, match="pictures of frames"):
        clip(1, pictures=(replace(picture(), frame=1),))
    with pytest.raises(InputError, match="noise of offsets"):
        clip(noise=torch.rand(3, 4))
    with pytest.raises(InputError, match="offsets of \\[5\\] nodes"):
        FrameSet(clips=(clip(offsets=torch.rand(3, 5, 3)),), nodes=nodes)


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(InputError, match="neither a picture nor an offset"):
        FrameSet(clips=(clip(),))


def test_what_a_second_run_repeats_is_told(nodes):
    offsets = torch.zeros(3, 4, 3)
    offsets[0, :, 0] = 0.03
    noise = torch.full((3, 4), 0.005)
    share = FrameSet(clips=(clip(offsets=offsets, noise=noise),), nodes=nodes).predictable_share
    assert share == pytest.approx(1 - 3 * 0.005**2 / (0.02**2 + 2 * 0.01**2), abs=1e-4)
    assert FrameSet(clips=(clip(offsets=offsets),), nodes=nodes).predictable_share is None
