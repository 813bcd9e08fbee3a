"""Which weights there are that do not ship with persona: from where, how large, on what terms."""

from dataclasses import dataclass
from typing import Final

HUB: Final = "https://huggingface.co"
"""Where all entries are published."""

_SVD_TERMS: Final = "Stability AI Community License"
_SVD_ALLOWS: Final = (
    "research, and commercial use below 1 M USD of yearly revenue after registering; its page must "
    "be agreed to, then set HF_TOKEN"
)

_ANY_USE: Final = "any use, with its notice"
_RAIL: Final = "use within the limits of Open RAIL++-M"
_SAPIENS_ALLOWS: Final = (
    "use, change and passing on under the same terms, commercial use not excluded; named in "
    "publications; not for surveillance, biometric processing, deepfakes, impersonation, sensitive "
    "data without consent, or anything pornographic, defamatory, military or unlawful; Meta may "
    "audit the use: read LICENSE.md of github.com/facebookresearch/sapiens2"
)

_MODEL: Final = ("config.json", "model.safetensors")
"""Files of a model of transformers."""
_PROCESSED: Final = (*_MODEL, "preprocessor_config.json")
"""The same with its processor's settings."""


@dataclass(frozen=True, kw_only=True)
class WeightEntry:
    """One set of weights."""

    name: str
    """What people type."""
    repository: str
    """Owner and name at the hub."""
    patterns: tuple[str, ...]
    """Which of its files are needed."""
    needed: tuple[str, ...]
    """Files without which a local folder is not taken."""
    gigabytes: float
    """About how much is fetched [GB]; the exact sizes are the publisher's."""
    license: str
    """Terms of the weights."""
    allows: str
    """What the terms allow, in a sentence; no legal advice."""
    purpose: str
    """What they are for."""

    @property
    def address(self) -> str:
        """Their page."""
        return f"{HUB}/{self.repository}"


