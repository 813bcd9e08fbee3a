"""Wan-Animate by the pipeline's own parts: the same film, resumed, from a strictly read folder."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

from persona.core.errors import FileFormatError, InputError, MissingPartError
from persona.synthesis.diffusion.aapose import draw_aapose, face_box
from persona.synthesis.diffusion.dwpose import DwposeSkeleton
from persona.synthesis.diffusion.settings import WanAnimateSettings, wan_for_memory
from persona.synthesis.diffusion.wan_animate import WanAnimate, segments

diffusers = pytest.importorskip("diffusers", reason="needs the extra diffusion")
transformers = pytest.importorskip("transformers", reason="needs the extra diffusion")

SIDE = 16
FACE = (2, 1, 12, 9)
SETTINGS = WanAnimateSettings(width=SIDE, height=SIDE, segment=5, steps=2, prompt="moving")


def tiny_tokenizer():
    words = {"<pad>": 0, "</s>": 1, "<unk>": 2, "moving": 3}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=inner, **special)


def tiny_parts():
    torch.manual_seed(3)
    transformer = diffusers.WanAnimateTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        text_dim=16,
        freq_dim=16,
        ffn_dim=16,
        num_layers=2,
        image_dim=4,
        rope_max_seq_len=32,
        motion_encoder_channel_sizes={"4": 8, "8": 8, "16": 8},
        motion_encoder_size=16,
        motion_style_dim=8,
        motion_dim=4,
        motion_encoder_dim=8,
        face_encoder_hidden_dim=16,
        face_encoder_num_heads=2,
        inject_face_latents_blocks=2,
    )
    vision = transformers.CLIPVisionConfig(
        hidden_size=4,
        intermediate_size=8,
        num_attention_heads=2,
        num_hidden_layers=2,
        patch_size=14,
        image_size=28,
    )
    text = transformers.UMT5Config(
        vocab_size=4, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2
    )
    return {
        "transformer": transformer.eval(),
        "vae": diffusers.AutoencoderKLWan(
            base_dim=3, dim_mult=[1, 1, 1, 1], num_res_blocks=1
        ).eval(),
        "text_encoder": transformers.UMT5EncoderModel(text).eval(),
        "tokenizer": tiny_tokenizer(),
        "image_encoder": transformers.CLIPVisionModel(vision).eval(),
        "image_processor": transformers.CLIPImageProcessorPil(
            crop_size={"height": 28, "width": 28}, size={"shortest_edge": 28}
        ),
        "scheduler": diffusers.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
        ),
    }


@pytest.fixture(scope="module")
def wan():
    return WanAnimate.from_components(**tiny_parts(), settings=SETTINGS)


def film_of(count):
    generator = torch.Generator().manual_seed(0)
    photo = torch.randint(0, 256, (SIDE, SIDE, 3), generator=generator, dtype=torch.uint8)
    shape = (count + 1, 3, SIDE, SIDE)
    return photo, torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(("count", "guidance"), [(9, 1.0), (7, 1.5)])
def test_the_film_is_the_pipelines(wan, count, guidance):
    photo, skeletons = film_of(count)
    settings = WanAnimateSettings(**{**vars(SETTINGS), "guidance": guidance})
    made = WanAnimate(pipeline=wan.pipeline, settings=settings)
    film = made(photo, skeletons, face=FACE)
    shown = Image.fromarray(photo.numpy())
    poses = [Image.fromarray(p.permute(1, 2, 0).numpy()) for p in skeletons[1:]]
    face = shown.crop(FACE).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    wanted = wan.pipeline(
        image=shown,
        pose_video=poses,
        face_video=[face] * count,
        prompt="moving",
        height=SIDE,
        width=SIDE,
        segment_frame_length=5,
        num_inference_steps=2,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(settings.seed),
        output_type="np",
    ).frames[0]
    assert torch.equal(film[0], photo.permute(2, 0, 1))
    wanted = torch.from_numpy(np.rint(wanted * 255).astype(np.uint8)).permute(0, 3, 1, 2)
    assert int((film[1:].int() - wanted.int()).abs().max()) <= 1
    assert float(film[1:].float().std()) > 1


@pytest.mark.parametrize("stop_at", [1, 3, 4, 6, 7])
def test_a_stopped_film_goes_on_at_its_last_step(wan, stop_at, monkeypatch, tmp_path):
    """Wherever it stops, in the middle of a segment too, it goes on bit for bit."""
    monkeypatch.setattr("persona.synthesis.diffusion.progress_file.EVERY_SECONDS", 0.0)
    photo, skeletons = film_of(9)
    # Enough steps for the sampler to remember several.
    made = WanAnimate(pipeline=wan.pipeline, settings=replace(SETTINGS, steps=4))
    whole = made(photo, skeletons, face=FACE)
    done = []

    def stop():
        done.append(1)
        if len(done) == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(photo, skeletons, face=FACE, folder=tmp_path, tick=stop)
    ticks = []
    again = made(photo, skeletons, face=FACE, folder=tmp_path, tick=lambda: ticks.append(1))
    assert torch.equal(again, whole)
    assert len(ticks) == made.steps(10) - stop_at
    other = made(photo, skeletons.flip(0), face=FACE, folder=tmp_path)
    assert not torch.equal(other, whole)


def test_a_damaged_state_is_refused(wan, monkeypatch, tmp_path):
    monkeypatch.setattr("persona.synthesis.diffusion.progress_file.EVERY_SECONDS", 0.0)
    photo, skeletons = film_of(4)

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wan(photo, skeletons, face=FACE, folder=tmp_path, tick=stop)
    (tmp_path / "step.safetensors").write_bytes(b"cut short")
    with pytest.raises(FileFormatError, match="cannot be read"):
        wan(photo, skeletons, face=FACE, folder=tmp_path)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_films_shorter_than_a_segment_are_one_shorter_segment(wan, count):
    photo, skeletons = film_of(count)
    ticks = []
    film = wan(photo, skeletons, face=FACE, tick=lambda: ticks.append(1))
    assert len(film) == count + 1
    assert len(ticks) == wan.steps(count + 1) == 2


def test_segments_cover_every_frame():
    assert segments(1, 1, 1) == ((0,),)
    assert segments(2, 5, 1) == ((0, 1, 0, 1, 0),)
    for count in range(1, 40):
        for overlap in (1, 5):
            cover = segments(count, 9, overlap)
            assert set(range(count)) == {k for frames in cover for k in frames}
            assert all(len(frames) == 9 for frames in cover)


def test_what_does_not_fit_is_refused(wan):
    photo, skeletons = film_of(1)
    with pytest.raises(InputError, match="1 skeletons"):
        wan(photo, skeletons[:1], face=FACE)
    with pytest.raises(InputError, match="came for"):
        wan(photo[:8], skeletons[:, :, :8], face=FACE)
    for wrong in ({"segment": 6}, {"overlap": 2}, {"width": 30}, {"steps": 0}):
        with pytest.raises(InputError, match="segments"):
            WanAnimateSettings(**wrong)


def test_the_published_layout_is_read_strictly(wan, tmp_path):
    parts = tiny_parts()
    for name in ("transformer", "vae", "text_encoder", "tokenizer", "image_encoder"):
        parts[name].save_pretrained(tmp_path / name)
    for name in ("image_processor", "scheduler"):
        parts[name].save_pretrained(tmp_path / name)
    told = {"settings": SETTINGS, "device": torch.device("cpu"), "dtype": torch.float32}
    photo, skeletons = film_of(3)
    read = WanAnimate.load(tmp_path, **told)(photo, skeletons, face=FACE)
    assert torch.equal(read, wan(photo, skeletons, face=FACE))
    config = tmp_path / "transformer" / "config.json"
    wrong = json.loads(config.read_text()) | {"num_layers": 4}
    config.write_text(json.dumps(wrong))
    with pytest.raises(FileFormatError, match="transformer"):
        WanAnimate.load(tmp_path, **told)
    next((tmp_path / "transformer").glob("*.safetensors")).unlink()
    with pytest.raises(MissingPartError, match="safetensors"):
        WanAnimate.load(tmp_path, **told)


def skeleton(**changed):
    body = np.full((18, 2), 0.5)
    body[:, 1] = np.linspace(0.1, 0.9, 18)
    told = {
        "body": body,
        "body_confidence": np.ones(18),
        "hands": np.full((2, 21, 2), 0.25),
        "hands_confidence": np.zeros((2, 21)),
        "face": np.stack([np.linspace(0.4, 0.6, 68), np.linspace(0.1, 0.3, 68)], 1),
        "face_confidence": np.ones(68),
        "toes": np.array([[0.1, 0.95], [0.9, 0.95]]),
        "toes_confidence": np.ones(2),
    }
    return DwposeSkeleton(**{**told, **changed})


def test_feet_are_drawn_and_faces_are_not():
    drawn = draw_aapose(skeleton(), 400, 200)
    assert drawn.shape == (3, 400, 200)
    assert tuple(drawn[:, 380, 20]) == (200, 200, 0)
    assert tuple(drawn[:, 380, 180]) == (100, 100, 0)
    assert drawn[:, 40:120, 120:].sum() == 0
    unsure = draw_aapose(skeleton(toes_confidence=np.full(2, 0.4)), 400, 200)
    assert unsure[:, 380, 20].sum() == 0
    hands = draw_aapose(skeleton(hands_confidence=np.ones((2, 21))), 400, 200)
    assert tuple(hands[:, 100, 50]) == (0, 0, 255)
    with pytest.raises(InputError, match="toes"):
        draw_aapose(skeleton(toes=None), 400, 200)


def test_faces_are_cut_out_with_their_foreheads():
    left, top, right, bottom = face_box(skeleton().face, 400, 200)
    assert left < 80 + 1
    assert right > 119
    assert 40 - top > 2 * (bottom - 120)
    assert face_box(np.zeros((68, 2)), 400, 200)[:2] == (0, 0)


def test_settings_fit_the_card():
    plain = WanAnimateSettings()
    assert wan_for_memory(plain, 80.0) == plain
    assert wan_for_memory(plain, 48.0).offload
    assert not wan_for_memory(plain, 48.0).by_layer
    assert wan_for_memory(plain, 24.0).by_layer
