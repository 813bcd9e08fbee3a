"""Measure Wan-Animate's memory and time with random weights of full size, in its three placements.

    python benchmarks/wan_animate_gpu.py --out wan.json

One segment of 77 frames at 720 x 1280, bfloat16, the VAE in float32, on one card of 80 GB or more:
about six minutes. ``--tiny`` tries the script on any machine. Needs diffusers and transformers with
what they import, ftfy, jaxtyping and Pillow; neither cv2 nor MediaPipe, and no tokenizer's files.
"""

import argparse
import gc
import importlib
import json
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import torch
from mimicmotion_gpu import FULL_ENCODER

from persona.core.errors import BackendError
from persona.synthesis.diffusion.settings import WanAnimateSettings
from persona.synthesis.diffusion.wan_animate import WanAnimate

PLACEMENTS = {
    "all on the card": {},
    "offload": {"offload": True},
    "offload, by layer": {"offload": True, "by_layer": True},
}
"""Placement -> settings, the hungriest first."""
ENCODERS = (
    "encode_prompt",
    "encode_image",
    "prepare_reference_image_latents",
    "prepare_pose_latents",
    "prepare_prev_segment_cond_latents",
)
"""Calls of the pipeline before denoising; their results are the same in every placement."""
TINY = {
    "transformer": {
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "text_dim": 16,
        "freq_dim": 16,
        "ffn_dim": 16,
        "num_layers": 2,
        "image_dim": 4,
        "rope_max_seq_len": 32,
        "motion_encoder_channel_sizes": {"4": 8, "8": 8, "16": 8},
        "motion_encoder_size": 16,
        "motion_style_dim": 8,
        "motion_dim": 4,
        "motion_encoder_dim": 8,
        "face_encoder_hidden_dim": 16,
        "face_encoder_num_heads": 2,
        "inject_face_latents_blocks": 2,
    },
    "vae": {"base_dim": 3, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1},
    "vision": {
        "hidden_size": 4,
        "intermediate_size": 8,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "patch_size": 14,
        "image_size": 28,
    },
    "text": {
        "vocab_size": 4,
        "d_model": 16,
        "d_kv": 8,
        "d_ff": 16,
        "num_layers": 1,
        "num_heads": 2,
    },
}
FULL = {
    "transformer": {},
    "vae": {},
    "vision": FULL_ENCODER,
    "text": {
        "vocab_size": 256384,
        "d_model": 4096,
        "d_kv": 64,
        "d_ff": 10240,
        "num_layers": 24,
        "num_heads": 64,
        "feed_forward_proj": "gated-gelu",
    },
}
"""diffusers' own defaults are the published transformer and VAE."""


class OutOfTimeError(Exception):
    """The budget is spent: what comes next is not measured."""


class Words:
    """Stands in for a tokenizer: sixteen words, and padding."""

    def __call__(self, texts, *, max_length, **_):
        """Give ones."""
        mask = torch.zeros(len(texts), max_length, dtype=torch.int64)
        mask[:, :16] = 1
        return SimpleNamespace(input_ids=torch.ones_like(mask), attention_mask=mask)


@contextmanager
def computing_in(dtype):
    """Let what is made be of a type: 33 GB must not be made twice as large first."""
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def components(tiny, device, dtype):
    """Random weights; made on the card, as twenty-two billion of them take long elsewhere."""
    diffusers = importlib.import_module("diffusers")
    transformers = importlib.import_module("transformers")
    sizes = TINY if tiny else FULL
    torch.manual_seed(0)
    with torch.device(device), torch.no_grad():
        with computing_in(dtype):
            transformer = diffusers.WanAnimateTransformer3DModel(**sizes["transformer"])
            text = transformers.UMT5EncoderModel(transformers.UMT5Config(**sizes["text"]))
        vae = diffusers.AutoencoderKLWan(**sizes["vae"])
        vision = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**sizes["vision"]))
    exact = set(transformer._keep_in_fp32_modules or ())
    for name, parameter in transformer.named_parameters():
        # As reading the published folder leaves them.
        if exact & set(name.split(".")):
            parameter.data = parameter.data.float()
    side = sizes["vision"]["image_size"]
    return {
        "transformer": transformer.eval(),
        "vae": vae.eval(),
        "text_encoder": text.eval(),
        "tokenizer": Words(),
        "image_encoder": vision.eval(),
        "image_processor": transformers.CLIPImageProcessorPil(
            crop_size={"height": side, "width": side}, size={"shortest_edge": side}
        ),
        "scheduler": diffusers.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
        ),
    }


