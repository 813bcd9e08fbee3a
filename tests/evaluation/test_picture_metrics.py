"""Known answers: each damage moves exactly the metrics that should see it."""

import math
from dataclasses import replace

import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio as their_psnr
from torchmetrics.functional.image import structural_similarity_index_measure as their_ssim

from persona.evaluation.methods import Drawn
from persona.evaluation.picture_metrics import (
    PICTURE_METRICS,
    PictureMeter,
    boundary_error,
    masked,
    published,
    structural_similarity,
)
from persona.evaluation.regions import face_region, hand_regions, person_region
from persona.evaluation.subjects import over_plain
from persona.evaluation.temporal import Watcher
from persona.images.lpips import VGG, Lpips
from persona.images.masks import dilate
from persona.images.similarity import LUMA, psnr
from tests.evaluation.scenes import drawn_of, true_frame


@pytest.fixture(scope="module")
def frame(plain_avatar):
    return true_frame(plain_avatar)


def measured(drawn, frame):
    return PictureMeter().measure(drawn, frame)


def shifted(frame, pixels=1):
    drawn = drawn_of(frame)
    return Drawn(
        color=drawn.color.roll(pixels, 1),
        alpha=drawn.alpha.roll(pixels, 1),
    )


def test_truth_against_itself_is_perfect(frame):
    numbers = measured(drawn_of(frame), frame)
    assert set(numbers) == {
        name
        for name in PICTURE_METRICS
        if name.startswith(("psnr", "ssim", "ms_ssim", "gmsd", "iou", "boundary"))
    }
    for name, value in numbers.items():
        if name.startswith("psnr"):
            assert math.isinf(value) or value > 130, name
        elif name in ("boundary_px", "gmsd_box"):
            assert value == pytest.approx(0, abs=1e-5), name
        else:
            assert value == pytest.approx(1, abs=1e-6), name


def test_lpips_of_truth_against_itself_is_zero_and_only_measured_with_weights(plain_avatar):
    frame = true_frame(plain_avatar, scale=0.2)
    g = torch.Generator().manual_seed(0)
    weights = {}
    for layer in (layer for stage in VGG.stages for layer in stage):
        shape = (layer.given, layer.taken, 3, 3)
        weights[f"features.{layer.number}.weight"] = 0.05 * torch.randn(shape, generator=g)
        weights[f"features.{layer.number}.bias"] = torch.zeros(layer.given)
    linear = {
        f"lin{k}.model.1.weight": torch.rand(1, s[-1].given, 1, 1, generator=g)
        for k, s in enumerate(VGG.stages)
    }
    meter = PictureMeter(lpips={"vgg": Lpips(weights, linear)})
    same = meter.measure(drawn_of(frame), frame)
    assert same["lpips_vgg_published"] == 0
    assert same["lpips_vgg_box"] == 0
    assert meter.measure(shifted(frame, 3), frame)["lpips_vgg_box"] > 0
    assert "lpips_vgg_box" not in measured(drawn_of(frame), frame)


def test_a_shift_of_one_pixel_moves_pictures_and_outlines(frame):
    numbers = measured(shifted(frame), frame)
    assert 15 < numbers["psnr_box"] < 40
    assert 15 < numbers["psnr_published"] < 45
    assert numbers["ssim_box"] < 0.99
    assert 0.9 < numbers["iou"] < 0.99
    assert 0.2 < numbers["boundary_px"] < 1.0
    still = Watcher()
    for k in range(3):
        later = replace(frame, index=k)
        still, moved = still.step(shifted(later), later)
    assert moved["jitter_px"] == pytest.approx(0, abs=1e-9), "a constant error does not tremble"
    assert moved["flicker"] == 0


def test_another_hue_of_the_same_brightness_moves_colours_only(frame):
    push = torch.tensor([0.1, 0.0, -0.1 * LUMA[0] / LUMA[2]])
    drawn = drawn_of(frame)
    hue = Drawn(color=(drawn.color + push * drawn.alpha[..., None]), alpha=drawn.alpha)
    numbers = measured(hue, frame)
    assert numbers["psnr_box"] < 25
    assert numbers["psnr_published"] < 27
    assert numbers["psnr_face"] < 25
    assert numbers["gmsd_box"] < 2e-3, "edges of brightness stay"
    assert numbers["iou"] == 1
    assert numbers["boundary_px"] == 0


def test_a_lost_hand_is_seen_by_the_hands_first_and_not_by_the_face(frame):
    whole = measured(drawn_of(frame), frame)
    box = hand_regions(frame)[0]
    drawn = drawn_of(frame)
    alpha, color = drawn.alpha.clone(), drawn.color.clone()
    box.of(alpha).zero_()
    box.of(color).zero_()
    lost = measured(Drawn(color=color, alpha=alpha), frame)
    assert lost["psnr_hands"] < 16
    assert lost["ssim_hands"] < 0.8
    assert lost["psnr_box"] > lost["psnr_hands"] + 3, "in the box it is one error among many"
    assert lost["iou"] < 0.995
    assert lost["psnr_face"] == whole["psnr_face"]
    assert lost["ssim_face"] == whole["ssim_face"]


