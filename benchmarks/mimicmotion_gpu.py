"""Time MimicMotion with random weights of full size, piece by piece or as a whole.

    python benchmarks/mimicmotion_gpu.py pieces --out table.json
    python benchmarks/mimicmotion_gpu.py whole --steps 10 --out whole.json
    torchrun --nproc-per-node 2 benchmarks/mimicmotion_gpu.py shared --out shared.json
    python benchmarks/mimicmotion_gpu.py memory --out memory.json

Needs a CUDA device of 40 GB or more, and diffusers; ``--tiny`` tries the script on any machine.
"""

import argparse
import gc
import importlib
import json
import os
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from persona.synthesis.diffusion.components import Normalization
from persona.synthesis.diffusion.mimicmotion import MimicMotion
from persona.synthesis.diffusion.pose_net import PoseNet, accept_pose
from persona.synthesis.diffusion.settings import MimicMotionSettings
from persona.synthesis.diffusion.sharing import Alone, share_of_process
from persona.synthesis.diffusion.speed import attend_to_one_key, compile_repeated

FRAMES = 907
TINY_UNET = {
    "down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
    "up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
    "block_out_channels": (32, 64),
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 24,
    "layers_per_block": 1,
    "cross_attention_dim": 16,
    "num_attention_heads": (2, 4),
}
FULL_UNET = {"num_attention_heads": (5, 10, 20, 20), "num_frames": 25, "sample_size": 96}
TINY_ENCODER = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "patch_size": 56,
    "image_size": 224,
    "projection_dim": 16,
}
FULL_ENCODER = {
    "hidden_act": "gelu",
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_attention_heads": 16,
    "num_hidden_layers": 32,
    "patch_size": 14,
    "image_size": 224,
    "projection_dim": 1024,
}
SCHEDULER = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "v_prediction",
    "use_karras_sigmas": True,
    "sigma_min": 0.002,
    "sigma_max": 700.0,
    "timestep_spacing": "leading",
    "timestep_type": "continuous",
    "steps_offset": 1,
}
VARIANTS = {
    "eager": (),
    "one key": ("one key",),
    "one key, flash attention": ("one key", "flash"),
    "one key, channels last": ("one key", "channels last"),
    "one key, compiled": ("one key", "compiled"),
    "one key, channels last, compiled": ("one key", "channels last", "compiled"),
}
"""Variant -> what is done for speed."""


def components(tiny, device, dtype, seed=0):
    """Random weights; made on the device, as two billion of them take minutes on a processor."""
    diffusers = importlib.import_module("diffusers")
    transformers = importlib.import_module("transformers")
    torch.manual_seed(seed)
    with torch.device(device):
        unet = diffusers.UNetSpatioTemporalConditionModel(**(TINY_UNET if tiny else FULL_UNET))
        sizes = (32,) * 4 if tiny else (128, 256, 512, 512)
        vae = diffusers.AutoencoderKLTemporalDecoder(
            block_out_channels=sizes,
            down_block_types=("DownEncoderBlock2D",) * 4,
            layers_per_block=1 if tiny else 2,
        )
        encoder = transformers.CLIPVisionModelWithProjection(
            transformers.CLIPVisionConfig(**(TINY_ENCODER if tiny else FULL_ENCODER))
        )
        pose_net = PoseNet(32 if tiny else 320)
        torch.nn.init.normal_(pose_net.final_proj.weight, std=0.02)
    parts = {"unet": unet, "vae": vae, "image_encoder": encoder, "pose_net": pose_net}
    parts = {name: part.to(device, dtype).eval() for name, part in parts.items()}
    accept_pose(parts["unet"])
    parts["scheduler"] = diffusers.EulerDiscreteScheduler(**SCHEDULER)
    parts["feature_extractor"] = Normalization(
        image_mean=(0.48, 0.46, 0.41), image_std=(0.27, 0.26, 0.28)
    )
    return parts