class Meter:
    """Seconds and peak of every call that is watched."""

    def __init__(self, device, deadline):
        self.device, self.deadline = device, deadline
        self.rows = defaultdict(lambda: {"calls": 0, "seconds": [], "peak_gib": 0.0})

    def watch(self, owner, name, label, *, costly=False):
        """Measure a method from now on; a costly one is not begun when time is out."""
        inner = getattr(owner, name)

        def watched(*args, **kwargs):
            if costly and time.perf_counter() > self.deadline:
                raise OutOfTimeError(label)
            self.reset()
            began = self.now()
            result = inner(*args, **kwargs)
            row = self.rows[label]
            row["calls"] += 1
            row["seconds"].append(round(self.now() - began, 3))
            row["peak_gib"] = max(row["peak_gib"], self.peak())
            return result

        setattr(owner, name, watched)

    def now(self):
        """Give the time when all work is done [s]."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def reset(self):
        """Forget earlier peaks."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def peak(self):
        """Give the peak since then [GiB]."""
        return torch.cuda.max_memory_allocated() / 2**30 if self.device.type == "cuda" else 0.0


def remembered(pipeline, known):
    """Let encoders run once: a later placement takes what they gave."""
    for name in ENCODERS:
        inner = getattr(pipeline, name)

        def first(*args, inner=inner, name=name, **kwargs):
            if name not in known:
                known[name] = inner(*args, **kwargs)
            return known[name]

        setattr(pipeline, name, first)


def measure(args, parts, name, known, deadline):
    """Make one segment in one placement; give seconds and peaks of every part."""
    device, cuda = args.device, args.device.type == "cuda"
    sizes = {"width": 16, "height": 16, "segment": 5} if args.tiny else {"segment": args.frames}
    settings = WanAnimateSettings(**sizes, steps=args.steps, **PLACEMENTS[name])
    gc.collect()
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    made = WanAnimate.from_components(**parts, settings=settings, device=device)
    pipe, meter = made.pipeline, Meter(device, deadline)
    row = {"placement": name, "frames": settings.segment, "steps": settings.steps}
    row["placed_s"] = round(meter.now() - began, 2)
    row["resting_gib"] = torch.cuda.memory_allocated() / 2**30 if cuda else 0.0
    for encoder in ENCODERS:
        meter.watch(pipe, encoder, encoder)
    if settings.offload:
        remembered(pipe, known)
    meter.watch(pipe.transformer, "forward", "transformer")
    meter.watch(pipe.vae, "decode", "decode", costly=True)
    generator = torch.Generator().manual_seed(1)
    h, w = settings.height, settings.width
    photo = torch.randint(0, 256, (h, w, 3), generator=generator, dtype=torch.uint8)
    one = torch.randint(0, 256, (1, 3, h, w), generator=generator, dtype=torch.uint8)
    skeletons = one.expand(settings.segment + 1, -1, -1, -1)
    try:
        film = made(photo, skeletons, face=(0, 0, w // 2, h // 4))
        row["levels"] = [int(film[1:].min()), int(film[1:].max())]
    except OutOfTimeError as missing:
        row["not_measured"] = str(missing)
    except BackendError as error:
        row["failed"] = error.what
    finally:
        del pipe.transformer.forward, pipe.vae.decode
    row["parts"] = dict(meter.rows)
    row["peak_gib"] = max((found["peak_gib"] for found in meter.rows.values()), default=0.0)
    row["reserved_gib"] = torch.cuda.max_memory_reserved() / 2**30 if cuda else 0.0
    row["all_s"] = round(time.perf_counter() - began, 1)
    return row


def main():
    """Measure all placements and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--frames", type=int, default=77)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--budget", type=float, default=300.0, help="seconds; then no decoding")
    args = parser.parse_args()
    began = time.perf_counter()
    cuda = torch.cuda.is_available()
    args.device = torch.device("cuda" if cuda else "cpu")
    parts = components(args.tiny, args.device, torch.bfloat16 if cuda else torch.float32)
    told = {
        "torch": torch.__version__,
        "card": torch.cuda.get_device_name() if cuda else "cpu",
        "card_gib": torch.cuda.get_device_properties(0).total_memory / 2**30 if cuda else 0.0,
        "billions": {name: count(part) for name, part in parts.items() if count(part)},
        "made_s": round(time.perf_counter() - began, 1),
        "placements": [],
    }
    known = {}
    for name, changed in PLACEMENTS.items():
        # Of the last two only the transformer differs.
        deadline = began + (0.0 if "by_layer" in changed else args.budget)
        told["placements"].append(measure(args, parts, name, known, deadline))
        told["all_s"] = round(time.perf_counter() - began, 1)
        args.out.write_text(json.dumps(told, indent=1))
    sys.stdout.write(json.dumps(told) + "\n")


def count(part):
    """Give the numbers of a part, in billions; 0 for what has none."""
    if not isinstance(part, torch.nn.Module):
        return 0.0
    return round(sum(p.numel() for p in part.parameters()) / 1e9, 6)


if __name__ == "__main__":
    main()
