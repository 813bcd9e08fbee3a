"""3DGS PLY, plain or as PlayCanvas packs it: text or binary, attributes in any order."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from persona.export.ply import SH_DC
from persona.export.reading.cloud import (
    SplatFile,
    check_count,
    cloud_of,
    refused,
    sigmoid,
    smallest_three,
)

MAX_HEADER: Final = 65_536
"""No splat file has a longer header [bytes]."""
TYPES: Final = {
    **{"char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1"},
    **{"short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2"},
    **{"int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4"},
    **{"float": "f4", "float32": "f4", "double": "f8", "float64": "f8"},
}
"""PLY's names of numbers -> numpy's."""
ORDERS: Final = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "<"}
NEEDED: Final = (
    *("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)
"""Without one of these, points are no splats."""
PACKED: Final = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
CHUNK: Final = 256
"""Splats that share one range in PlayCanvas' packing."""
ROOT_HALF: Final = np.sqrt(0.5)
"""Largest that the second largest part of a unit quaternion can be."""


@dataclass(frozen=True, kw_only=True)
class _Element:
    name: str
    count: int
    fields: list[tuple[str, str]]
    """Names and numpy types; a list, which splats have none of, is an empty type."""


def read_ply(path: Path, data: bytes) -> SplatFile:
    """Read the splats of a PLY.

    Args:
        path: For the errors.
        data: The whole file.

    Raises:
        FileFormatError: It is damaged, or what it holds are no splats.
    """
    head, mark, body = _parted(path, data)
    words = [line.split() for line in head.splitlines()]
    order = next((line[1] for line in words if line[:1] == ["format"] and len(line) == 3), "")
    if not mark or order not in ORDERS:
        raise refused(path, "its PLY header has no end, or no known format")
    elements = _elements(path, words, ORDERS[order])
    tables = _tables(path, elements, body, text=order == "ascii")
    points = tables.get("vertex")
    if points is None:
        raise refused(path, "it has no vertices")
    names = points.dtype.names or ()
    if all(name in names for name in PACKED):
        return _packed(path, points, tables.get("chunk"), tables.get("sh"))
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise refused(
            path,
            f"its points have no {missing[0]}: they are "
            + ("points or a mesh" if "scale_0" not in names else "splats of another kind"),
            fix="train splats from it first; a mesh or a cloud of points is none",
        )
    return _plain(path, points)


def _parted(path: Path, data: bytes) -> tuple[str, bytes, bytes]:
    """Split a file at the end of its header, whichever way its lines end."""
    for mark in (b"end_header\n", b"end_header\r\n"):
        head, found, _ = data[:MAX_HEADER].partition(mark)
        if found:
            return head.decode("ascii", "replace"), found, data[len(head) + len(found) :]
    raise refused(path, "its PLY header has no end")


def _elements(path: Path, words: list[list[str]], order: str) -> list[_Element]:
    elements: list[_Element] = []
    for line in words:
        if line[:1] == ["element"]:
            if len(line) != 3 or not line[2].isdecimal() or len(line[2]) > 12:
                raise refused(path, "its PLY header names an element without a count")
            elements.append(_Element(name=line[1], count=int(line[2]), fields=[]))
        elif line[:1] == ["property"] and elements:
            kind = "" if line[1] == "list" else order + TYPES.get(line[1], "")
            if (kind == order and kind) or line[-1] in dict(elements[-1].fields):
                raise refused(path, f"its PLY header has the property {' '.join(line)[:80]!r}")
            elements[-1].fields.append((line[-1], kind))
    return elements


