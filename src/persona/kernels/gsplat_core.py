"""Find gsplat's CUDA kernels as `gsplat_build` left them, or say why they cannot be used."""

import hashlib
import importlib.metadata
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Final

import torch
from torch.utils.cpp_extension import get_default_build_root

from persona.core.errors import BackendError
from persona.core.optional import is_available

EXTENSION: Final = "persona_gsplat"
"""Name of the compiled module."""
BUILD_FIX: Final = "build it once: persona doctor --build-cuda"
INSTALL_FIX: Final = "pip install 'persona-avatar[cuda]'"

LARGEST_KEPT: Final = 32
"""Kernels for more channels are left out: `splatting.MAX_CHANNELS` is as many."""
CHANNELS: Final = (1, 2, 3, 4, 5, 8, 9, 16, 17, 32)
"""Channel counts that gsplat has kernels for, up to our most."""

ADAPTATIONS: Final = (
    ("RasterizeToPixels3DGSFwd.cu", "min(0.999f, ", "min(0.99f, ", 1),
    ("RasterizeToPixels3DGSBwd.cu", "min(0.999f, ", "min(0.99f, ", 1),
    ("RasterizeToPixels3DGSBwd.cu", "<= 0.999f", "<= 0.99f", 1),
    ("RasterizeToPixels3DGSFwd.cu", "sigma < 0.f || ", "", 1),
    ("RasterizeToPixels3DGSBwd.cu", "sigma < 0.f || ", "", 1),
)
"""File, text, what stands there instead in our build, and how often.

Two rules of gsplat are not ours: alpha stops at 0.999 instead of 0.99, and where rounding makes
the exponent of a needle negative its pixel is left out, which tears holes along its ridge.
"""

_loaded: dict[Path, ModuleType] = {}


def gsplat_version() -> str | None:
    """Give the version of the installed package without importing it, which would compile it."""
    if not is_available("gsplat"):
        return None
    try:
        return importlib.metadata.version("gsplat")
    except importlib.metadata.PackageNotFoundError:
        return None


def build_folder(version: str) -> Path:
    """Give where the extension for this gsplat, this torch and the first CUDA device belongs."""
    major, minor = torch.cuda.get_device_capability()
    changes = hashlib.sha256(repr((ADAPTATIONS, LARGEST_KEPT)).encode()).hexdigest()[:8]
    name = f"{EXTENSION}-{version}-torch{torch.__version__}-sm{major}{minor}-{changes}"
    return Path(get_default_build_root()) / name


def extension_file(version: str) -> Path:
    """Give the compiled module's file, which exists once it is built."""
    return build_folder(version) / f"{EXTENSION}.so"


def why_not_gsplat() -> str | None:
    """Give the reason gsplat cannot be used here, or None when it can. Compiles nothing."""
    if _loaded:
        return None
    if not torch.cuda.is_available():
        return "gsplat needs a CUDA device, and torch sees none"
    version = gsplat_version()
    if version is None:
        return f"the package gsplat is not installed; {INSTALL_FIX}"
    if not extension_file(version).is_file():
        return f"gsplat {version} is not compiled for this device and torch; {BUILD_FIX}"
    return None


def gsplat_library() -> ModuleType:
    """Give the compiled kernels.

    Raises:
        BackendError: They are missing, or do not load.
    """
    for module in _loaded.values():
        return module
    reason = why_not_gsplat()
    if reason is not None:
        raise BackendError("gsplat cannot be used", why=reason, fix="run `persona doctor`")
    file = extension_file(gsplat_version() or "")
    try:
        module = load_extension(file)
    except ImportError as error:
        raise BackendError(
            "gsplat's compiled kernels do not load", why=str(error), fix=BUILD_FIX
        ) from error
    keep_loaded(file, module)
    return module


def keep_loaded(file: Path, module: ModuleType) -> None:
    """Let `gsplat_library` give this module from now on."""
    _loaded.setdefault(file, module)


def load_extension(file: Path) -> ModuleType:
    """Import a compiled module from its file.

    Raises:
        ImportError: It is missing, or made for another torch or Python.
    """
    spec = importlib.util.spec_from_file_location(EXTENSION, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file.name} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
