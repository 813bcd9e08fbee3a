"""Show what works on this machine, and how to mend the rest."""

import ctypes
import importlib
import importlib.metadata
import itertools
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import persona
from persona.core.errors import BackendError, MissingPartError, PersonaError
from persona.core.progress import JsonProgress, current

NEEDED_MEMORY: Final = 3 * 10**9
"""What creating a standard avatar may take at its peak [bytes]."""
MEDIAPIPE: Final = "0.10.21"
"""The last version whose wheel carries the models."""
SYSTEM_LIBRARIES: Final = {"libGL.so.1": "libgl1", "libglib-2.0.so.0": "libglib2.0-0"}
"""What cv2 links to -> the Debian package that has it."""
ENCODERS: Final = {"libx264": "mp4", "libvpx-vp9": "transparent webm"}
"""Encoder -> what is written with it."""
_INSTALL: Final = "install persona again: pip install --force-reinstall -c constraints.txt ."


@dataclass(frozen=True)
class Args:
    """What `persona doctor` takes."""

    build_cuda: bool = False
    """First compile gsplat's kernels for this machine's CUDA device; takes minutes, once."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    """What was looked at."""
    state: str
    """What was found."""
    works: bool = True
    """Whether it is as it should be."""
    fix: str = ""
    """What to do where it is not."""
    optional: bool = False
    """Whether persona does its main job without it."""


def run(args: Args) -> int:
    """Look at everything; return 0 when the main job can be done here."""
    voice = current()
    if args.build_cuda:
        _build_cuda()
    findings = [finding for look in LOOKS for finding in _look(look)]
    broken = [finding for finding in findings if not (finding.works or finding.optional)]
    if isinstance(voice, JsonProgress):
        voice.result({"works": not broken, "findings": [vars(finding) for finding in findings]})
    else:
        sys.stdout.write(_table(findings))
    return MissingPartError.exit_code if broken else 0


def _build_cuda() -> None:
    from persona.kernels.gsplat_build import build_gsplat

    with current().stage("compile gsplat"):
        seconds = build_gsplat()
    current().say(f"gsplat was compiled in {seconds:.0f} s, and need not be again")


def _look(look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Turn a package that is missing altogether into a finding as well."""
    try:
        yield from look()
    except ImportError as error:
        name = look.__name__.removeprefix("look_at_").replace("_", " ")
        yield Finding(name=name, state=str(error), works=False, fix=_INSTALL)


def _table(findings: list[Finding]) -> str:
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        mark = "ok" if finding.works else ("--" if finding.optional else "NO")
        lines.append(f"{mark}  {finding.name:<{width}}  {finding.state}")
        if finding.fix and not finding.works:
            lines.append(f"    {'':<{width}}  fix: {finding.fix}")
    broken = sum(not (finding.works or finding.optional) for finding in findings)
    verdict = "persona works here" if not broken else f"{broken} to mend before persona works here"
    return "\n".join((*lines, "", verdict, ""))


def look_at_python() -> Iterator[Finding]:
    """Report versions of persona and of the interpreter."""
    yield Finding(name="persona", state=f"{persona.__version__} in {Path(persona.__file__).parent}")
    yield Finding(
        name="python",
        state=platform.python_version(),
        works=(3, 11) <= sys.version_info[:2] < (3, 13),
        fix="use Python 3.11 or 3.12; MediaPipe has no wheels for others",
    )


def look_at_machine() -> Iterator[Finding]:
    """Report system, cores and memory."""
    from persona.core.device import core_count, memory_report

    memory = memory_report()
    yield Finding(name="system", state=f"{platform.system()} on {platform.machine()}")
    yield Finding(name="cores", state=str(core_count()))
    yield Finding(
        name="memory",
        state=f"{memory.free / 1e9:.1f} GB free of {memory.total / 1e9:.1f} GB",
        works=memory.free >= NEEDED_MEMORY,
        fix=f"close other programs: {NEEDED_MEMORY / 1e9:.0f} GB are needed at the peak",
    )


def look_at_torch() -> Iterator[Finding]:
    """Report torch and CUDA."""
    import torch

    yield Finding(name="torch", state=f"{torch.__version__}, {torch.get_num_threads()} threads")
    cuda = torch.cuda.is_available()
    yield Finding(
        name="CUDA",
        state=torch.cuda.get_device_name(0) if cuda else "none; the CPU does everything",
        works=cuda,
        optional=True,
    )


def look_at_native_core() -> Iterator[Finding]:
    """Report the C++ core and the instruction sets it can use."""
    from persona.kernels.native_core import BUILD_FIX, isas_here, why_not_native

    reason = why_not_native()
    if reason is None:
        yield Finding(
            name="native core", state=f"uses {isas_here()[-1]}, of {', '.join(isas_here())}"
        )
    else:
        yield Finding(name="native core", state=reason, works=False, fix=BUILD_FIX)


