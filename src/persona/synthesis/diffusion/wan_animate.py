"""Wan-Animate: a photo and a film of skeletons become a film of the person, segment by segment."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from persona.core.errors import BackendError
from persona.core.fingerprint import fingerprint
from persona.core.optional import require
from persona.core.pretrained import read_pretrained, read_settings
from persona.synthesis.diffusion.memory import told_of_memory
from persona.synthesis.diffusion.progress_file import ProgressFile
from persona.synthesis.diffusion.refusals import check_pictures
from persona.synthesis.diffusion.settings import WanAnimateSettings
from persona.synthesis.diffusion.wan_steps import StepKeeper

EXTRA: Final = "diffusion"
WEIGHTS: Final = "wan2.2-animate-14b"
PROMPT_TOKENS: Final = 512
"""Length that prompts are padded to."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the transformer is told of all segments."""

    prompt: Tensor
    nobody: Tensor | None
    """The empty prompt, where guidance needs it."""
    person: Tensor
    """The photo, as the image encoder sees it."""
    reference: Tensor
    """Latents of the photo, behind their mask."""
    face: Tensor
    """One picture of the photo's face in [-1, 1], repeated over a segment."""


@dataclass(frozen=True, kw_only=True)
class WanAnimate:
    """Photo, skeletons -> pictures, by the parts of diffusers' WanAnimatePipeline.

    The loop over segments is written here, as the pipeline's own keeps nothing on the way, repeats
    nothing but the motion's last frames, and cannot take motions of one frame. On the same parts
    both give the same film.
    """

    pipeline: Any
    """WanAnimatePipeline."""
    settings: WanAnimateSettings = field(default_factory=WanAnimateSettings)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @staticmethod
    def from_components(
        *,
        settings: WanAnimateSettings | None = None,
        device: torch.device | None = None,
        **parts: Any,
    ) -> "WanAnimate":
        """Put a generator together from the pipeline's parts, with any weights.

        Args:
            settings: How to sample; None takes the published way.
            device: Where to compute; None takes the CPU.
            parts: transformer, vae, text_encoder, tokenizer, image_encoder, image_processor,
                scheduler.
        """
        diffusers = require("diffusers", extra=EXTRA, purpose="generate frames")
        pipeline = diffusers.WanAnimatePipeline(**parts)
        pipeline.set_progress_bar_config(disable=True)
        made = WanAnimate(
            pipeline=pipeline,
            settings=settings or WanAnimateSettings(),
            device=device or torch.device("cpu"),
        )
        return made._placed()

    @staticmethod
    def load(
        folder: Path,
        *,
        settings: WanAnimateSettings,
        device: torch.device,
        dtype: torch.dtype = torch.bfloat16,
    ) -> "WanAnimate":
        """Read the published folder; the VAE computes in float32, as its publisher advises.

        Raises:
            MissingPartError: The extra or a part is missing.
            FileFormatError: A part is damaged, or another model's.
        """
        diffusers = require("diffusers", extra=EXTRA, purpose="generate frames")
        transformers = require("transformers", extra=EXTRA, purpose="generate frames")

        def read(kind: Any, part: str, precision: torch.dtype = dtype) -> Any:
            return read_pretrained(kind, folder / part, precision, weights=WEIGHTS)

        small = {
            "tokenizer": transformers.AutoTokenizer,
            "image_processor": transformers.CLIPImageProcessorPil,
            "scheduler": diffusers.UniPCMultistepScheduler,
        }
        return WanAnimate.from_components(
            transformer=read(diffusers.WanAnimateTransformer3DModel, "transformer"),
            vae=read(diffusers.AutoencoderKLWan, "vae", torch.float32),
            text_encoder=read(transformers.UMT5EncoderModel, "text_encoder"),
            image_encoder=read(transformers.CLIPVisionModel, "image_encoder", torch.float32),
            settings=settings,
            device=device,
            **{
                part: read_settings(kind, folder / part, weights=WEIGHTS)
                for part, kind in small.items()
            },
        )

    def steps(self, frame_count: int) -> int:
        """Say how many steps of denoising will be reported; the photo is counted and not made."""
        return count_steps(self.settings, frame_count)

    @torch.no_grad()
    def __call__(
        self,
        photo: UInt8[Tensor, "h w 3"],
        skeletons: UInt8[Tensor, "n 3 h w"],
        *,
        face: tuple[int, int, int, int],
        folder: Path | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> UInt8[Tensor, "n 3 h w"]:
        """Generate; the first skeleton is the photo's own, and the first picture is the photo.

        Args:
            photo: The person, sRGB.
            skeletons: Pictures by `aapose.draw_aapose`, of the photo and of every frame.
            face: Left, top, right, bottom of the photo's face [px]. Its expression is kept: no
                other face moves here.
            folder: Where finished segments and the last step are kept, so that a stopped call goes
                on there.
            tick: Called after every step of denoising.

        Raises:
            InputError: Sizes differ from the settings', or there is no frame besides the photo.
            BackendError: Out of memory, or numbers overflowed.
        """
        check_pictures(photo, skeletons, self._size)
        key = fingerprint("wan-animate", self._key(), photo, skeletons, face)
        kept = ProgressFile(folder, key)
        count = len(skeletons) - 1
        cover = _cover(self.settings, count)
        generator = torch.Generator(self.device).manual_seed(self.settings.seed)
        film = torch.zeros(count, 3, *self._size, dtype=torch.uint8)
        with told_of_memory("set offload, then by_layer, or make smaller pictures"):
            told = self._told(photo, face)
            last = None
            for k, frames in enumerate(cover):
                noise = self._noise(len(frames), generator)
                part = kept.part(f"segment-{k:04d}")
                if part is None:
                    shown = skeletons[1:][list(frames)]
                    pixels = self._segment_of(shown, told, last, noise, StepKeeper(kept, k), tick)
                    part = {"pixels": pixels.cpu()}
                    kept.keep_part(f"segment-{k:04d}", part)
                pixels = part["pixels"].to(self.device)
                start = k * (len(frames) - self._overlap) + (self._overlap if k else 0)
                made = _as_bytes(pixels[0, :, self._overlap if k else 0 :])
                fitting = min(len(made), count - start)
                film[start : start + fitting] = made[:fitting]
                last = pixels[:, :, -self._overlap :]
        return torch.cat([photo.permute(2, 0, 1)[None], film])

    def _told(self, photo: UInt8[Tensor, "h w 3"], face: tuple[int, int, int, int]) -> Told:
        pipe, dtype = self.pipeline, self.pipeline.transformer.dtype
        shown = Image.fromarray(photo.numpy())
        guided = self.settings.guidance > 1
        with self._at_work(pipe.text_encoder):
            prompt, nobody = pipe.encode_prompt(
                self.settings.prompt,
                do_classifier_free_guidance=guided,
                max_sequence_length=PROMPT_TOKENS,
                device=self.device,
            )
        with self._at_work(pipe.image_encoder):
            person = pipe.encode_image(shown, self.device)
        h, w = self._size
        pixels = pipe.vae_image_processor.preprocess(
            shown, height=h, width=w, resize_mode="fill"
        ).to(self.device, torch.float32)
        with self._at_work(pipe.vae):
            reference = pipe.prepare_reference_image_latents(pixels, device=self.device)
        side = pipe.transformer.config.motion_encoder_size
        cut = pipe.video_processor.preprocess_video(
            [shown.crop(face).resize((side, side), Image.Resampling.BILINEAR)], side, side
        )
        return Told(
            prompt=prompt.to(dtype),
            nobody=None if nobody is None else nobody.to(dtype),
            person=person.to(dtype),
            reference=reference,
            face=cut.to(self.device, dtype),
        )

    def _segment_of(
        self,
        skeletons: UInt8[Tensor, "n 3 h w"],
        told: Told,
        last: Float[Tensor, "1 3 k h w"] | None,
        noise: Float[Tensor, "1 c f y x"],
        steps: StepKeeper,
        tick: Callable[[], None],
    ) -> Float[Tensor, "1 3 n h w"]:
        """Denoise and decode a segment from where it stopped, after the last frames before it."""
        pipe, (h, w) = self.pipeline, self._size
        dtype = pipe.transformer.dtype
        poses = (skeletons.to(self.device).float() / 127.5 - 1).permute(1, 0, 2, 3)[None]
        with self._at_work(pipe.vae):
            pose = pipe.prepare_pose_latents(poses, device=self.device).to(dtype)
            before = pipe.prepare_prev_segment_cond_latents(
                last,
                segment_frame_length=len(skeletons),
                start_frame=0 if last is None else 1,
                height=h,
                width=w,
                prev_segment_cond_frames=self._overlap,
                device=self.device,
            )
        reference = torch.cat([told.reference, before], dim=2)
        face = told.face.expand(-1, -1, len(skeletons), -1, -1)
        pipe.scheduler.set_timesteps(self.settings.steps, device=self.device)
        done, latents = steps.load(pipe.scheduler, self.device) or (0, noise)
        with self._at_work(pipe.transformer):
            for k, time in enumerate(pipe.scheduler.timesteps[done:], start=done + 1):
                seen = torch.cat([latents, reference], dim=1).to(dtype)

                def predict(prompt: Tensor, face: Tensor, seen: Tensor, time: Tensor) -> Tensor:
                    return pipe.transformer(
                        hidden_states=seen,
                        timestep=time.expand(1),
                        encoder_hidden_states=prompt,
                        encoder_hidden_states_image=told.person,
                        pose_hidden_states=pose,
                        face_pixel_values=face,
                        return_dict=False,
                    )[0]

                predicted = predict(told.prompt, face, seen, time)
                if told.nobody is not None:
                    unasked = predict(told.nobody, face * 0 - 1, seen, time)
                    predicted = unasked + self.settings.guidance * (predicted - unasked)
                latents = pipe.scheduler.step(predicted, time, latents, return_dict=False)[0]
                steps.save(k, latents, pipe.scheduler)
                tick()
        return self._decoded(latents)

    def _decoded(self, latents: Float[Tensor, "1 c f y x"]) -> Float[Tensor, "1 3 n h w"]:
        vae = self.pipeline.vae
        told = {"device": latents.device, "dtype": vae.dtype}
        mean, deviation = (
            torch.tensor(values, **told).view(1, -1, 1, 1, 1)
            for values in (vae.config.latents_mean, vae.config.latents_std)
        )
        with self._at_work(vae):
            # The first frame of the latents is the photo's.
            pixels = vae.decode(
                (latents.to(vae.dtype) * deviation + mean)[:, :, 1:], return_dict=False
            )[0]
        if not bool(torch.isfinite(pixels).all()):
            raise BackendError(
                f"a segment became numbers beyond {self.pipeline.transformer.dtype}",
                why="activations of this model leave the range of float16",
                fix="compute in bfloat16, or float32",
            )
        return pixels

    def _noise(self, frame_count: int, generator: torch.Generator) -> Float[Tensor, "1 c f y x"]:
        h, w = self._size
        return self.pipeline.prepare_latents(
            1,
            num_channels_latents=self.pipeline.vae.config.z_dim,
            height=h,
            width=w,
            num_frames=frame_count,
            dtype=torch.float32,
            device=self.device,
            generator=generator,
        )

    def _placed(self) -> "WanAnimate":
        home = torch.device("cpu") if self.settings.offload else self.device
        for part in self._models():
            part.to(home)
        if self.settings.by_layer and self.device.type == "cuda":
            self.pipeline.transformer.enable_group_offload(
                onload_device=self.device,
                offload_device=torch.device("cpu"),
                offload_type="leaf_level",
                use_stream=True,
            )
        return self

    @contextmanager
    def _at_work(self, part: Any) -> Iterator[None]:
        """Bring a part to the card while it works, where parts wait elsewhere."""
        by_layer = self.settings.by_layer and part is self.pipeline.transformer
        if not self.settings.offload or by_layer:
            yield
            return
        part.to(self.device)
        try:
            yield
        finally:
            part.to("cpu")
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _models(self) -> Sequence[Any]:
        p = self.pipeline
        return (p.transformer, p.vae, p.text_encoder, p.image_encoder)

    def _key(self) -> tuple[Any, ...]:
        s = self.settings
        sampling = (s.segment, s.overlap, s.steps, s.guidance, s.prompt, s.seed)
        return (*sampling, str(self.pipeline.transformer.dtype))

    @property
    def _overlap(self) -> int:
        return self.settings.overlap

    @property
    def _size(self) -> tuple[int, int]:
        return self.settings.height, self.settings.width


def count_steps(settings: WanAnimateSettings, frame_count: int) -> int:
    """Count the steps of all segments; the photo is counted as a frame, and not made."""
    return len(_cover(settings, frame_count - 1)) * settings.steps


def _cover(settings: WanAnimateSettings, frame_count: int) -> tuple[tuple[int, ...], ...]:
    """Cover frames by segments; a film shorter than one is one shorter segment."""
    short = max(-(-(frame_count - 1) // 4) * 4 + 1, settings.overlap)
    return segments(frame_count, min(settings.segment, short), settings.overlap)


def segments(frame_count: int, size: int, overlap: int) -> tuple[tuple[int, ...], ...]:
    """Cover frames by segments that go on from the one before; what is lacking goes back and forth.

    Args:
        frame_count: Frames to make.
        size: Frames in a segment.
        overlap: Frames that a segment repeats of the one before.

    Example:
        >>> segments(6, 5, 1)
        ((0, 1, 2, 3, 4), (4, 5, 4, 3, 2))
    """
    there_and_back = [*range(frame_count), *range(frame_count - 2, 0, -1)] or [0]
    found, start = [], 0
    while not found or found[-1][1] < frame_count:
        places = range(start, start + size)
        frames = tuple(there_and_back[k % len(there_and_back)] for k in places)
        found.append((frames, start + size))
        start += size - overlap
    return tuple(frames for frames, _ in found)


def _as_bytes(pixels: Float[Tensor, "3 n h w"]) -> UInt8[Tensor, "n 3 h w"]:
    shown = (pixels.permute(1, 0, 2, 3).float() / 2 + 0.5).clamp(0, 1) * 255
    return torch.from_numpy(np.rint(shown.cpu().numpy()).astype(np.uint8))
