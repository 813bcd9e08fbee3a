"""Compile gsplat's CUDA kernels once, with our cut-offs; never unasked."""

import contextlib
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Final

import torch
from torch.utils import cpp_extension

from persona.core.errors import BackendError, MissingPartError
from persona.kernels.gsplat_core import (
    ADAPTATIONS,
    EXTENSION,
    HEADER,
    INSTALL_FIX,
    LARGEST_KEPT,
    TAKEN_OVER,
    build_folder,
    extension_file,
    gsplat_version,
    keep_loaded,
)

_CHANNEL_KERNEL: Final = re.compile(r"^[ \t]*__(?:INS|LAUNCH_KERNEL)__\((\d+)\)[ \t]*\n", re.M)
"""A line of gsplat's that asks for the kernels of one channel count."""


def build_gsplat() -> float:
    """Compile for the first CUDA device and keep the result; return how long it took [s].

    The installed package's sources are copied beside the result and changed there as
    `gsplat_core.ADAPTATIONS` says; kernels for more channels than we draw are left out, which
    is most of the compiler's work. Minutes on few cores; what was built before is replaced.

    Raises:
        MissingPartError: The package, a CUDA device, nvcc or ninja is missing.
        BackendError: The sources are not those we know, or the compiler refused them.
    """
    version = _check_parts()
    start = time.perf_counter()
    folder = build_folder(version)
    shutil.rmtree(folder, ignore_errors=True)
    sources = folder / "sources"
    adapt_sources(package_sources(), sources)
    # Into a folder of its own: a build that is cut short must not look like one that ended.
    objects = folder / "objects"
    objects.mkdir()
    module = _compile(sources, objects)
    os.replace(Path(str(module.__file__)), extension_file(version))
    shutil.rmtree(objects)
    # It is loaded already, and a process can load it only once.
    keep_loaded(extension_file(version), module)
    return time.perf_counter() - start


def package_sources() -> Path:
    """Give the folder of the installed package's CUDA sources, without importing it.

    Raises:
        MissingPartError: The package is not installed.
    """
    spec = find_spec("gsplat")
    if spec is None or not spec.submodule_search_locations:
        raise _missing("the package gsplat", INSTALL_FIX)
    return Path(next(iter(spec.submodule_search_locations))) / "cuda"


def adapt_sources(package: Path, target: Path) -> None:
    """Copy gsplat's CUDA sources to a folder and apply our rules to the copy.

    Raises:
        BackendError: A text that must be changed does not stand there as often as it should.
    """
    shutil.copytree(package, target, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    shutil.copy(HEADER, target / "csrc")
    for name, text, instead, times in ADAPTATIONS:
        file = target / "csrc" / name
        source = file.read_text() if file.is_file() else ""
        if source.count(text) != times:
            raise BackendError(
                f"{name} of gsplat holds {text!r} {source.count(text)} times instead of {times}",
                why="its rules cannot be made ours; this is another gsplat than the one we know",
                fix="pip install 'gsplat==1.5.3'",
            )
        file.write_text(source.replace(text, instead))
    for file in (target / "csrc").iterdir():
        if file.suffix in (".cu", ".cpp"):
            file.write_text(_CHANNEL_KERNEL.sub(_keep_few_channels, file.read_text()))


def _keep_few_channels(line: re.Match[str]) -> str:
    count = int(line[1])
    if count > LARGEST_KEPT:
        return ""
    return line[0].replace(line[1], str(TAKEN_OVER.get(count, count)))


def _compile(sources: Path, folder: Path) -> ModuleType:
    files = sorted((*(sources / "csrc").glob("*.cu"), *(sources / "csrc").glob("*.cpp")))
    try:
        with _interpreter_on_path():
            module = cpp_extension.load(
                EXTENSION,
                [str(file) for file in (*files, sources / "ext.cpp")],
                extra_cflags=["-O3", "-Wno-attributes"],
                extra_cuda_cflags=["-O3", "-use_fast_math"],
                extra_include_paths=[
                    str(sources / "include"),
                    str(sources / "csrc" / "third_party" / "glm"),
                ],
                build_directory=str(folder),
                with_cuda=True,
            )
    except (RuntimeError, ImportError, OSError) as error:
        raise BackendError(
            "gsplat's kernels could not be compiled",
            why=str(error).strip()[-2000:],
            fix="nvcc, the compiler and torch must fit together: see torch.version.cuda",
        ) from error
    assert isinstance(module, ModuleType)  # a path only for what is no Python module
    return module


@contextlib.contextmanager
def _interpreter_on_path() -> Iterator[None]:
    """Let torch find the ninja that lies beside the interpreter of an environment not activated."""
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{before}{os.pathsep}{Path(sys.executable).parent}"
    try:
        yield
    finally:
        os.environ["PATH"] = before


def _check_parts() -> str:
    version = gsplat_version()
    if version is None:
        raise _missing("the package gsplat", INSTALL_FIX)
    if not torch.cuda.is_available():
        raise _missing(
            "a CUDA device", "build on the machine that has one, with a torch made for CUDA"
        )
    home = cpp_extension.CUDA_HOME
    # Where nvcc is a wrapper, torch takes a folder for the toolkit that holds no headers.
    parts = ("bin/nvcc", "include/cuda_runtime.h")
    if home is None or not all((Path(home) / part).is_file() for part in parts):
        raise _missing(
            f"the CUDA toolkit with {' and '.join(parts)}",
            f"install that of CUDA {torch.version.cuda}, or set CUDA_HOME to its folder",
        )
    with _interpreter_on_path():
        if not cpp_extension.is_ninja_available():
            raise _missing("ninja", "pip install ninja")
    return version


def _missing(part: str, fix: str) -> MissingPartError:
    return MissingPartError(
        f"{part} is missing", why="it is needed to compile gsplat's kernels", fix=fix
    )