def look_at_gsplat() -> Iterator[Finding]:
    """Report whether gsplat can draw on CUDA."""
    from persona.kernels.gsplat_core import BUILD_FIX, INSTALL_FIX, gsplat_version, why_not_gsplat

    reason, version = why_not_gsplat(), gsplat_version()
    yield Finding(
        name="gsplat",
        state=reason or f"{version}, compiled for this device",
        works=reason is None,
        fix=INSTALL_FIX if version is None else BUILD_FIX,
        optional=True,
    )


def look_at_backends() -> Iterator[Finding]:
    """Report, for each hot loop, what would run it and why nothing before it does."""
    import torch

    from persona.kernels.dispatch import CANDIDATES, choose

    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    try:
        for device, operation in itertools.product(devices, CANDIDATES):
            choice = choose(operation, torch.device(device), torch.float32)
            who = choice.candidate.backend.value if choice.candidate else "nothing"
            who += ", as PERSONA_BACKEND asks" if choice.asked else ""
            yield Finding(
                name=operation if device == "cpu" else f"{operation} on {device}",
                state=who + (f" ({'; '.join(choice.refused)})" if choice.refused else ""),
                works=choice.candidate is not None,
                fix=_INSTALL if device == "cpu" else "persona doctor --build-cuda",
                optional=device != "cpu",
            )
    except BackendError as error:
        yield Finding(name="backends", state=error.what, works=False, fix=error.fix)


def look_at_libraries() -> Iterator[Finding]:
    """Report the system libraries that cv2 links to."""
    if platform.system() != "Linux":
        return
    for library, package in SYSTEM_LIBRARIES.items():
        try:
            ctypes.CDLL(library)
            yield Finding(name=library, state="found")
        except OSError as error:
            fix = f"on Debian or Ubuntu: apt-get install {package}"
            yield Finding(name=library, state=str(error), works=False, fix=fix)


def look_at_perception() -> Iterator[Finding]:
    """Report cv2 and MediaPipe, by importing what is used of them."""
    owners = sorted(set(importlib.metadata.packages_distributions().get("cv2", [])))
    yield Finding(
        name="cv2",
        state=" and ".join(owners) or "not installed",
        works=len(owners) == 1 and _imports("cv2") is None,
        fix=f"pip uninstall {' '.join(owners)}; then {_INSTALL}",
    )
    version = importlib.metadata.version("mediapipe") if _is_installed("mediapipe") else None
    reason = _imports("mediapipe.python.solutions.holistic")
    yield Finding(
        name="mediapipe",
        state=f"{version or 'not installed'}" + (f": {reason}" if reason else ""),
        works=version == MEDIAPIPE and reason is None,
        fix=f"pip install mediapipe=={MEDIAPIPE}",
    )


def look_at_video() -> Iterator[Finding]:
    """Report the encoders that videos are written with."""
    import av
    import av.error

    for encoder, product in ENCODERS.items():
        try:
            av.Codec(encoder, "w")
            yield Finding(name=encoder, state=f"writes {product}; PyAV {av.__version__}")
        except av.error.FFmpegError as error:
            fix = "install PyAV from its wheel: pip install --force-reinstall --only-binary av av"
            yield Finding(name=encoder, state=str(error), works=False, fix=fix)


def look_at_body() -> Iterator[Finding]:
    """Report the shipped body file and the user's own, by loading them."""
    from persona.body import load_body
    from persona.core.settings import BODY_VARIABLE, own_body_file

    try:
        body = load_body()
    except PersonaError as error:
        yield Finding(name="open body", state=error.what, works=False, fix=error.fix)
        return
    vertices, joints = body.v_template.shape[0], len(body.parents)
    yield Finding(name="open body", state=f"{vertices} vertices, {joints} joints")
    own = own_body_file()
    if own is None:
        return
    try:
        body = load_body(own)
    except PersonaError as error:
        yield Finding(name=BODY_VARIABLE, state=error.what, works=False, fix=error.fix)
        return
    state = f"{body.name}, {body.vertex_count} vertices, SHA-256 {body.digest[:16]}"
    yield Finding(name=BODY_VARIABLE, state=state)


LOOKS: Final[tuple[Callable[[], Iterator[Finding]], ...]] = (
    look_at_python,
    look_at_machine,
    look_at_torch,
    look_at_native_core,
    look_at_gsplat,
    look_at_backends,
    look_at_libraries,
    look_at_perception,
    look_at_video,
    look_at_body,
)
"""Everything that is looked at, in the order of the table."""


def _imports(module: str) -> str | None:
    """Return why a module cannot be imported, or None when it can."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        return str(error)
    return None


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
