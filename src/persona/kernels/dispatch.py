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
"""Environment variable that insists on one backend for every operation."""
ISA_VARIABLE = "PERSONA_ISA"
"""Environment variable that insists on one instruction set of the native core."""


class Backend(enum.Enum):
    """Ways to run an operation, slowest first."""

    REFERENCE = "reference"
    """Plain torch or numpy. The specification."""
    NATIVE = "native"
    """The C++ core, CPU, float32."""


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
        return None


def _native(module: str) -> Candidate:
    return Candidate(Backend.NATIVE, f"persona.kernels.{module}", ("cpu",), (torch.float32,))


def _reference(module: str) -> Candidate:
    return Candidate(Backend.REFERENCE, f"persona.kernels.{module}")


CANDIDATES: dict[str, tuple[Candidate, ...]] = {
    "draw_posed": (_native("posed_drawing_native"), _reference("posed_drawing_reference")),
    "pose_gaussians": (_native("posing_native"), _reference("posing_reference")),
    "project_gaussians": (_native("projection_native"), _reference("projection_reference")),
    "project_oriented": (_native("projection_native"), _reference("projection_reference")),
    "rasterize": (_native("rasterize_native"), _reference("rasterize_reference")),
    "rasterize_mesh": (_native("mesh_native"), _reference("mesh_reference")),
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
    would draw one picture in minutes, and look like a program that hangs.

    Args:
        op: Name in `CANDIDATES`.
        device: Where the inputs live.
        dtype: Precision of the inputs.
        backend: Insist on this one; None leaves the choice to the environment, then to us.

    Raises:
        BackendError: Nothing suitable, or the core is not built; the message lists every
            candidate and its reason.
    """
    asked = backend or _backend_from_environment()
    reasons = []
    for candidate in CANDIDATES[op]:
        if asked is not None and candidate.backend is not asked:
            continue
        reason = candidate.why_not(device, dtype)
        if reason is None:
            log.debug("%s on %s in %s: %s", op, device, dtype, candidate.backend.value)
            return getattr(importlib.import_module(candidate.module), op)
        reasons.append(reason)
        if candidate.suits(device, dtype):
            break
    raise BackendError(
        f"no backend for {op} on {device} in {dtype}"
        + (f" (asked for {asked.value})" if asked else ""),
        why="; ".join(reasons) or "that backend does not implement this operation",
        fix=f"run `persona doctor`; {BACKEND_VARIABLE}=reference is a thousand times slower",
    )


def _backend_from_environment() -> Backend | None:
    name = os.environ.get(BACKEND_VARIABLE)
    if not name:
        return None
    try:
        return Backend(name)
    except ValueError as error:
        raise BackendError(
            f"{BACKEND_VARIABLE} is {name!r}",
            why="backends are " + ", ".join(b.value for b in Backend),
            fix=f"set it to one of them, or unset {BACKEND_VARIABLE}",
        ) from error


def isa_from_environment() -> str | None:
    """Give the instruction set asked for by the environment, or None."""
    return os.environ.get(ISA_VARIABLE) or None
