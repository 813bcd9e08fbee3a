"""Read a binary glTF and pose it, in plain numpy that shares nothing with what wrote it."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Glb:
    """One file, as the specification of glTF 2.0 reads it."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        magic, version, total = struct.unpack_from("<4sII", data)
        assert (magic, version, total) == (b"glTF", 2, len(data))
        length, kind = struct.unpack_from("<I4s", data, 12)
        assert kind == b"JSON"
        assert length % 4 == 0
        self.json: dict[str, Any] = json.loads(data[20 : 20 + length])
        size, kind = struct.unpack_from("<I4s", data, 20 + length)
        assert kind == b"BIN\0"
        assert size == self.json["buffers"][0]["byteLength"]
        self.data = data[28 + length :]

    def _view(self, index: int, dtype: str, count: int) -> np.ndarray:
        view = self.json["bufferViews"][index]
        assert count * np.dtype(dtype).itemsize <= view["byteLength"]
        assert view["byteOffset"] % 4 == 0
        return np.frombuffer(self.data, dtype, count, view["byteOffset"])

    def array(self, index: int) -> np.ndarray:
        accessor = self.json["accessors"][index]
        dtype, width = TYPES[accessor["componentType"]], WIDTHS[accessor["type"]]
        count = accessor["count"]
        rows = np.zeros((count, width), dtype)
        if "bufferView" in accessor:
            rows[:] = self._view(accessor["bufferView"], dtype, count * width).reshape(-1, width)
        if sparse := accessor.get("sparse"):
            which = sparse["indices"]
            ids = self._view(which["bufferView"], TYPES[which["componentType"]], sparse["count"])
            assert (np.diff(ids.astype(int)) > 0).all()
            values = self._view(sparse["values"]["bufferView"], dtype, sparse["count"] * width)
            rows[ids] = values.reshape(-1, width)
        if "min" in accessor:
            np.testing.assert_array_equal(rows.min(0), np.array(accessor["min"], dtype))
            np.testing.assert_array_equal(rows.max(0), np.array(accessor["max"], dtype))
        if accessor.get("normalized"):
            return rows / np.iinfo(dtype).max
        return rows if rows.dtype.kind in "iu" else rows.astype(np.float64)

    def node_of(self, name: str) -> int:
        return [node.get("name") for node in self.json["nodes"]].index(name)

    def posed(self, animation: int | None = None, key: int = 0) -> dict[int, dict[str, np.ndarray]]:
        """Give each node's own values, at one key of an animation or as stored."""
        found: dict[int, dict[str, np.ndarray]] = {}
        for index, node in enumerate(self.json["nodes"]):
            names = ("translation", "rotation", "weights")
            found[index] = {n: np.array(node[n], float) for n in names if n in node}
        if animation is not None:
            told = self.json["animations"][animation]
            for channel in told["channels"]:
                sampler = told["samplers"][channel["sampler"]]
                assert sampler["interpolation"] == "LINEAR"
                keys = len(self.array(sampler["input"]))
                values = self.array(sampler["output"]).reshape(keys, -1)[key]
                found[channel["target"]["node"]][channel["target"]["path"]] = values
        return found

    def worlds(self, values: dict[int, dict[str, np.ndarray]]) -> dict[int, np.ndarray]:
        """Chain the nodes of the scene from its roots on."""
        found: dict[int, np.ndarray] = {}

        def walk(index: int, above: np.ndarray) -> None:
            own = np.eye(4)
            own[:3, :3] = turn(values[index].get("rotation", np.array([0.0, 0, 0, 1])))
            own[:3, 3] = values[index].get("translation", np.zeros(3))
            found[index] = above @ own
            for child in self.json["nodes"][index].get("children", ()):
                walk(child, found[index])

        for root in self.json["scenes"][self.json["scene"]]["nodes"]:
            walk(root, np.eye(4))
        return found

    def skinned(
        self, node: int, primitive: int, animation: int | None = None, key: int = 0
    ) -> np.ndarray:
        """Give the points of a skinned primitive in the world."""
        values = self.posed(animation, key)
        worlds = self.worlds(values)
        item = self.json["nodes"][node]
        mesh = self.json["meshes"][item["mesh"]]
        drawn = mesh["primitives"][primitive]
        points = self.array(drawn["attributes"]["POSITION"])
        strengths = values[node].get("weights", np.array(mesh.get("weights", [])))
        for strength, target in zip(strengths, drawn.get("targets", ()), strict=True):
            if strength:
                points = points + strength * self.array(target["POSITION"])
        skin = self.json["skins"][item["skin"]]
        inverse = self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
        bones = np.stack([worlds[joint] for joint in skin["joints"]]) @ inverse
        moved = np.zeros((len(points), 3))
        total = np.zeros(len(points))
        homogeneous = np.concatenate([points, np.ones((len(points), 1))], 1)
        for k in range(8):
            if f"JOINTS_{k}" not in drawn["attributes"]:
                break
            ids = self.array(drawn["attributes"][f"JOINTS_{k}"])
            shares = self.array(drawn["attributes"][f"WEIGHTS_{k}"])
            for slot in range(4):
                rows = (bones[ids[:, slot]] @ homogeneous[..., None])[:, :3, 0]
                moved += shares[:, slot, None] * rows
                total += shares[:, slot]
        np.testing.assert_allclose(total, 1, atol=1e-6)
        return moved


def turn(xyzw: np.ndarray) -> np.ndarray:
    """Give the matrix of a unit quaternion."""
    assert abs(np.linalg.norm(xyzw) - 1) < 1e-5
    x, y, z, w = xyzw
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
