"""Choose the device once and say how much memory and how many cores there are."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from persona.core.errors import BackendError

_CGROUP_CPU: Final = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_MEMORY: Final = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, kw_only=True)
class MemoryReport:
    """Memory of one device [bytes]."""

    total: int
    """What the device, or the container's limit, has."""
    free: int
    """What can be taken now."""


def choose_device(name: str = "auto") -> torch.device:
    """Turn a name into a device.

    Args:
        name: ``auto`` takes the first CUDA device where there is one, else the CPU; otherwise a
            torch device such as ``cpu`` or ``cuda:1``.

    Raises:
        BackendError: The device does not exist here.
    """
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BackendError(
            f"{name!r} is no device",
            why="devices are called cpu, cuda or cuda:0",
            fix="leave the device out to let persona choose",
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BackendError(
            f"{name} does not exist here",
            why=f"torch sees {torch.cuda.device_count()} CUDA devices",
            fix="run `persona doctor`, or use the cpu",
        )
    return device


def device_of_process(name: str = "auto") -> torch.device:
    """Choose the device, and of several cards the one that ``torchrun`` means for this process.

    Args:
        name: See `choose_device`; a card with a number is taken as it is.

    Raises:
        BackendError: The device does not exist here: torchrun started more processes than cards.
    """
    rank = os.environ.get("LOCAL_RANK")
    device = choose_device(name)
    if device.type != "cuda" or rank is None or ":" in name:
        return device
    mine = choose_device(f"cuda:{int(rank)}")
    torch.cuda.set_device(mine)
    return mine


def core_count() -> int:
    """Count the cores this process may use, respecting affinity and the container's quota."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    if _CGROUP_CPU.is_file():
        quota, period = _CGROUP_CPU.read_text().split()
        if quota != "max":
            cores = min(cores, max(1, round(int(quota) / int(period))))
    return cores


def memory_report(device: torch.device | None = None) -> MemoryReport:
    """Say how much memory ``device`` has; None means the CPU's."""
    if device is not None and device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return MemoryReport(total=total, free=free)
    page = os.sysconf("SC_PAGE_SIZE")
    total = page * os.sysconf("SC_PHYS_PAGES")
    free = _available_from_kernel() or page * os.sysconf("SC_AVPHYS_PAGES")
    if _CGROUP_MEMORY.is_file() and (limit := _CGROUP_MEMORY.read_text().strip()) != "max":
        total = min(total, int(limit))
        used = _CGROUP_MEMORY.with_name("memory.current")
        if used.is_file():
            free = min(free, max(0, total - int(used.read_text())))
    return MemoryReport(total=total, free=free)


def check_memory(stage: str, needed: int, device: torch.device | None = None) -> None:
    """Refuse to start a stage that will not fit.

    Args:
        stage: Name for the message.
        needed: Estimate of the peak [bytes].
        device: Where the stage runs; None means the CPU.

    Raises:
        BackendError: Less than ``needed`` is free.
    """
    free = memory_report(device).free
    if free < needed:
        raise BackendError(
            f"{stage} needs about {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free",
            why="it would be killed by the system half-way",
            fix="close other programs, or choose a smaller preset (--preset draft)",
        )


def _available_from_kernel() -> int:
    """Memory that can be had without swapping [bytes]; 0 where the kernel does not say."""
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0
