"""Load the C++ core and call it: signatures, instruction sets, workspaces and status codes."""

import ctypes
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from persona.core.errors import BackendError
from persona.kernels.dispatch import ISA_VARIABLE, isa_from_environment

LIBRARY = Path(__file__).parents[1] / "_native" / "libpersona_native.so"
ABI_VERSION = 6
"""Must equal PERSONA_ABI_VERSION in native/include/persona_native.h."""
ISAS = ("baseline", "avx2", "avx512")
"""Instruction sets in the order of ``enum persona_isa``; baseline is SSE2 or NEON."""
MAX_CHANNELS = 32
"""Most feature channels of one pass."""
MAX_THREADS = 64
"""More are not started."""

BUILD_FIX = "build it: cmake -S . -B build/native -G Ninja && cmake --build build/native"

_STATUS = {
    1: ("the native core ran out of memory", "draw a smaller picture or fewer Gaussians"),
    2: (
        "more than 2^31 pairs of Gaussian and tile",
        "draw a smaller picture, or look for Gaussians that grew over the whole of it",
    ),
    3: ("this processor cannot run the instruction set", f"unset {ISA_VARIABLE}"),
    4: ("too many feature channels", f"draw at most {MAX_CHANNELS} at a time"),
    5: ("a backward pass came without its forward pass", "report this as a bug"),
    6: ("a face names a vertex, or a joint a parent, that is not there", "check the mesh or body"),
    7: ("the compared part is too small or not inside the picture", "report this as a bug"),
    8: ("springs of one colour share a vertex", "colour them anew"),
    9: ("cloth was given no time to move, or no substeps", "give at least one of each"),
}


class CameraStruct(ctypes.Structure):
    """Mirror of ``persona_camera``."""

    _fields_ = (
        ("rotation", ctypes.c_double * 9),
        ("translation", ctypes.c_double * 3),
        ("focal", ctypes.c_double * 2),
        ("center", ctypes.c_double * 2),
        ("tan_min", ctypes.c_double * 2),
        ("tan_max", ctypes.c_double * 2),
        ("eps2d", ctypes.c_double),
        ("near", ctypes.c_double),
    )


class BodyStruct(ctypes.Structure):
    """Mirror of ``persona_body``."""

    _fields_ = (
        ("vertex_count", ctypes.c_int64),
        ("joint_count", ctypes.c_int32),
        ("expression_count", ctypes.c_int32),
        ("parents", ctypes.c_void_p),
        ("rest_joints", ctypes.c_void_p),
        ("joint_dirs", ctypes.c_void_p),
        ("expression_dirs", ctypes.c_void_p),
        ("bend_begin", ctypes.c_void_p),
        ("bend_joints", ctypes.c_void_p),
        ("bends", ctypes.c_void_p),
    )


class RigStruct(ctypes.Structure):
    """Mirror of ``persona_rig``."""

    _fields_ = (
        ("count", ctypes.c_int64),
        ("channels", ctypes.c_int32),
        ("rest", ctypes.c_void_p),
        ("corners", ctypes.c_void_p),
        ("share_begin", ctypes.c_void_p),
        ("share_bones", ctypes.c_void_p),
        ("shares", ctypes.c_void_p),
        ("opacities", ctypes.c_void_p),
        ("features", ctypes.c_void_p),
    )


class PoseStruct(ctypes.Structure):
    """Mirror of ``persona_pose``."""

    _fields_ = (
        ("rotations", ctypes.c_void_p),
        ("expression", ctypes.c_void_p),
        ("vertex_offsets", ctypes.c_void_p),
        ("gaussian_offsets", ctypes.c_void_p),
        ("gaussian_slopes", ctypes.c_void_p),
        ("translation", ctypes.c_float * 3),
        ("max_stretch", ctypes.c_float),
    )


_P, _INT, _LONG = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_SIGNATURES: dict[str, tuple[object, tuple[object, ...]]] = {
    "persona_abi_version": (_INT, ()),
    "persona_isa_runs": (_INT, (_INT,)),
    "persona_use_team": (None, (_P,)),
    "persona_count_unfinite": (_LONG, (_INT, _LONG, _P)),
    "persona_workspace_create": (_P, ()),
    "persona_workspace_destroy": (None, (_P,)),
    "persona_workspace_bytes": (_LONG, (_P,)),
    "persona_project_forward": (_INT, (_INT, _INT, _LONG, *[_P] * 8)),
    "persona_project_backward": (_INT, (_INT, _INT, _LONG, *[_P] * 12)),
    "persona_rasterize_forward": (
        _INT,
        (_P, _INT, _INT, _LONG, _INT, *[_P] * 5, *[_INT] * 4, *[_P] * 2),
    ),
    "persona_rasterize_backward": (_INT, (_P, _INT, _INT, *[_P] * 10)),
    "persona_rasterize_mesh": (
        _INT,
        (_INT, _LONG, _LONG, *[_P] * 3, _INT, _INT, ctypes.c_double, *[_P] * 3),
    ),
    "persona_pose_gaussians": (
        _INT,
        (_INT, _INT, _LONG, *[_P] * 10, ctypes.c_float, *[_P] * 3),
    ),
    "persona_pose_gaussians_backward": (
        _INT,
        (_INT, _INT, _LONG, *[_P] * 10, ctypes.c_float, *[_P] * 5),
    ),
    "persona_ssim_forward": (_INT, (_P, *[_INT] * 5, _P, _P, *[_INT] * 5, _P)),
    "persona_ssim_backward": (_INT, (_P, *[_INT] * 5, _P, _P, *[_INT] * 4, _P, _P)),
    "persona_draw_posed": (_INT, (_P, _INT, _INT, *[_P] * 4, _INT, _INT, *[_P] * 3)),
    "persona_cloth_create": (_INT, (_P, _P, _P)),
    "persona_cloth_destroy": (None, (_P,)),
    "persona_cloth_bytes": (_LONG, (_P,)),
    "persona_cloth_frame": (_INT, (_P, _INT, *[_P] * 7)),
    "persona_cloth_substep": (_INT, (_P, _INT, *[_P] * 6, _LONG, *[_P] * 4)),
    "persona_cloth_nearest": (_INT, (_P, _INT, ctypes.c_float, *[_P] * 3)),
}


