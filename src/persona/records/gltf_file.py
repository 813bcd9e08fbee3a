"""A stranger's glTF: its JSON and its arrays, bounded before anything is made of them."""

import base64
import binascii
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MAGIC: Final = b"glTF"
JSON_CHUNK: Final = 0x4E4F534A
BINARY_CHUNK: Final = 0x004E4942
WIDTHS: Final = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
"""Numbers in a row."""
TYPES: Final = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
"""glTF's number of a component -> numpy's name."""
DATA_URI: Final = "data:"

Refuse = Callable[[str], Exception]
"""Makes the error of whoever reads: what is wrong in, an exception out."""


@dataclass(frozen=True, kw_only=True)
class GltfFile:
    """A document and the bytes it speaks of; nothing beside the file is opened."""

    document: dict[str, Any]
    """As it stands in the file: nothing in it is known to be true."""
    buffers: tuple[bytes, ...]
    """What is inside the file; empty where a buffer lies elsewhere."""
    refuse: Refuse
    """How to say that the file is unusable."""

    def array(self, index: int) -> NDArray[Any]:
        """Give the rows of an accessor; integers that stand for shares as shares.

        Raises:
            Exception: What ``refuse`` makes: it lies outside the file, or is sparse.
            LookupError, TypeError, ValueError, AttributeError: The document is garbled.
        """
        accessor = self.document["accessors"][index]
        if "sparse" in accessor or "bufferView" not in accessor:
            raise self.refuse("an array of it is sparse or empty")
        view = self.document["bufferViews"][accessor["bufferView"]]
        data = self.buffers[view["buffer"]]
        dtype, width = np.dtype(TYPES[accessor["componentType"]]), WIDTHS[accessor["type"]]
        count, row = int(accessor["count"]), dtype.itemsize * width
        inside = int(accessor.get("byteOffset", 0))
        start = int(view.get("byteOffset", 0)) + inside
        stride = int(view.get("byteStride", row))
        end = start + (count - 1) * stride + row
        sound = count >= 1 and inside >= 0 <= start and row <= stride and end <= len(data)
        if not sound or inside + (count - 1) * stride + row > int(view["byteLength"]):
            raise self.refuse(f"{count} rows of an array lie outside the file")
        strides = (stride, dtype.itemsize)
        rows = np.ndarray((count, width), dtype, data, start, strides)
        if accessor.get("normalized") and dtype.kind in "iu":
            return np.maximum(rows / np.iinfo(dtype).max, -1.0)
        return rows


def parse_gltf(data: bytes, refuse: Refuse) -> GltfFile:
    """Take a ``.glb`` or a ``.gltf`` apart.

    Args:
        data: The whole file.
        refuse: Makes the error to raise.

    Raises:
        Exception: What ``refuse`` makes.
    """
    try:
        text, binary = _chunks(data) if data[:4] == MAGIC else (data, b"")
        document = json.loads(text)
        listed = document.get("buffers", [])
        buffers = tuple(_buffer(item, binary) for item in listed)
    except (struct.error, binascii.Error, RecursionError) as error:
        raise refuse(f"its glTF is damaged: {error}") from error
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise refuse(f"its glTF lacks or garbles something: {error!r:.150}") from error
    return GltfFile(document=document, buffers=buffers, refuse=refuse)


def _chunks(data: bytes) -> tuple[bytes, bytes]:
    """Give the JSON and the bytes of a binary glTF."""
    found: dict[int, bytes] = {}
    at = 12
    while at + 8 <= len(data):
        length, kind = struct.unpack_from("<II", data, at)
        found.setdefault(kind, data[at + 8 : at + 8 + length])
        at += 8 + length
    return found[JSON_CHUNK], found.get(BINARY_CHUNK, b"")


def _buffer(item: dict[str, Any], binary: bytes) -> bytes:
    uri = item.get("uri")
    if uri is None:
        return binary
    if uri.startswith(DATA_URI):
        return base64.b64decode(uri.partition(",")[2], validate=True)
    return b""
