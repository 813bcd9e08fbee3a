"""A glTF document that grows piece by piece and is written as one binary file."""

import json
import struct
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from persona.core.atomic import replacing_file
from persona.core.errors import InputError
from persona.records.gltf_file import BINARY_CHUNK, JSON_CHUNK, MAGIC
from persona.records.notice import Notice

VERSION: Final = 2
ALIGNMENT: Final = 4
"""Every view and chunk begins at a multiple of this [bytes]."""
LARGEST: Final = 2**32 - 1
"""What the container's 32-bit lengths hold [bytes]."""
VERTICES: Final = 34962
TRIANGLES: Final = 34963
"""Purposes of views, for engines that upload them as they are."""
COMPONENTS: Final = {"uint8": 5121, "uint16": 5123, "uint32": 5125, "float32": 5126}
"""numpy's name of a number -> glTF's."""

Shape = Literal["SCALAR", "VEC2", "VEC3", "VEC4", "MAT4"]
"""What one row of an accessor is."""


class GltfDocument:
    """Nodes, meshes and arrays of one scene, with the notice that travels with it.

    Everything that is added answers with its index, by which others refer to it.
    """

    def __init__(self, notice: Notice) -> None:
        self._bytes = bytearray()
        self.note = "; ".join(notice.lines())
        self._json: dict[str, Any] = {
            "asset": {
                "version": "2.0",
                "generator": notice.made_with,
                "copyright": notice.rights,
                "extras": notice.as_json(),
            },
            "scene": 0,
            "scenes": [{"nodes": []}],
        }

    def add(self, collection: str, item: dict[str, Any]) -> int:
        """Append to ``nodes``, ``meshes``, ``skins``, ``materials`` and so on."""
        items = self._json.setdefault(collection, [])
        items.append(item)
        return len(items) - 1

    def show(self, node: int) -> None:
        """Put a node, and what hangs below it, into the scene."""
        self._json["scenes"][0]["nodes"].append(node)

    def use_extension(self, name: str) -> None:
        """Name an extension without which the file can still be read."""
        used = self._json.setdefault("extensionsUsed", [])
        if name not in used:
            used.append(name)

    def add_view(self, data: bytes, *, target: int | None = None) -> int:
        """Append bytes."""
        self._bytes += bytes(-len(self._bytes) % ALIGNMENT)
        view = {"buffer": 0, "byteOffset": len(self._bytes), "byteLength": len(data)}
        self._bytes += data
        return self.add("bufferViews", view if target is None else {**view, "target": target})

    def add_array(
        self,
        values: NDArray[Any],
        shape: Shape,
        *,
        target: int | None = None,
        bounds: bool = False,
        normalized: bool = False,
    ) -> int:
        """Append one row for each element; numbers as in `COMPONENTS`.

        Args:
            values: Rows; of single bytes, four must make up a row.
            shape: What a row is.
            target: `VERTICES`, `TRIANGLES`, or None for what is no geometry.
            bounds: Whether to state least and greatest, as for positions and times.
            normalized: Whether integers stand for [0, 1].
        """
        view = self.add_view(_packed(values), target=target)
        accessor = self._accessor(values.dtype.name, len(values), shape)
        accessor |= {"bufferView": view} | (_bounds(values) if bounds else {})
        return self.add("accessors", accessor | ({"normalized": True} if normalized else {}))

    def add_sparse(
        self, count: int, ids: NDArray[np.uint32], rows: NDArray[np.float32], shape: Shape
    ) -> int:
        """Append an array that is zero but for some rows, of which there is at least one.

        Args:
            count: Rows of the whole array.
            ids: Rows that are not zero, growing.
            rows: What stands there.
            shape: What a row is.
        """
        accessor = self._accessor("float32", count, shape)
        whole = rows if len(rows) == count else np.concatenate([rows, np.zeros_like(rows[:1])])
        accessor |= _bounds(whole)
        accessor["sparse"] = {
            "count": len(ids),
            "indices": {
                "bufferView": self.add_view(_packed(ids)),
                "componentType": COMPONENTS[ids.dtype.name],
            },
            "values": {"bufferView": self.add_view(_packed(rows))},
        }
        return self.add("accessors", accessor)

    def write(self, path: Path) -> None:
        """Write the ``.glb``, whole or not at all.

        Raises:
            InputError: It is larger than the container can say.
        """
        data = bytes(self._bytes) + bytes(-len(self._bytes) % ALIGNMENT)
        head = {**self._json, "buffers": [{"byteLength": len(data)}]}
        text = json.dumps(head, separators=(",", ":")).encode()
        text += b" " * (-len(text) % ALIGNMENT)
        total = 12 + 8 + len(text) + 8 + len(data)
        if total > LARGEST:
            raise InputError(
                f"{path.name} would have {total} bytes",
                why=f"a binary glTF says its length in 32 bits, at most {LARGEST}",
                fix="export fewer or shorter motions",
            )
        with replacing_file(path) as partial, partial.open("wb") as file:
            file.write(MAGIC + struct.pack("<II", VERSION, total))
            file.write(struct.pack("<II", len(text), JSON_CHUNK) + text)
            file.write(struct.pack("<II", len(data), BINARY_CHUNK) + data)

    def _accessor(self, dtype: str, count: int, shape: Shape) -> dict[str, Any]:
        return {"componentType": COMPONENTS[dtype], "count": count, "type": shape}


def _packed(values: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()


def _bounds(values: NDArray[Any]) -> dict[str, list[float]]:
    rows = values.reshape(len(values), -1)
    return {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
