"""Doors of the kernels: nothing reaches hand-written code unchecked."""

import math

import torch
from torch import Tensor

from persona.core.checks import check_finite, check_shape
from persona.core.errors import InputError
from persona.geometry.cameras import Camera
from persona.kernels.native_core import isa_code, native_library, why_not_native


def check_floats(**named: tuple[Tensor, tuple[int | None, ...]]) -> None:
    """Refuse tensors of another shape, dtype or device than the first, or with NaN in them.

    Args:
        named: For each name, the tensor and its shape; None stands for any size.

    Raises:
        InputError: Something does not fit.
    """
    first_name, (first, _) = next(iter(named.items()))
    for name, (value, shape) in named.items():
        check_shape(name, value, shape)
        if value.dtype not in (torch.float32, torch.float64):
            raise InputError(
                f"{name} is {value.dtype}",
                why="kernels compute in float32 or float64",
                fix=f"convert it first: {name}.float()",
            )
        if value.dtype != first.dtype or value.device != first.device:
            raise InputError(
                f"{name} is {value.dtype} on {value.device}, {first_name} is {first.dtype} on "
                f"{first.device}",
                why="one call computes in one precision on one device",
                fix=f"convert it first: {name}.to({first_name})",
            )
        if value.device.type == "cpu" and not _surely_finite(value.detach()):
            check_finite(name, value)


def _surely_finite(value: Tensor) -> bool:
    """Tell quickly that all entries are finite; False may also mean "look again".

    The native core looks on this thread alone. Torch's own reductions would start its whole team
    for each tensor, which on a busy machine takes longer than drawing.
    """
    if value.dtype == torch.float32 and value.is_contiguous() and why_not_native() is None:
        library = native_library()
        return library.persona_count_unfinite(isa_code(), value.numel(), value.data_ptr()) == 0
    # A sum is not finite when an entry is not: a tenth of the time of looking at each.
    return math.isfinite(float(value.sum()))


def check_thread_count(threads: int | None) -> None:
    """Refuse fewer than one thread.

    Raises:
        InputError: ``threads`` is zero or negative.
    """
    if threads is not None and threads < 1:
        raise InputError(
            f"{threads} threads were asked for",
            why="somebody has to do the work",
            fix="give 1 or more, or None for torch's number",
        )


def check_ids(
    name: str, ids: Tensor, shape: tuple[int, ...], count: int, *, beside: Tensor, low: int = 0
) -> None:
    """Refuse ids of another shape or device, that are no whole numbers, or that name nobody.

    Args:
        name: Of the ids, for the error.
        ids: What is checked.
        shape: That they must have.
        count: How many there are to be named.
        beside: Something on the device where they must be.
        low: Smallest id.

    Raises:
        InputError: The shape, type or device differs, or an id lies outside [low, count).
    """
    check_shape(name, ids, shape)
    if ids.device != beside.device:
        raise InputError(
            f"{name} is on {ids.device}, what it belongs to is on {beside.device}",
            why="one call computes on one device",
            fix=f"move it first: {name}.to({str(beside.device)!r})",
        )
    if ids.dtype not in (torch.int32, torch.int64):
        raise InputError(
            f"{name} is {ids.dtype}",
            why="ids are whole numbers of 32 or 64 bits",
            fix=f"convert it first: {name}.long()",
        )
    if ids.numel() and not (int(ids.min()) >= low and int(ids.max()) < count):
        raise InputError(
            f"{name} spans [{int(ids.min())}, {int(ids.max())}], there are {count}",
            why="an id without an owner would read somebody else's memory",
            fix="use the body that the Gaussians were attached to",
        )


def check_camera(camera: Camera, eps2d: float, near: float) -> None:
    """Refuse a camera that is nowhere, and settings without sense.

    Raises:
        InputError: A number is not finite, or of the wrong sign.
    """
    if not (0 <= eps2d < float("inf") and 0 < near < float("inf")):
        raise InputError(
            f"eps2d is {eps2d}, near is {near}",
            why="eps2d must be finite and not negative, near finite and positive",
            fix="leave them at their defaults",
        )
    T = camera.T_camera_world
    # Sixteen numbers are looked at sooner by Python than by torch.
    if T.shape != (4, 4) or not all(map(math.isfinite, T.flatten().tolist())):
        raise InputError(
            f"T_camera_world has shape {tuple(T.shape)} or is not finite",
            why="it must be a rigid 4 x 4 transform",
            fix="make it with geometry.cameras.look_at",
        )


def check_window(width: int, height: int, left: int, top: int) -> None:
    """Refuse a window of a picture that is empty or absurd.

    Raises:
        InputError: A side is outside [1, 16384] or the corner is more than 2^24 away.
    """
    largest, far = 16_384, 1 << 24
    if not (1 <= width <= largest and 1 <= height <= largest):
        raise InputError(
            f"a picture of {width} x {height} pixels was asked for",
            why=f"each side must be between 1 and {largest}",
            fix="choose another size",
        )
    if abs(left) > far or abs(top) > far:
        raise InputError(
            f"the window starts at ({left}, {top})",
            why="pixels are counted exactly only up to 2^24",
            fix="choose a window inside the picture",
        )