def _tables(
    path: Path, elements: list[_Element], body: bytes, *, text: bool
) -> dict[str, NDArray[Any]]:
    """Cut the body into the elements before the first with lists, which is no splat's."""
    found: dict[str, NDArray[Any]] = {}
    at = 0
    rows = body.decode("ascii", "replace").splitlines() if text else []
    for element in elements:
        if any(not kind for _, kind in element.fields) or not element.fields:
            break
        dtype = np.dtype(element.fields)
        held = len(rows) - at if text else (len(body) - at) // dtype.itemsize
        if held < element.count:
            raise refused(path, f"it does not hold the {element.count} rows its header names")
        if text:
            lines = "\n".join(rows[at : at + element.count])
            values = np.loadtxt(io.StringIO(lines), np.float64, ndmin=2) if element.count else []
            table = np.zeros(element.count, dtype)
            for k, (name, _) in enumerate(element.fields):
                table[name] = np.reshape(values, (element.count, len(element.fields)))[:, k]
            at += element.count
        else:
            table = np.frombuffer(body, dtype, element.count, at)
            at += element.count * dtype.itemsize
        found[element.name] = table
    return found


def _columns(table: NDArray[Any], *names: str) -> NDArray[np.float64]:
    return np.stack([table[name].astype(np.float64) for name in names], 1)


def _plain(path: Path, points: NDArray[Any]) -> SplatFile:
    check_count(path, len(points))
    names = points.dtype.names or ()
    with_normals = all(name in names for name in ("nx", "ny", "nz"))
    logs = _columns(points, "scale_0", "scale_1", "scale_2")
    cloud = cloud_of(
        path,
        means=_columns(points, "x", "y", "z"),
        scales=np.exp(np.clip(logs, -50, 50)),
        quats_wxyz=_columns(points, "rot_0", "rot_1", "rot_2", "rot_3"),
        opacities=sigmoid(points["opacity"]),
        colors=0.5 + SH_DC * _columns(points, "f_dc_0", "f_dc_1", "f_dc_2"),
        normals=_columns(points, "nx", "ny", "nz") if with_normals else None,
    )
    rest = sum(name.startswith("f_rest_") for name in names)
    return SplatFile(gaussians=cloud, format="3DGS PLY", facts=harmonics_left_out(rest))


def harmonics_left_out(count: int) -> dict[str, str]:
    """Say what is lost with the coefficients above the first."""
    return {"left out": f"{count} coefficients of view-dependent colour"} if count else {}


def _packed(
    path: Path,
    points: NDArray[Any],
    chunks: NDArray[Any] | None,
    harmonics: NDArray[Any] | None,
) -> SplatFile:
    """Undo PlayCanvas' packing: shares of a range that 256 splats have in common."""
    count = check_count(path, len(points))
    if chunks is None or len(chunks) * CHUNK < count:
        raise refused(path, "its packed splats have too few chunks")
    of = np.arange(count) // CHUNK

    def spread(shares: NDArray[np.float64], *names: str) -> NDArray[np.float64]:
        low, high = (_columns(chunks, *(f"{end}_{n}" for n in names))[of] for end in ("min", "max"))
        return low + shares * (high - low)

    scales = spread(_bits(points["packed_scale"], 11, 10, 11), "scale_x", "scale_y", "scale_z")
    color = _bits(points["packed_color"], 8, 8, 8, 8)
    rgb = color[:, :3]
    if "min_r" in (chunks.dtype.names or ()):
        rgb = spread(rgb, "r", "g", "b")
    turns = points["packed_rotation"].astype(np.uint32)
    three = (_bits(turns, 2, 10, 10, 10)[:, 1:] - 0.5) * 2 * ROOT_HALF
    cloud = cloud_of(
        path,
        means=spread(_bits(points["packed_position"], 11, 10, 11), "x", "y", "z"),
        scales=np.exp(np.clip(scales, -50, 50)),
        quats_wxyz=smallest_three(turns >> 30, three),
        opacities=color[:, 3],
        colors=rgb,
    )
    rest = 0 if harmonics is None else len(harmonics.dtype.names or ())
    facts = harmonics_left_out(rest)
    return SplatFile(gaussians=cloud, format="PlayCanvas compressed PLY", facts=facts)


def _bits(words: NDArray[Any], *widths: int) -> NDArray[np.float64]:
    """Take fields of these widths from 32-bit words, highest first, each a share in [0, 1]."""
    words = words.astype(np.uint32)
    left, columns = 32, []
    for width in widths:
        left -= width
        most = (1 << width) - 1
        columns.append(((words >> left) & most) / most)
    return np.stack(columns, 1)
