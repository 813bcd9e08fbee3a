"""MimicMotion: a photo and a film of skeletons become a film of the person."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from persona.core.errors import BackendError
from persona.core.fingerprint import fingerprint
from persona.core.optional import require
from persona.synthesis.diffusion.components import EXTRA, Components, load_components
from persona.synthesis.diffusion.denoising import Conditions, Denoiser, agreed
from persona.synthesis.diffusion.memory import told_of_memory
from persona.synthesis.diffusion.pose_net import accept_pose
from persona.synthesis.diffusion.progress_file import Denoised, ProgressFile, chunks
from persona.synthesis.diffusion.refusals import check_pictures
from persona.synthesis.diffusion.settings import AYS_SIGMAS, AYS_STEPS, MimicMotionSettings
from persona.synthesis.diffusion.sharing import Alone, Share
from persona.synthesis.diffusion.speed import attend_to_one_key, compile_repeated
from persona.synthesis.diffusion.windows import windows

CLIP_SIDE_PX: Final = 224
"""Side of what the image encoder sees."""
POSE_CHUNK: Final = 16
"""Skeleton pictures encoded together."""


@dataclass(frozen=True, kw_only=True)
class MimicMotion:
    """Photo, skeletons -> pictures; everything that it is made of can be handed in."""

    components: Components
    settings: MimicMotionSettings = field(default_factory=MimicMotionSettings)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    share: Share = field(default_factory=Alone)

    @staticmethod
    def from_components(
        *,
        unet: Any,
        vae: Any,
        image_encoder: Any,
        scheduler: Any,
        feature_extractor: Any,
        pose_net: Any,
        settings: MimicMotionSettings | None = None,
        device: torch.device | None = None,
        share: Share | None = None,
    ) -> "MimicMotion":
        """Put a generator together from parts with any weights; the UNet takes poses from now on.

        Args:
            unet: UNetSpatioTemporalConditionModel.
            vae: AutoencoderKLTemporalDecoder.
            image_encoder: CLIPVisionModelWithProjection.
            scheduler: EulerDiscreteScheduler.
            feature_extractor: Anything with ``image_mean`` and ``image_std``.
            pose_net: A `PoseNet`.
            settings: How to sample; None takes the published way.
            device: Where to compute; None takes the CPU.
            share: Who does which pieces; None does all.
        """
        parts = Components(
            unet=accept_pose(unet),
            vae=vae,
            image_encoder=image_encoder,
            scheduler=scheduler,
            feature_extractor=feature_extractor,
            pose_net=pose_net,
        )
        return MimicMotion(
            components=parts,
            settings=settings or MimicMotionSettings(),
            device=device or torch.device("cpu"),
            share=share or Alone(),
        ).placed()

    @staticmethod
    def load(
        base: Path,
        checkpoint: Path,
        *,
        settings: MimicMotionSettings,
        device: torch.device,
        dtype: torch.dtype = torch.bfloat16,
        share: Share | None = None,
    ) -> "MimicMotion":
        """Read published weights; see `components.load_components`."""
        parts = load_components(base, checkpoint, dtype=dtype)
        return MimicMotion.from_components(
            **vars(parts), settings=settings, device=device, share=share
        )

    def placed(self) -> "MimicMotion":
        """Put all parts where they compute, unless they wait elsewhere until they are needed."""
        home = torch.device("cpu") if self.settings.offload else self.device
        for part in self._models():
            part.to(home)
        attend_to_one_key(self.components.unet)
        if self.settings.compiled:
            compile_repeated(self.components.unet, self.components.vae.decoder)
        if self.settings.chunked_feed_forward:
            self.components.unet.enable_forward_chunking(1, 0)
        return self

    def steps(self, frame_count: int) -> int:
        """Say how many pieces of work this process reports, if nothing was done before."""
        return count_pieces(self.settings, self.share, frame_count)

    @torch.no_grad()
    def __call__(
        self,
        photo: UInt8[Tensor, "h w 3"],
        skeletons: UInt8[Tensor, "n 3 h w"],
        *,
        folder: Path | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> UInt8[Tensor, "n 3 h w"]:
        """Generate; the first skeleton is the photo's own, and the first picture repeats the photo.

        Args:
            photo: The person on white, sRGB.
            skeletons: DWPose pictures, RGB, of the photo and of every frame.
            folder: Where state is kept, so that a stopped call goes on; None keeps none.
            tick: Called after every window and every decoded chunk.

        Raises:
            InputError: Sizes differ from the settings', or there is no frame besides the photo.
            BackendError: Out of memory, or numbers overflowed.
        """
        check_pictures(photo, skeletons, self._size)
        key = fingerprint("mimicmotion", self.settings_key(), photo, skeletons)
        kept = ProgressFile(folder, key, self.share.rank, self.share.world)
        with told_of_memory("set offload, chunked_feed_forward or a smaller decode_chunk"):
            latents = self.latents(photo, skeletons, kept=kept, tick=tick)
            return self.decode(latents, kept=kept, tick=tick)

    def settings_key(self) -> tuple[Any, ...]:
        """Give what decides the result, without what only decides speed."""
        s = self.settings
        sampling = (s.window, s.overlap, s.steps, s.guidance, s.fps, s.motion_bucket)
        return (*sampling, s.noise_augmentation, s.seed, s.decode_chunk, str(self._dtype))

    @torch.no_grad()
    def latents(
        self,
        photo: UInt8[Tensor, "h w 3"],
        skeletons: UInt8[Tensor, "n 3 h w"],
        *,
        kept: ProgressFile | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> Float[Tensor, "n 4 y x"]:
        """Denoise without decoding."""
        s, count = self.settings, len(skeletons)
        cover = windows(count, s.window, s.overlap)
        generator = torch.Generator(self.device).manual_seed(s.seed)
        conditions = self.conditions(photo, skeletons, generator)
        scheduler = self.components.scheduler
        if s.steps == AYS_STEPS:
            scheduler.set_timesteps(sigmas=list(AYS_SIGMAS), device=self.device)
        else:
            scheduler.set_timesteps(s.steps, device=self.device)
        kept = kept or ProgressFile(None, "")
        state = kept.load()
        if state is None:
            latents = self._noise(len(cover[0]), count, conditions, generator)
            state = Denoised(step=0, latents=latents, sums=_sums_for(latents), done=0)
        state.latents = state.latents.to(self.device)
        state.sums = state.sums.to(self.device)
        denoiser = Denoiser(
            unet=self.components.unet,
            scheduler=scheduler,
            conditions=conditions,
            cover=cover,
            guidance=s.guidance,
            batched=s.batched_guidance,
            share=self.share,
        )
        with self._at_work(self.components.unet):
            return denoiser.run(agreed(state, self.share), kept, tick)

    def conditions(
        self,
        photo: UInt8[Tensor, "h w 3"],
        skeletons: UInt8[Tensor, "n 3 h w"],
        generator: torch.Generator,
    ) -> Conditions:
        """Encode photo and skeletons; draws the noise that the published pipeline draws."""
        dtype = self._dtype
        colors = (photo.to(self.device).float() / 255).permute(2, 0, 1)[None]
        with self._at_work(self.components.image_encoder):
            embedding = self.components.image_encoder(self._for_clip(colors)).image_embeds
        noise = torch.randn(colors.shape, generator=generator, device=self.device)
        noisy = 2 * colors - 1 + self.settings.noise_augmentation * noise
        with self._at_work(self.components.pose_net):
            pose = torch.cat(
                [
                    self.components.pose_net((part.to(self.device).float() / 127.5 - 1).to(dtype))
                    for part in skeletons.split(POSE_CHUNK)
                ]
            )
        s = self.settings
        # The model was trained on the rate less one.
        ids = [[s.fps - 1, s.motion_bucket, s.noise_augmentation]]
        return Conditions(
            embedding=embedding[:, None].to(dtype),
            photo=self._encode(noisy).to(dtype)[0],
            pose=pose,
            time_ids=torch.tensor(ids, dtype=dtype, device=self.device),
        )

    @torch.no_grad()
    def decode(
        self,
        latents: Float[Tensor, "n 4 y x"],
        *,
        kept: ProgressFile | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> UInt8[Tensor, "n 3 h w"]:
        """Turn latents into pictures, a few frames at a time, each process its own.

        Raises:
            BackendError: Numbers overflowed.
        """
        kept = kept or ProgressFile(None, "")
        scale = self.components.vae.config.scaling_factor
        spans = list(chunks(len(latents), self.settings.decode_chunk))
        film = torch.zeros(len(latents), 3, *self._size, dtype=torch.uint8)
        with self._at_work(self.components.vae):
            for start, end in self.share.mine(spans):
                found = kept.pictures(start)
                if found is None:
                    found = self._decoded(latents[start:end] / scale)
                    kept.keep_pictures(start, found)
                    tick()
                film[start:end] = found
        if self.share.world == 1:
            return film
        return self.share.add_up(film.to(self.device)).cpu()

    def _decoded(self, latents: Float[Tensor, "k 4 y x"]) -> UInt8[Tensor, "k 3 h w"]:
        vae = self.components.vae
        # Compiling anew for the few frames that are left over takes longer than all the others.
        whole = len(latents) == self.settings.decode_chunk
        with nullcontext() if whole else torch.compiler.set_stance("force_eager"):
            colors = vae.decode(latents.to(vae.dtype), num_frames=len(latents)).sample.float()
        if not bool(torch.isfinite(colors).all()):
            raise BackendError(
                f"decoding gave numbers beyond {vae.dtype}",
                why="this decoder leaves the range of float16 now and then",
                fix="compute in bfloat16, or float32",
            )
        return ((colors / 2 + 0.5).clamp(0, 1) * 255).to(torch.uint8).cpu()

    def _encode(self, colors: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 4 y x"]:
        """Encode a picture in [-1, 1]; in float32 where float16 would overflow."""
        vae = self.components.vae
        dtype = vae.dtype
        with self._at_work(vae):
            if dtype == torch.float16:
                vae.to(torch.float32)
            latents = vae.encode(colors.to(vae.dtype)).latent_dist.mode()
            vae.to(dtype)
        return latents

    def _for_clip(self, colors: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 3 224 224"]:
        """Shrink and normalise as the published pipeline does."""
        video = require(
            "diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion",
            extra=EXTRA,
            purpose="generate frames",
        )
        small = video._resize_with_antialiasing(2 * colors - 1, (CLIP_SIDE_PX, CLIP_SIDE_PX))
        told = self.components.feature_extractor
        mean = torch.tensor(told.image_mean, device=self.device).view(1, 3, 1, 1)
        std = torch.tensor(told.image_std, device=self.device).view(1, 3, 1, 1)
        encoder = self.components.image_encoder
        return (((small + 1) / 2 - mean) / std).to(encoder.dtype)

    def _noise(
        self, block: int, count: int, conditions: Conditions, generator: torch.Generator
    ) -> Float[Tensor, "n 4 y x"]:
        """Draw one window of noise in the model's precision, and repeat it over the film.

        The state itself is kept in float32: at the first noise level of 700 half precision would
        be coarser than what a step changes.
        """
        shape = (1, block, *conditions.photo.shape)
        noise = torch.randn(shape, generator=generator, device=self.device, dtype=self._dtype)[0]
        noise = noise.float() * self.components.scheduler.init_noise_sigma
        return noise.repeat(count // block + 1, 1, 1, 1)[:count]

    @property
    def _size(self) -> tuple[int, int]:
        return self.settings.height, self.settings.width

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.components.unet.parameters()).dtype

    def _models(self) -> Sequence[Any]:
        c = self.components
        return (c.unet, c.vae, c.image_encoder, c.pose_net)

    @contextmanager
    def _at_work(self, part: Any) -> Iterator[None]:
        """Bring a part to the card while it works, where parts wait elsewhere."""
        if not self.settings.offload:
            yield
            return
        part.to(self.device)
        try:
            yield
        finally:
            part.to("cpu")
            if self.device.type == "cuda":
                torch.cuda.empty_cache()


def count_pieces(settings: MimicMotionSettings, share: Share, frame_count: int) -> int:
    """Count the windows that one process denoises, and the chunks that it decodes."""
    cover = windows(frame_count, settings.window, settings.overlap)
    halves = 1 if settings.batched_guidance else 2
    per_step = len(share.mine(range(halves * len(cover))))
    decoded = len(share.mine(list(chunks(frame_count, settings.decode_chunk))))
    return per_step * settings.steps + decoded


def _sums_for(latents: Float[Tensor, "n 4 y x"]) -> Float[Tensor, "2 n 4 y x"]:
    # Sums of two dozen windows lose digits in half precision.
    return torch.zeros(2, *latents.shape, dtype=torch.float32, device=latents.device)
