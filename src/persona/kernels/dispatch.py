"""Choose a backend by argument, environment or capability, and say which was chosen."""

import enum
import importlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from persona.core.errors import BackendError

log = logging.getLogger(__name__)

BACKEND_VARIABLE = "PERSONA_BACKEND"
"""Environment variable that insists on one backend, for every operation that it implements."""
ISA_VARIABLE = "PERSONA_ISA"
"""Environment variable that insists on one instruction set of the native core."""


class Backend(enum.Enum):
    """Ways to run an operation, slowest first."""

    REFERENCE = "reference"
    """Plain torch or numpy. The specification."""
    NATIVE = "native"
    """The C++ core, CPU, float32."""
    TRITON = "triton"
    """Kernels that Triton compiles, CUDA, float32."""
    GSPLAT = "gsplat"
    """The package gsplat's kernels, CUDA, float32. They only draw."""


@dataclass(frozen=True)
class Candidate:
    """One implementation and what it needs."""

    backend: Backend
    module: str
    """Imported only when chosen."""
    device_types: tuple[str, ...] = ("cpu", "cuda")
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.float64)
    """Precisions it computes in."""

    def suits(self, device: torch.device, dtype: torch.dtype) -> bool:
        """Tell whether it is made for such tensors, whether or not it is installed."""
        return device.type in self.device_types and dtype in self.dtypes

    def why_not(self, device: torch.device, dtype: torch.dtype) -> str | None:
        """Give the reason this candidate cannot run on such tensors, or None when it can."""
        if device.type not in self.device_types:
            return f"{self.backend.value} does not run on {device.type}"
        if not self.suits(device, dtype):
            return f"{self.backend.value} does not compute in {dtype}"
        if self.backend is Backend.NATIVE:
            # By name, as all backends: the core reads its instruction set from this module.
            return importlib.import_module("persona.kernels.native_core").why_not_native()
        if self.backend is Backend.TRITON:
            return importlib.import_module("persona.kernels.triton_core").why_not_triton()
        if self.backend is Backend.GSPLAT:
            # Triton sorts for it.
            return (
                importlib.import_module("persona.kernels.gsplat_core").why_not_gsplat()
                or importlib.import_module("persona.kernels.triton_core").why_not_triton()
            )
        return None


def _native(module: str) -> Candidate:
    return Candidate(Backend.NATIVE, f"persona.kernels.{module}", ("cpu",), (torch.float32,))


def _triton(module: str) -> Candidate:
    return Candidate(Backend.TRITON, f"persona.kernels.{module}", ("cuda",), (torch.float32,))


def _gsplat(module: str) -> Candidate:
    return Candidate(Backend.GSPLAT, f"persona.kernels.{module}", ("cuda",), (torch.float32,))


def _reference(module: str) -> Candidate:
    return Candidate(Backend.REFERENCE, f"persona.kernels.{module}")


CANDIDATES: dict[str, tuple[Candidate, ...]] = {
    "bend_puppet": (_triton("bending_triton"), _reference("bending_reference")),
    "draw_posed": (
        _native("posed_drawing_native"),
        _triton("posed_drawing_triton"),
        _reference("posed_drawing_reference"),
    ),
    "pose_gaussians": (
        _native("posing_native"),
        _triton("posing_triton"),
        _reference("posing_reference"),
    ),
    "cloth_substep": (_native("cloth_native"), _reference("cloth_reference")),
    "nearest_skin": (_native("cloth_native"), _reference("cloth_skin_reference")),
    "run_cloth": (_native("cloth_native"), _reference("cloth_run_reference")),
    "project_gaussians": (
        _native("projection_native"),
        _triton("projection_triton"),
        _reference("projection_reference"),
    ),
    "project_oriented": (
        _native("projection_native"),
        _triton("projection_triton"),
        _reference("projection_reference"),
    ),
    "rasterize": (
        _native("rasterize_native"),
        _gsplat("rasterize_gsplat"),
        _reference("rasterize_reference"),
    ),
    "rasterize_mesh": (_native("mesh_native"), _reference("mesh_reference")),
    "ssim_planes": (_native("similarity_native"), _reference("similarity_reference")),
}
"""Implementations of every operation, fastest first."""


def implementation(
    op: str,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    *,
    backend: Backend | None = None,
) -> Callable[..., Any]:
    """Find the fastest implementation of ``op`` that can run on such tensors.

    A core that would suit but is not built is an error, not a reason for the reference: that
    would draw one picture in minutes, and look like a program that hangs. The same goes for
    Triton and gsplat on CUDA.

    Args:
        op: Name in `CANDIDATES`.
        device: Where the inputs live.
        dtype: Precision of the inputs.
        backend: Insist on this one; None leaves the choice to the environment, then to us.

    Raises:
        BackendError: Nothing suitable, or the core is not built; the message lists every
            candidate and its reason.
    """
    choice = choose(op, device, dtype, backend=backend)
    if choice.candidate is not None:
        log.debug("%s on %s in %s: %s", op, device, dtype, choice.candidate.backend.value)
        return getattr(importlib.import_module(choice.candidate.module), op)
    raise BackendError(
        f"no backend for {op} on {device} in {dtype}"
        + (f" (asked for {choice.asked.value})" if choice.asked else ""),
        why="; ".join(choice.refused) or "that backend does not implement this operation",
        fix=f"run `persona doctor`; {BACKEND_VARIABLE}=reference is a thousand times slower",
    )


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Who would do an operation, and why nobody before them."""

    asked: Backend | None
    """The backend that an argument or the environment insists on."""
    candidate: Candidate | None
    """Who does it; None when nobody can."""
    refused: tuple[str, ...]
    """Why the candidates before it cannot, fastest first."""


def choose(
    op: str, device: torch.device, dtype: torch.dtype, *, backend: Backend | None = None
) -> Choice:
    """Go through the table as `implementation` does, and tell instead of raising.

    Raises:
        BackendError: The environment names a backend that does not exist.
    """
    asked = backend or _backend_from_environment(op)
    refused = []
    for candidate in CANDIDATES[op]:
        if asked is not None and candidate.backend is not asked:
            continue
        reason = candidate.why_not(device, dtype)
        if reason is None:
            return Choice(asked=asked, candidate=candidate, refused=tuple(refused))
        refused.append(reason)
        if candidate.suits(device, dtype):
            break
    return Choice(asked=asked, candidate=None, refused=tuple(refused))


def _backend_from_environment(op: str) -> Backend | None:
    name = os.environ.get(BACKEND_VARIABLE)
    if not name:
        return None
    try:
        asked = Backend(name)
        # gsplat draws and Triton does not: who asks for one wants the rest to go on as always.
        return asked if any(c.backend is asked for c in CANDIDATES[op]) else None
    except ValueError as error:
        raise BackendError(
            f"{BACKEND_VARIABLE} is {name!r}",
            why="backends are " + ", ".join(b.value for b in Backend),
            fix=f"set it to one of them, or unset {BACKEND_VARIABLE}",
        ) from error


def isa_from_environment() -> str | None:
    """Give the instruction set asked for by the environment, or None."""
    return os.environ.get(ISA_VARIABLE) or None