def test_the_published_protocol_does_not_see_a_bloated_silhouette(frame):
    """The blind spot: six pixels of blue all around the person cost nothing as papers measure."""
    blue = torch.tensor([0.1, 0.1, 0.9])
    drawn = drawn_of(frame)
    outside = frame.mask <= 0.5
    fat = torch.where(outside, dilate(drawn.alpha, 6.0), drawn.alpha)
    around = (fat - drawn.alpha)[..., None]
    numbers = measured(Drawn(color=drawn.color + around * blue, alpha=fat), frame)
    assert math.isinf(numbers["psnr_published"])
    assert numbers["ssim_published"] == 1
    assert numbers["psnr_box"] < 16
    assert numbers["ssim_box"] < 0.9
    assert numbers["iou"] < 0.85
    assert numbers["boundary_px"] > 4


def test_white_frames_inflate_the_published_score_but_not_the_box(plain_avatar, frame):
    wide = frame.camera.cropped(-200.0, -200.0, frame.camera.width + 400, frame.camera.height + 400)
    pad = torch.nn.functional.pad
    far = replace(
        frame,
        camera=wide,
        picture=pad(frame.picture.permute(2, 0, 1), (200,) * 4).permute(1, 2, 0).contiguous(),
        mask=pad(frame.mask, (200,) * 4),
        joints=frame.joints,
    )
    near, inflated = measured(shifted(frame), frame), measured(shifted(far), far)
    assert inflated["psnr_published"] > near["psnr_published"] + 2
    assert inflated["psnr_box"] == pytest.approx(near["psnr_box"], abs=0.8)
    assert inflated["iou"] == pytest.approx(near["iou"])


def test_looking_only_at_the_person_gives_what_the_whole_frame_gives(frame):
    drawn = shifted(frame)
    true = masked(over_plain(frame.picture, frame.mask), frame.mask)
    found = masked(drawn.over(), frame.mask)
    numbers = published(drawn, frame)
    assert numbers["psnr_published"] == pytest.approx(float(psnr(found, true)), abs=1e-4)
    assert numbers["ssim_published"] == pytest.approx(structural_similarity(found, true), abs=1e-6)


def test_psnr_and_ssim_agree_with_torchmetrics(frame):
    a = over_plain(frame.picture, frame.mask).double()
    b = shifted(frame).over().double()
    batch = [x.permute(2, 0, 1)[None] for x in (b, a)]
    theirs = float(their_psnr(*batch, data_range=1.0))
    # Theirs divides by the logarithm of ten in single precision.
    theirs *= float(torch.log(torch.tensor(10.0))) / math.log(10)
    assert float(psnr(b, a)) == pytest.approx(theirs, abs=1e-6)
    theirs = float(their_ssim(*batch, data_range=1.0))
    assert structural_similarity(b.float(), a.float()) == pytest.approx(theirs, abs=1e-6)


def test_nobody_drawn_and_nobody_there_are_answered(frame):
    empty = Drawn(color=torch.zeros_like(frame.picture), alpha=torch.zeros_like(frame.mask))
    numbers = measured(empty, frame)
    assert numbers["iou"] == 0
    assert numbers["boundary_px"] == pytest.approx(math.hypot(*frame.mask.shape))
    assert measured(drawn_of(frame), replace(frame, mask=torch.zeros_like(frame.mask))) == {}
    assert boundary_error(empty.alpha, empty.alpha) == 0


def test_the_outline_error_of_a_square_grown_by_two_is_two_and_a_bit():
    small, large = torch.zeros(60, 60), torch.zeros(60, 60)
    small[20:40, 20:40] = 1
    large[18:42, 18:42] = 1
    assert boundary_error(small, large) == pytest.approx(2.0, abs=0.15)


def test_regions_lie_where_they_should(plain_avatar, frame):
    assert person_region(frame.mask * 0) is None
    face, hands = face_region(frame), hand_regions(frame)
    assert face is not None
    assert len(hands) == 2
    assert face.bottom < min(hand.bottom for hand in hands)
    assert float(face.of(frame.mask).mean()) > 0.5
    # From behind there is no face.
    turned = replace(frame, joints=frame.joints.flip(0) * 0 + _turned(frame.joints))
    assert face_region(turned) is None
    assert face_region(replace(frame, joints=None)) is None
    wide = person_region(frame.mask).widened(400, *frame.mask.shape)
    assert wide.least >= 400
    assert (wide.top, wide.left) >= (0, 0)
    assert wide.right <= frame.mask.shape[1]


def _turned(joints):
    middle = joints.mean(0)
    return (joints - middle) * torch.tensor([-1.0, 1.0, -1.0]) + middle


def test_flicker_and_jitter_see_what_changes_from_frame_to_frame(frame):
    watcher, found = Watcher(), {}
    for k in range(4):
        here = replace(frame, index=k)
        drawn = shifted(here, 2 * (k % 2))
        watcher, found = watcher.step(drawn, here)
    assert found["jitter_px"] == pytest.approx(4.0, abs=0.1)
    assert found["flicker"] > 1.5
    # A gap starts anew.
    later = replace(frame, index=9)
    assert watcher.step(drawn_of(later), later)[1] == {}
