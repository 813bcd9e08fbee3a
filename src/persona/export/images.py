"""Drawn maps and frames as picture files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, PngImagePlugin
from torch import Tensor

from persona.core.atomic import replacing_file, replacing_folder
from persona.core.conventions import PROVENANCE
from persona.core.errors import InputError
from persona.core.progress import current
from persona.core.types import Mask
from persona.images.files import write_png

MILLIMETRES: Final = 1000.0
"""Depth is written in whole millimetres."""
DEEPEST: Final = 65.535
"""What 16 bits of millimetres hold [m]."""


def write_depth_png(path: Path, depth: Float[Tensor, "h w"]) -> None:
    """Write depth [m] as a 16-bit grey PNG in millimetres; 0 is nothing.

    Raises:
        InputError: Something is farther away than 65.535 m, or behind the camera.
    """
    nearest, farthest = float(depth.min()), float(depth.max())
    # Written so that NaN is refused too; half a millimetre more still rounds down.
    if not (nearest >= 0 and farthest < DEEPEST + 0.5 / MILLIMETRES):
        raise InputError(
            f"depth spans {nearest:.3g} to {farthest:.3g} m",
            why=f"16-bit millimetres hold 0 to {DEEPEST} m",
            fix="move the person nearer to the camera",
        )
    steps = (depth.detach().cpu() * MILLIMETRES).round().to(torch.int32).numpy()
    note = PngImagePlugin.PngInfo()
    note.add_text("Source", PROVENANCE)
    with replacing_file(path) as partial:
        Image.fromarray(steps.astype(np.uint16)).save(partial, format="PNG", pnginfo=note)


def normals_as_color(
    normals: Float[Tensor, "h w 3"], alpha: Mask
) -> tuple[Float[Tensor, "h w 3"], Mask]:
    """Paint camera-frame normals as is usual: red right, green up, blue towards the viewer.

    Returns:
        Colours in [0, 1] and the alpha that goes with them.
    """
    unit = torch.nn.functional.normalize(normals, dim=-1)
    flipped = unit * torch.tensor([1.0, -1.0, -1.0]).to(unit)
    return 0.5 + 0.5 * flipped, alpha


def write_png_sequence(
    frames: Iterable[Float[Tensor, "h w c"]], folder: Path, *, frame_count: int | None = None
) -> int:
    """Write frames as ``00000.png``, ``00001.png`` and so on into a folder of their own.

    The folder appears when all of it is there; one of the same name is replaced only when it
    holds nothing but such pictures.

    Args:
        frames: sRGB in [0, 1]; straight alpha as the fourth channel is kept.
        folder: Where to.
        frame_count: How many will come, for the time left.

    Returns:
        Pictures written.

    Raises:
        InputError: There are no frames, or the folder holds something else.
    """
    _check_replaceable(folder)
    count = 0
    with (
        current().stage(f"write {folder.name}", steps=frame_count) as stage,
        replacing_folder(folder) as partial,
    ):
        for frame in frames:
            alpha = frame[..., 3] if frame.shape[-1] == 4 else None
            write_png(partial / f"{count:05d}.png", frame[..., :3], alpha=alpha)
            count += 1
            stage.advance()
        if count == 0:
            raise InputError(
                f"no frames came for {folder.name}",
                why="a sequence has at least one picture",
                fix="ask for a longer piece of the motion",
            )
    return count


def _check_replaceable(folder: Path) -> None:
    if not folder.exists():
        return
    strangers = (
        [folder.name]
        if not folder.is_dir()
        else [p.name for p in folder.iterdir() if not (p.suffix == ".png" and p.stem.isdigit())]
    )
    if strangers:
        raise InputError(
            f"{folder.name} already holds {strangers[0]}",
            why="a sequence of pictures replaces its folder, and that is not ours to remove",
            fix="give a new folder name",
        )