ENTRIES: Final[dict[str, WeightEntry]] = {
    entry.name: entry
    for entry in (
        WeightEntry(
            name="svd-xt-1.1",
            repository="stabilityai/stable-video-diffusion-img2vid-xt-1-1",
            patterns=(
                *("unet/config.json", "vae/config.json", "image_encoder/config.json"),
                *("scheduler/scheduler_config.json", "feature_extractor/preprocessor_config.json"),
                *("vae/*.fp16.safetensors", "image_encoder/*.fp16.safetensors"),
            ),
            needed=("unet/config.json", "vae/config.json", "image_encoder/config.json"),
            gigabytes=1.5,
            license=_SVD_TERMS,
            allows=_SVD_ALLOWS,
            purpose="picture encoder, decoder and settings that MimicMotion stands on",
        ),
        WeightEntry(
            name="mimicmotion-1.1",
            repository="tencent/MimicMotion",
            patterns=("MimicMotion_1-1.pth",),
            needed=("MimicMotion_1-1.pth",),
            gigabytes=3.1,
            license="Apache-2.0, trained from SVD-XT 1.1, whose terms go with it",
            allows=_SVD_ALLOWS,
            purpose="a person in a photo moves (--generator mimicmotion)",
        ),
        WeightEntry(
            name="wan2.2-animate-14b",
            repository="Wan-AI/Wan2.2-Animate-14B-Diffusers",
            patterns=(
                *("transformer/*", "vae/*", "text_encoder/*", "tokenizer/*"),
                *("image_encoder/*", "image_processor/*", "scheduler/*", "model_index.json"),
            ),
            needed=tuple(
                f"{part}/config.json"
                for part in ("transformer", "vae", "text_encoder", "image_encoder")
            ),
            gigabytes=48.0,
            license="Apache-2.0",
            allows=f"{_ANY_USE}: the choice where terms must be clean",
            purpose="a person in a photo moves (--generator wan-animate)",
        ),
        WeightEntry(
            name="sam2.1-hiera-large",
            repository="facebook/sam2.1-hiera-large",
            patterns=_MODEL,
            needed=_MODEL,
            gigabytes=0.9,
            license="Apache-2.0",
            allows=_ANY_USE,
            purpose="masks of generated frames (--labels models, or sam2)",
        ),
        WeightEntry(
            name="vitpose-plus-huge",
            repository="usyd-community/vitpose-plus-huge",
            patterns=_PROCESSED,
            needed=_PROCESSED,
            gigabytes=3.6,
            license="Apache-2.0",
            allows=_ANY_USE,
            purpose="joints of generated frames (--labels models, or vitpose)",
        ),
        WeightEntry(
            name="siglip-base-patch16-224",
            repository="google/siglip-base-patch16-224",
            patterns=_PROCESSED,
            needed=_PROCESSED,
            gigabytes=0.8,
            license="Apache-2.0",
            allows=_ANY_USE,
            purpose="faces of generated frames are compared with the photo's",
        ),
        WeightEntry(
            name="marigold-normals-v0-1",
            repository="prs-eth/marigold-normals-v0-1",
            patterns=(
                *(f"{part}/config.json" for part in ("unet", "vae", "text_encoder")),
                *("unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"),
                *("vae/diffusion_pytorch_model.safetensors", "scheduler/*.json", "tokenizer/*"),
                "model_index.json",
            ),
            needed=(
                "model_index.json",
                *(f"{part}/config.json" for part in ("unet", "vae", "text_encoder")),
            ),
            gigabytes=5.2,
            license="Apache-2.0 by its page; trained from Stable Diffusion 2 (Open RAIL++-M)",
            allows=_RAIL,
            purpose="normals of generated frames (--labels geometry, or marigold)",
        ),
        WeightEntry(
            name="depth-anything-v2-metric-indoor-small",
            repository="depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf",
            patterns=_PROCESSED,
            needed=_PROCESSED,
            gigabytes=0.1,
            license="Apache-2.0, as its authors state for their small models",
            allows=_ANY_USE,
            purpose="depth of generated frames (--labels geometry, or depth-anything)",
        ),
        WeightEntry(
            name="depth-pro",
            repository="apple/DepthPro-hf",
            patterns=_MODEL,
            needed=_MODEL,
            gigabytes=1.9,
            license="Apple Machine Learning Research Model License (apple-amlr)",
            allows=(
                "non-commercial scientific research and academic development alone: no product, no "
                "service"
            ),
            purpose="depth of generated frames (--labels depth-pro)",
        ),
        *(
            WeightEntry(
                name=f"sapiens2-{task}",
                repository=f"facebook/sapiens2-{task}",
                patterns=_PROCESSED,
                needed=_PROCESSED,
                gigabytes=gigabytes,
                license="Sapiens2 License, Meta's own",
                allows=_SAPIENS_ALLOWS,
                purpose=f"{what} of generated frames (--labels {labels})",
            )
            for task, gigabytes, what, labels in (
                ("pose-0.4b", 1.7, "joints", "sapiens2, or sapiens2-pose"),
                ("seg-0.4b", 1.7, "parts", "sapiens2, or sapiens2-parts"),
                ("normal-0.4b", 1.8, "normals", "sapiens2, or sapiens2-normals"),
                ("matting-1b", 6.4, "mask edges", "sapiens2-matting"),
            )
        ),
        WeightEntry(
            name="vitmatte-small-composition-1k",
            repository="hustvl/vitmatte-small-composition-1k",
            patterns=_PROCESSED,
            needed=_PROCESSED,
            gigabytes=0.1,
            license="Apache-2.0",
            allows=_ANY_USE,
            purpose="mask edges of generated frames (--labels vitmatte)",
        ),
        WeightEntry(
            name="swin2sr-classical-sr-x2-64",
            repository="caidas/swin2SR-classical-sr-x2-64",
            patterns=_PROCESSED,
            needed=_PROCESSED,
            gigabytes=0.05,
            license="Apache-2.0",
            allows=_ANY_USE,
            purpose="faces of generated frames, twice as large (--labels swin2sr)",
        ),
    )
}
"""Every set of weights by name."""
