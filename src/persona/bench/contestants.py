"""Contestants: the backends that can run here, each with its device and instruction set."""

from dataclasses import dataclass
from typing import Literal

import torch

from persona.core.errors import BackendError
from persona.kernels.dispatch import Backend
from persona.kernels.gsplat_core import why_not_gsplat
from persona.kernels.native_core import isas_here, why_not_native

DeviceChoice = Literal["all", "cpu", "cuda"]
IsaChoice = Literal["best", "all"]


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One way to do the work."""

    backend: Backend
    """Who does it."""
    device: torch.device
    """Where."""
    isa: str | None = None
    """Instruction set of the native core."""

    @property
    def beside_drawing(self) -> Backend | None:
        """Who poses and projects: gsplat only draws, and has the fastest do the rest."""
        return None if self.backend is Backend.GSPLAT else self.backend

    @property
    def label(self) -> str:
        """Name it among the contestants of one case."""
        return f"{self.backend.value}-{self.device.type}-{self.isa}"


def contestants_here(devices: DeviceChoice, *, isas: IsaChoice = "best") -> tuple[Contestant, ...]:
    """List who can run here, the plain-torch twin last.

    Args:
        devices: Where to run; ``all`` takes CUDA too where gsplat is ready.
        isas: Whether the native core runs with its best instruction set only.

    Raises:
        BackendError: What was asked for cannot run here.
    """
    found = []
    if devices in ("all", "cuda"):
        reason = why_not_gsplat()
        if reason is None:
            found.append(Contestant(backend=Backend.GSPLAT, device=torch.device("cuda", 0)))
        elif devices == "cuda":
            raise BackendError("no backend on CUDA", why=reason, fix="run `persona doctor`")
    if devices in ("all", "cpu"):
        reason = why_not_native()
        if reason is not None:
            raise BackendError("no native core", why=reason, fix="run `persona doctor`")
        cpu = torch.device("cpu")
        names = isas_here() if isas == "all" else isas_here()[-1:]
        found += [Contestant(backend=Backend.NATIVE, device=cpu, isa=isa) for isa in names]
        found.append(Contestant(backend=Backend.REFERENCE, device=cpu))
    return tuple(found)
