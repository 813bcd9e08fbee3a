"""Weights of models that do not ship with persona: what there is, under which terms, and where."""

import hashlib
import json
import os
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

from persona.core.config import read_json
from persona.core.errors import FileFormatError, InputError, MissingPartError

FOLDER_VARIABLE: Final = "PERSONA_WEIGHTS"
"""Environment variable that names the folder of all weights."""
MANIFEST: Final = "manifest.json"
"""Beside fetched files: name -> size and SHA-256, as their publisher states them."""
HUB: Final = "https://huggingface.co"
"""Where all entries are published."""
MAX_MANIFEST_BYTES: Final = 4 << 20
_BLOCK: Final = 8 << 20

_SVD_TERMS: Final = "Stability AI Community License"
_SVD_ALLOWS: Final = (
    "research, and commercial use below 1 M USD of yearly revenue after registering; its page must "
    "be agreed to, then set HF_TOKEN"
)

_ANY_USE: Final = "any use, with its notice"


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
            patterns=("config.json", "model.safetensors"),
            needed=("config.json", "model.safetensors"),
            gigabytes=0.9,
            license="Apache-2.0",
            allows=_ANY_USE,
            purpose="masks of generated frames (--labels models)",
        ),
        WeightEntry(
            name="vitpose-plus-huge",
            repository="usyd-community/vitpose-plus-huge",
            patterns=("config.json", "preprocessor_config.json", "model.safetensors"),
            needed=("config.json", "preprocessor_config.json", "model.safetensors"),
            gigabytes=3.6,
            license="Apache-2.0",
            allows=_ANY_USE,
            purpose="joints of generated frames (--labels models)",
        ),
        WeightEntry(
            name="siglip-base-patch16-224",
            repository="google/siglip-base-patch16-224",
            patterns=("config.json", "preprocessor_config.json", "model.safetensors"),
            needed=("config.json", "preprocessor_config.json", "model.safetensors"),
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
            allows="use within the limits of Open RAIL++-M",
            purpose="normals of generated frames (--labels models+geometry)",
        ),
        WeightEntry(
            name="depth-anything-v2-metric-indoor-small",
            repository="depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf",
            patterns=("config.json", "preprocessor_config.json", "model.safetensors"),
            needed=("config.json", "preprocessor_config.json", "model.safetensors"),
            gigabytes=0.1,
            license="Apache-2.0, as its authors state for their small models",
            allows=_ANY_USE,
            purpose="depth of generated frames (--labels models+geometry)",
        ),
    )
}
"""Every set of weights by name."""


def entry(name: str) -> WeightEntry:
    """Look a set of weights up.

    Raises:
        InputError: There is none of that name.
    """
    if name not in ENTRIES:
        raise InputError(
            f"there are no weights called {name!r}",
            why=f"known are {', '.join(ENTRIES)}",
            fix="run `persona weights list`",
        )
    return ENTRIES[name]


def weights_folder() -> Path:
    """Give the folder of all weights: what ``PERSONA_WEIGHTS`` names, else one in the cache."""
    named = os.environ.get(FOLDER_VARIABLE)
    cache = os.environ.get("XDG_CACHE_HOME")
    home = Path(cache) if cache else Path.home() / ".cache"
    return Path(named) if named else home / "persona" / "weights"


def weights_path(name: str, given: Path | None = None) -> Path:
    """Find the folder of a set of weights; nothing is ever fetched here.

    Args:
        name: One of `ENTRIES`.
        given: The user's own folder; None looks where `persona weights fetch` writes.

    Raises:
        MissingPartError: They are not there; the message holds the command that gets them.
    """
    wanted = entry(name)
    folder = weights_folder() / name if given is None else given
    absent = [file for file in wanted.needed if not (folder / file).is_file()]
    if absent:
        raise MissingPartError(
            f"the weights {name} are not in {folder}: {', '.join(absent)} missing",
            why=f"they are needed for: {wanted.purpose}; nothing is fetched unasked",
            fix=f"persona weights fetch {name}   (about {wanted.gigabytes:g} GB, {wanted.license}),"
            f" or set {FOLDER_VARIABLE} to a folder that holds yours in {name}/",
        )
    return folder


def has_weights(name: str) -> bool:
    """Whether a set of weights was fetched; see `weights_path`."""
    return all((weights_folder() / name / file).is_file() for file in entry(name).needed)


def matching(wanted: WeightEntry, names: list[str]) -> list[str]:
    """Pick the files of a repository that are needed; names that leave the folder are refused.

    Raises:
        FileFormatError: A name is absolute or climbs out.
    """
    for name in names:
        if name.startswith("/") or ".." in Path(name).parts or "\\" in name:
            raise FileFormatError(
                f"{wanted.address} lists a file {name!r}",
                why="it would be written outside the folder of the weights",
                fix="do not use this source",
            )
    return [name for name in names if any(fnmatch(name, p) for p in wanted.patterns)]


def verify_weights(name: str, given: Path | None = None) -> dict[str, str]:
    """Compare files with the sizes and sums stated when they were fetched.

    Returns:
        File -> "ok", "missing", "wrong size" or "damaged".

    Raises:
        MissingPartError: The weights are not there, or came without a manifest.
    """
    folder = weights_path(name, given)
    if not (folder / MANIFEST).is_file():
        raise MissingPartError(
            f"{folder} has no {MANIFEST}",
            why="the sums to compare with are written when weights are fetched",
            fix=f"persona weights fetch {name}; files that are whole are kept",
        )
    stated = read_json(folder / MANIFEST, max_bytes=MAX_MANIFEST_BYTES)
    return {file: check_file(folder / file, facts) for file, facts in stated.items()}


def check_file(path: Path, facts: dict[str, Any]) -> str:
    """Say what is wrong with one file; see `verify_weights`."""
    if not path.is_file():
        return "missing"
    if facts.get("size") is not None and path.stat().st_size != facts["size"]:
        return "wrong size"
    if facts.get("sha256") and sha256_of(path) != facts["sha256"]:
        return "damaged"
    return "ok"


def sha256_of(path: Path) -> str:
    """Hash a file without holding it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def manifest_text(facts: dict[str, dict[str, Any]]) -> str:
    """Write what `verify_weights` reads."""
    return json.dumps(facts, indent=1, sort_keys=True)
