import copy

import pytest
import torch

from persona.core.errors import BackendError, InputError
from persona.synthesis.diffusion import progress_file
from persona.synthesis.diffusion.mimicmotion import MimicMotion
from persona.synthesis.diffusion.pose_net import PoseNet, accept_pose
from persona.synthesis.diffusion.progress_file import ProgressFile
from persona.synthesis.diffusion.settings import AYS_SIGMAS, MimicMotionSettings
from tests.synthesis.diffusion.published_twin import published_way

SETTINGS = {"width": 64, "height": 64, "window": 4, "overlap": 1, "steps": 3, "decode_chunk": 4}


def generator(parts, **changed):
    return MimicMotion.from_components(**parts, settings=MimicMotionSettings(**SETTINGS | changed))


def test_pose_net_has_the_published_parameters():
    net = PoseNet()
    assert sum(p.numel() for p in net.parameters()) == 205_557
    assert len(net.state_dict()) == 19
    assert net(torch.zeros(2, 5, 3, 64, 64)).shape == (10, 320, 8, 8)
    assert bool((net(torch.ones(1, 3, 16, 16)) == 0).all())
    assert float(net.scale.detach()) == 2.0


def test_taking_poses_keeps_every_key(parts):
    before = list(parts["unet"].state_dict())
    accept_pose(parts["unet"])
    assert list(parts["unet"].state_dict()) == before
    assert accept_pose(parts["unet"]) is parts["unet"]


@pytest.mark.parametrize("batched", [False, True])
def test_latents_are_those_of_the_published_arithmetic(parts, film, batched):
    wanted = published_way(copy.deepcopy(parts), *film, window=4, overlap=1, steps=3, seed=42)
    made = generator(parts, batched_guidance=batched).latents(*film)
    assert float(wanted.std()) > 1e-2
    assert float((made - wanted).abs().max() / wanted.abs().max()) < 1e-5


def test_the_pose_changes_the_film(parts, film):
    photo, skeletons = film
    one = generator(parts).latents(photo, skeletons)
    other = generator(parts).latents(photo, skeletons.flip(0))
    assert float((one - other).abs().max()) > 1e-3


def test_pictures_come_out_and_repeat_bit_for_bit(parts, film):
    made = generator(parts)(*film)
    assert made.shape == film[1].shape
    assert made.dtype == torch.uint8
    assert torch.equal(made, generator(parts)(*film))


def test_fewer_frames_than_a_window_and_one_frame(parts, film):
    photo, skeletons = film
    made = generator(parts, window=72, overlap=6)
    assert made(photo, skeletons[:3]).shape[0] == 3
    assert made(photo, skeletons[:2]).shape[0] == 2
    with pytest.raises(InputError, match="nothing to generate"):
        made(photo, skeletons[:1])
    with pytest.raises(InputError, match="pixel by pixel"):
        made(photo[:32], skeletons[:, :, :32])


def test_ten_steps_take_the_aligned_noise_levels(parts, film):
    made = generator(parts, steps=10)
    made.latents(film[0], film[1][:2])
    assert torch.allclose(made.components.scheduler.sigmas.cpu(), torch.tensor(AYS_SIGMAS))


class Stop(Exception):
    pass


@pytest.mark.parametrize("after", [1, 5, 9, 20])
def test_a_killed_generation_goes_on_bit_for_bit(parts, film, tmp_path, monkeypatch, after):
    whole = generator(parts)(*film)
    # Every window is kept, as with real models, whose windows take a second each.
    monkeypatch.setattr(progress_file, "EVERY_SECONDS", 0.0)
    ticks = []

    def stop():
        ticks.append(1)
        if len(ticks) == after:
            raise Stop

    made = generator(parts)
    with pytest.raises(Stop):
        made(*film, folder=tmp_path, tick=stop)
    again = []
    assert torch.equal(whole, made(*film, folder=tmp_path, tick=lambda: again.append(1)))
    # The piece that the stop fell into is the only one that may be done twice.
    assert len(again) <= made.steps(len(film[1])) - after + 1


def test_a_state_of_something_else_is_not_taken(parts, film, tmp_path):
    made = generator(parts)
    made(*film, folder=tmp_path)
    assert ProgressFile(tmp_path, "another key").load() is None
    other = generator(parts, seed=1)(*film, folder=tmp_path)
    assert torch.equal(other, generator(parts, seed=1)(*film))


def test_overflow_is_told(parts, film):
    with torch.no_grad():
        parts["unet"].conv_out.bias.fill_(float("inf"))
    with pytest.raises(BackendError, match="step 1 gave numbers") as caught:
        generator(parts).latents(*film)
    assert "bfloat16" in caught.value.fix


def test_overflow_of_the_decoder_is_told(parts, film):
    with torch.no_grad():
        parts["vae"].decoder.conv_out.bias.fill_(float("nan"))
    with pytest.raises(BackendError, match="decoding gave"):
        generator(parts)(*film)


def test_no_memory_is_told_with_what_to_do(parts, film, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("tried to allocate 20 GiB")

    monkeypatch.setattr(parts["unet"], "forward", full)
    with pytest.raises(BackendError, match="out of memory") as caught:
        generator(parts)(*film)
    assert "offload" in caught.value.fix


def test_settings_that_save_memory_change_next_to_nothing(parts, film):
    plain = generator(copy.deepcopy(parts)).latents(*film)
    spare = generator(parts, chunked_feed_forward=True, offload=True).latents(*film)
    assert float((plain - spare).abs().max() / plain.abs().max()) < 1e-5
