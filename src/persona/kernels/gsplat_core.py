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
CHANNELS: Final = (1, 2, 3, 4, 5, 8, 9, 12, 16, 32)
"""Channel counts that our build has kernels for, up to our most."""
TAKEN_OVER: Final = {17: 12}
"""Channel counts of gsplat's that our build has another for: a step of training draws twelve."""

HEADER: Final = Path(__file__).with_name("gsplat_warps.cuh")
"""What the changed sources include."""
_FORWARD, _BACKWARD = "RasterizeToPixels3DGSFwd.cu", "RasterizeToPixels3DGSBwd.cu"
_ADDED_UP = (
    "persona::add_gradients<CDIM>(warp.thread_rank(), id_batch[t], v_rgb_local, v_conic_local.x, "
    "v_conic_local.y, v_conic_local.z, v_xy_local.x, v_xy_local.y, v_opacity_local, "
    "(float *)v_colors, (float *)v_conics, (float *)v_means2d, (float *)v_opacities);\n"
    "            continue;"
)

ADAPTATIONS: Final = (
    # Rules. Alpha stops at 0.999 there, and where rounding makes the exponent of a needle negative
    # its pixel is left out, which tears holes along its ridge.
    (_FORWARD, "min(0.999f, ", "min(0.99f, ", 1),
    (_BACKWARD, "min(0.999f, ", "min(0.99f, ", 1),
    (_BACKWARD, "<= 0.999f", "<= 0.99f", 1),
    (_FORWARD, "sigma < 0.f || ", "", 1),
    (_BACKWARD, "sigma < 0.f || ", "", 1),
    # Speed. Pictures plane by plane, which neighbouring pixels write together; warps of 8 by 4
    # pixels; numbers read four at a time; a warp's gradients added up together, and no magnitudes.
    *(
        (file, text, instead, times)
        for file, pictures in ((_FORWARD, 2), (_BACKWARD, 1))
        for text, instead, times in (
            ('#include "Common.h"\n', f'#include "Common.h"\n#include "{HEADER.name}"\n', 1),
            ("[pix_id * CDIM + k]", "[size_t(k) * image_width * image_height + pix_id]", pictures),
            (" + block.thread_index().y;", " + persona::tile_row(block.thread_rank());", 1),
            (" + block.thread_index().x;", " + persona::tile_column(block.thread_rank());", 1),
        )
    ),
    (
        _FORWARD,
        "const float *c_ptr = colors + g * CDIM;",
        "float c_ptr[CDIM];\n            persona::read<CDIM>(colors + g * CDIM, c_ptr);",
        1,
    ),
    (
        _BACKWARD,
        "(float *)&conic_batch[block_size];",
        "(float *)__builtin_assume_aligned(&conic_batch[block_size], 16);",
        1,
    ),
    (_BACKWARD, "warpSum<CDIM>(v_rgb_local, warp);", _ADDED_UP, 1),
    (
        _BACKWARD,
        "__global__ void rasterize_to_pixels_3dgs_bwd_kernel(",
        "__global__ void __launch_bounds__(256, CDIM > 16 ? 1 : 3)\n"
        "    rasterize_to_pixels_3dgs_bwd_kernel(",
        1,
    ),
)
"""File, text, what stands there instead in our build, and how often."""

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
    ours = repr((ADAPTATIONS, LARGEST_KEPT, TAKEN_OVER)).encode() + HEADER.read_bytes()
    changes = hashlib.sha256(ours).hexdigest()[:8]
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