def synchronized(device):
    """Give the time when all work is done [s]."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def timed(call, device, repeats):
    """Give the median seconds of a call, those of its first, its result and the peak in GiB."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    began = synchronized(device)
    result = call()
    first = synchronized(device) - began
    seconds = []
    for _ in range(repeats):
        began = synchronized(device)
        call()
        seconds.append(synchronized(device) - began)
    peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0.0
    return sorted(seconds)[len(seconds) // 2], first, result, peak


def unet_inputs(tiny, device, dtype, frames, rows=1):
    """Make up what one call of the UNet takes."""
    generator = torch.Generator(device).manual_seed(1)
    y, x = (8, 8) if tiny else (128, 72)

    def random(*shape):
        return torch.randn(shape, generator=generator, device=device).to(dtype)

    return {
        "pose": random(1, frames, 32 if tiny else 320, y, x).repeat(rows, 1, 1, 1, 1).flatten(0, 1),
        "sample": random(1, frames, 8, y, x).repeat(rows, 1, 1, 1, 1),
        "embedding": random(1, 1, 16 if tiny else 1024).repeat(rows, 1, 1),
        "ids": torch.tensor([[6.0, 127.0, 0.0]], device=device, dtype=dtype).repeat(rows, 1),
        "time": torch.tensor(1.2, device=device),
    }


def call_unet(unet, told):
    """Call the UNet once."""
    unet.conv_in.pose = told["pose"]
    return unet(
        told["sample"],
        told["time"],
        encoder_hidden_states=told["embedding"],
        added_time_ids=told["ids"],
        return_dict=False,
    )[0]


def difference(made, wanted):
    """Give the root mean square and the largest difference, over the wanted's deviation."""
    wanted, apart = wanted.float(), made.float() - wanted.float()
    spread = float(wanted.std())
    return float(apart.square().mean().sqrt()) / spread, float(apart.abs().max()) / spread


def kernels(call, device):
    """List what one call spends its time on."""
    if device.type != "cuda":
        return []
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        call()
        torch.cuda.synchronize()
    rows = sorted(profile.key_averages(), key=lambda r: -r.self_device_time_total)[:14]
    return [(r.key[:90], round(r.self_device_time_total / 1e3, 1), r.count) for r in rows]


def quicken(unet, vae, asked):
    """Do what a variant consists of."""
    if "one key" in asked:
        attend_to_one_key(unet)
    if "channels last" in asked:
        for part in (*unet.modules(), *vae.modules()):
            if isinstance(part, torch.nn.Conv2d):
                part.to(memory_format=torch.channels_last)
            elif isinstance(part, torch.nn.Conv3d):
                part.to(memory_format=torch.channels_last_3d)
    if "compiled" in asked:
        compile_repeated(unet, vae.decoder)


@torch.no_grad()
def pieces(args, device, dtype):
    """Time single UNet calls and decoded chunks under each variant."""
    y, x = (8, 8) if args.tiny else (128, 72)
    latents = torch.randn(24, 4, y, x, generator=torch.Generator().manual_seed(2)).to(device)
    parts = components(args.tiny, device, torch.float32)
    told = unet_inputs(args.tiny, device, torch.float32, 3 if args.tiny else 16)
    exact = call_unet(parts["unet"], told)
    del parts
    rows, eager = [], None
    for name, asked in VARIANTS.items():
        if time.perf_counter() - args.began > args.budget:
            rows.append({"variant": name, "skipped": "time"})
            continue
        gc.collect()
        torch._dynamo.reset()
        parts = components(args.tiny, device, dtype)
        quicken(parts["unet"], parts["vae"], asked)
        flash = [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]
        with sdpa_kernel(flash, set_priority=True) if "flash" in asked else nullcontext():
            row, made = variant(args, parts, asked, latents.to(dtype), exact, eager)
        eager = made if eager is None else eager
        rows.append({"variant": name} | row)
        say(rows[-1])
        del parts
    return rows


def variant(args, parts, asked, latents, exact, eager):
    """Measure one variant; also give what it computed, for others to be compared with."""
    device, dtype, unet, vae = latents.device, latents.dtype, parts["unet"], parts["vae"]
    told = unet_inputs(args.tiny, device, dtype, 4 if args.tiny else 72)
    row = {}
    if "compiled" not in asked:
        small = unet_inputs(args.tiny, device, dtype, 3 if args.tiny else 16)
        row["rms_max_from_float32"] = difference(call_unet(unet, small), exact)
    seconds, first, made, peak = timed(lambda: call_unet(unet, told), device, 3)
    row |= {"unet_s": seconds, "unet_first_s": first, "unet_peak_gib": peak}
    row["kernels"] = kernels(lambda: call_unet(unet, told), device)
    seconds, first, shown, peak = timed(lambda: decode(vae, latents[:8]), device, 2)
    row |= {"vae8_s": seconds, "vae8_first_s": first, "vae8_peak_gib": peak}
    if eager is not None:
        row["rms_max_from_eager"] = difference(made, eager[0])
        row["vae_levels_from_eager"] = levels(shown, eager[1])
    if asked == ("one key",):
        double = unet_inputs(args.tiny, device, dtype, 4 if args.tiny else 72, rows=2)
        seconds, _, both, peak = timed(lambda: call_unet(unet, double), device, 2)
        row |= {"unet_batched_s": seconds, "unet_batched_peak_gib": peak}
        row["batched_rms_max"] = difference(both[:1], made)
        for size in (4, 16, 24):
            seconds, _, other, peak = timed(partial(decode, vae, latents[:size]), device, 1)
            row[f"vae{size}"] = {"s_per_frame": seconds / size, "peak_gib": peak}
            n = min(size, 8)
            row[f"vae{size}"]["levels_from_8"] = levels(other[:n], shown[:n])
    return row, (made, shown)


def decode(vae, latents):
    """Decode frames together."""
    return vae.decode(latents, num_frames=len(latents)).sample


def levels(made, wanted):
    """Give the mean difference of pictures in [-1, 1], in levels of 255."""
    return float((made - wanted).float().abs().mean()) * 127.5


def say(row):
    """Write a result as soon as it is there."""
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


def film(tiny, count):
    """Make up a photo and skeletons."""
    generator = torch.Generator().manual_seed(3)
    w, h = (64, 64) if tiny else (576, 1024)
    photo = torch.randint(0, 256, (h, w, 3), generator=generator, dtype=torch.uint8)
    one = torch.randint(0, 256, (8, 3, h, w), generator=generator, dtype=torch.uint8)
    return photo, one.repeat(count // 8 + 1, 1, 1, 1)[:count]


def generator(args, device, dtype, **changed):
    """Put a generator together."""
    sizes = {"width": 64, "height": 64, "window": 8, "overlap": 2} if args.tiny else {}
    told = {"steps": args.steps, "compiled": args.compiled}
    settings = MimicMotionSettings(**(told | sizes | changed))
    parts = components(args.tiny, device, dtype)
    return MimicMotion.from_components(
        **parts, settings=settings, device=device, share=share_of_process(device)
    )


@torch.no_grad()
def whole(args, device, dtype):
    """Generate a film from photo to pictures, and give the seconds of each half."""
    made = generator(args, device, dtype)
    photo, skeletons = film(args.tiny, (args.frames or FRAMES) + 1)
    ticks = []
    began = synchronized(device)
    latents = made.latents(photo, skeletons, tick=lambda: ticks.append(synchronized(device)))
    middle = synchronized(device)
    pictures = made.decode(latents, tick=lambda: ticks.append(synchronized(device)))
    ended = synchronized(device)
    apart = [b - a for a, b in pairwise(ticks)]
    return {
        "frames": len(pictures) - 1,
        "steps": args.steps,
        "denoise_s": middle - began,
        "decode_s": ended - middle,
        "first_piece_s": ticks[0] - began,
        "median_piece_s": sorted(apart[: len(apart) // 2])[len(apart) // 4] if apart else None,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0,
        "world": made.share.world,
        "levels": [int(pictures.min()), float(pictures.float().mean()), int(pictures.max())],
    }


@torch.no_grad()
def shared(args, device, dtype):
    """Time one step and the decoding with one process, then with all."""
    made = generator(args, device, dtype)
    photo, skeletons = film(args.tiny, (args.frames or FRAMES) + 1)
    found = {}
    group = made.share
    for name, share in (("all", group), ("one", Alone())):
        run = replace(made, share=share)
        for _ in range(2 if name == "all" else 1):
            began = synchronized(device)
            latents = run.latents(photo, skeletons)
            middle = synchronized(device)
            few = latents[: args.decoded]
            run.decode(few)
            ended = synchronized(device)
        found[name] = (middle - began, ended - middle, latents)
    apart = float((found["all"][2] - found["one"][2]).abs().max() / found["one"][2].abs().max())
    return {
        "world": group.world,
        "steps": args.steps,
        "denoise_s": {k: v[0] for k, v in found.items()},
        "decode_s": {k: v[1] for k, v in found.items()},
        "of_linear_denoise": found["one"][0] / found["all"][0] / group.world,
        "of_linear_decode": found["one"][1] / found["all"][1] / group.world,
        "latents_apart": apart,
    }


MEMORY = {
    "72 frames": {},
    "72 frames, offload": {"offload": True},
    "72 frames, offload, chunked": {"offload": True, "chunked_feed_forward": True},
    "16 frames, offload, chunked": {
        "offload": True,
        "chunked_feed_forward": True,
        "window": 16,
        "overlap": 4,
    },
    "16 frames, offload, chunked, decode 2": {
        "offload": True,
        "chunked_feed_forward": True,
        "window": 16,
        "overlap": 4,
        "decode_chunk": 2,
    },
}


@torch.no_grad()
def memory(args, device, dtype):
    """Give the peak of one window, denoised and decoded, under each setting."""
    rows = []
    for name, changed in MEMORY.items():
        gc.collect()
        torch.cuda.empty_cache()
        made = generator(args, device, dtype, **({"decode_chunk": 8} | changed))
        photo, skeletons = film(args.tiny, made.settings.window)
        gc.collect()
        torch.cuda.empty_cache()
        row = {"setting": name, "window": made.settings.window}
        torch.cuda.reset_peak_memory_stats()
        began = synchronized(device)
        latents = made.latents(photo, skeletons)
        row["denoise_s"] = synchronized(device) - began
        row["denoise_gib"] = torch.cuda.max_memory_allocated() / 2**30
        torch.cuda.reset_peak_memory_stats()
        made.decode(latents[:8])
        row["decode_gib"] = torch.cuda.max_memory_allocated() / 2**30
        row["reserved_gib"] = torch.cuda.max_memory_reserved() / 2**30
        rows.append(row)
        say(row)
        del made
    return rows


def main():
    """Run one of them and write what it gave."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("pieces", "whole", "shared", "memory"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--decoded", type=int, default=64)
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--budget", type=float, default=420.0, help="seconds for all variants")
    args = parser.parse_args()
    args.began = time.perf_counter()
    cuda = torch.cuda.is_available()
    device = torch.device("cpu")
    if cuda:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    dtype = torch.bfloat16 if cuda else torch.float32
    result = globals()[args.what](args, device, dtype)
    told = {
        "what": args.what,
        "torch": torch.__version__,
        "card": torch.cuda.get_device_name() if cuda else "cpu",
        "compiled": args.compiled,
        "all_s": time.perf_counter() - args.began,
        "result": result,
    }
    args.out.write_text(json.dumps(told, indent=1))
    sys.stdout.write(json.dumps(told) + "\n")
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