@cache
def _open() -> ctypes.CDLL | str:
    """Load the library, or give the reason why not."""
    if not LIBRARY.exists():
        return f"the native core is not built ({LIBRARY.name} is missing); {BUILD_FIX}"
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        return f"the native core does not load ({error}); {BUILD_FIX}"
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name, None)
        if function is None:
            return f"the native core is out of date ({name} is missing); {BUILD_FIX}"
        function.restype, function.argtypes = result, list(arguments)
    if library.persona_abi_version() != ABI_VERSION:
        return f"the native core is out of date; {BUILD_FIX}"
    library.persona_use_team(_openmp_team())
    return library


def _openmp_team() -> int | None:
    """Find the ``GOMP_parallel`` of the libgomp that torch works with, or None.

    Two sets of threads would fight for the cores, see native/src/thread_pool.h.
    """
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return None
    loaded = {line.split()[-1] for line in maps.read_text().splitlines() if "libgomp" in line}
    torch_folder = str(Path(torch.__file__).parent.parent)
    ours = sorted(loaded, key=lambda path: not path.startswith(torch_folder))
    if not ours:
        return None
    symbol = getattr(ctypes.CDLL(ours[0]), "GOMP_parallel", None)
    return ctypes.cast(symbol, ctypes.c_void_p).value if symbol else None


def why_not_native() -> str | None:
    """Give the reason the native core cannot be used here, or None when it can."""
    library = _open()
    return library if isinstance(library, str) else None


def native_library() -> ctypes.CDLL:
    """Give the loaded library.

    Raises:
        BackendError: It is missing, does not load or is of another version.
    """
    library = _open()
    if isinstance(library, str):
        raise BackendError("the native core cannot be used", why=library, fix=BUILD_FIX)
    return library


@cache
def isas_here() -> tuple[str, ...]:
    """Name the instruction sets this library and processor can run, slowest first."""
    library = native_library()
    return tuple(isa for code, isa in enumerate(ISAS) if library.persona_isa_runs(code))


def isa_code() -> int:
    """Give the instruction set to use: the environment's choice, else the fastest.

    Raises:
        BackendError: The environment asks for one that cannot run here.
    """
    available = isas_here()
    asked = isa_from_environment()
    if asked is not None and asked not in available:
        raise BackendError(
            f"{ISA_VARIABLE} is {asked!r}",
            why="this processor runs " + ", ".join(available),
            fix=f"set it to one of them, or unset {ISA_VARIABLE}",
        )
    return ISAS.index(asked or available[-1])


def thread_count(threads: int | None) -> int:
    """Give the number of threads to use; None means as many as torch uses."""
    wanted = torch.get_num_threads() if threads is None else threads
    return max(1, min(MAX_THREADS, wanted))


def address(value: Tensor | None) -> int | None:
    """Give where a contiguous tensor's numbers start; None stays None."""
    return None if value is None else value.data_ptr()


def check_status(status: int) -> None:
    """Turn a status code into an error.

    Raises:
        BackendError: The call did not succeed.
    """
    if status != 0:
        what, fix = _STATUS.get(status, ("the native core failed", "report this as a bug"))
        raise BackendError(what, why=f"the native core returned status {status}", fix=fix)


class Workspace:
    """Memory for one forward pass and its backward pass, borrowed and given back when dropped.

    The buffers only grow and are reused, so that a steady stream of frames allocates nothing.
    """

    _idle: list[int] = []  # noqa: RUF012  list.append and list.pop are atomic

    def __init__(self) -> None:
        self._library = native_library()
        try:
            self.handle = self._idle.pop()
        except IndexError:
            self.handle = self._library.persona_workspace_create()
        if not self.handle:
            check_status(1)

    @property
    def bytes(self) -> int:
        """Memory it holds [bytes]."""
        return self._library.persona_workspace_bytes(self.handle)

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self._idle.append(self.handle)
