"""Splats in glTF: KHR_gaussian_splatting, where its nodes put them at rest."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from persona.export.gltf.splats import EXTENSION
from persona.export.ply import SH_DC
from persona.export.reading.cloud import FARTHEST, SplatFile, check_count, cloud_of, refused
from persona.geometry.rotations import quaternion_to_matrix
from persona.images.colors import from_linear
from persona.records.gaussians import Gaussians
from persona.records.gltf_file import GltfFile, parse_gltf

SPACES: Final = ("srgb_rec709_display", "lin_rec709_display")
MOST_NODES: Final = 10_000
DEEPEST: Final = 200
"""Nodes below each other; a person's fingertips are the fourteenth."""


def read_gltf_splats(path: Path, data: bytes) -> SplatFile:
    """Read all splats of a ``.glb`` or ``.gltf``, in its stored pose.

    Skins, expressions and animations are not applied, and buffers in other files not opened.
    Sizes below zero can only be logarithms, as a draft of the extension had them.

    Args:
        path: For the errors.
        data: The whole file.

    Raises:
        FileFormatError: It is damaged, holds no splats, or needs what we do not undo.
    """
    file = parse_gltf(data, lambda why: refused(path, why))
    document = file.document
    foreign = [n for n in document.get("extensionsRequired", []) if "compression" in str(n)]
    if foreign:
        raise refused(
            path, f"its splats are packed by {str(foreign[0])[:80]}, which we do not undo"
        )
    clouds: list[Gaussians] = []
    facts: dict[str, str] = {}
    for mesh, T_world_node in _placed(path, document):
        for primitive in document["meshes"][mesh]["primitives"]:
            said = primitive.get("extensions", {}).get(EXTENSION)
            if said is not None:
                cloud = _cloud(path, file, primitive["attributes"], said, facts)
                clouds.append(_moved(path, cloud, T_world_node))
                check_count(path, sum(cloud.count for cloud in clouds))
    if not clouds:
        raise refused(path, f"nothing in its scene uses {EXTENSION}")
    names = ("means", "covariances", "opacities", "colors", "normals")
    joined = {name: torch.cat([getattr(cloud, name) for cloud in clouds]) for name in names}
    return SplatFile(gaussians=Gaussians(**joined), format="glTF splats", facts=facts)


def _cloud(
    path: Path,
    file: GltfFile,
    attributes: dict[str, int],
    said: dict[str, Any],
    facts: dict[str, str],
) -> Gaussians:
    kernel, space = said.get("kernel"), said.get("colorSpace")
    if kernel != "ellipse" or space not in SPACES:
        told = f"kernel {str(kernel)[:40]!r} and colours {str(space)[:40]!r}"
        raise refused(path, f"its splats have {told}; we know ellipse and {', '.join(SPACES)}")

    def rows(name: str) -> NDArray[np.float64]:
        found = file.array(attributes[name]).astype(np.float64)
        check_count(path, len(found))
        return found

    means, scales = rows("POSITION"), rows(f"{EXTENSION}:SCALE")
    if bool((scales < 0).any()):
        scales = np.exp(np.clip(scales, -50, 50))
        facts["sizes"] = "logarithms, as in a draft of the extension"
    colors = 0.5 + SH_DC * rows(f"{EXTENSION}:SH_DEGREE_0_COEF_0")
    if space == "lin_rec709_display":
        colors = from_linear(torch.from_numpy(colors)).numpy()
        facts["colours"] = "linear in the file; blended as sRGB here"
    columns = {
        "means": means,
        "scales": scales,
        "quats_wxyz": rows(f"{EXTENSION}:ROTATION")[:, [3, 0, 1, 2]],
        "opacities": rows(f"{EXTENSION}:OPACITY")[:, 0],
        "colors": colors,
    }
    if len({len(column) for column in columns.values()}) != 1:
        raise refused(path, "its attributes have different lengths")
    return cloud_of(path, **columns)


def _placed(path: Path, document: dict[str, Any]) -> list[tuple[int, NDArray[np.float64]]]:
    """List the meshes of the scene, and what takes each to the world."""
    nodes = document["nodes"]
    if len(nodes) > MOST_NODES:
        raise refused(path, f"it has {len(nodes)} nodes; at most {MOST_NODES} are read")
    scene = document["scenes"][document.get("scene", 0)]
    waiting = [(index, np.eye(4), 0) for index in scene["nodes"]]
    seen: set[int] = set()
    found = []
    while waiting:
        index, above, depth = waiting.pop()
        if index in seen or not 0 <= index < len(nodes) or depth > DEEPEST:
            raise refused(path, "a node hangs on two others, on itself, or on none")
        seen.add(index)
        node = nodes[index]
        # A skinned mesh is where its bones put it; in the stored pose that is its own place.
        world = np.eye(4) if "skin" in node else above @ _own(path, node)
        if "mesh" in node:
            found.append((node["mesh"], world))
        waiting += [(child, world, depth + 1) for child in node.get("children", [])]
    return found


def _own(path: Path, node: dict[str, Any]) -> NDArray[np.float64]:
    if "matrix" in node:
        return _numbers(path, node["matrix"], 16).reshape(4, 4).T
    turn = _numbers(path, node.get("rotation", [0, 0, 0, 1]), 4)[[3, 0, 1, 2]]
    if np.linalg.norm(turn) < 1e-6:
        raise refused(path, "a node's rotation has no length")
    own = np.eye(4)
    own[:3, :3] = quaternion_to_matrix(torch.from_numpy(turn / np.linalg.norm(turn))).numpy()
    own[:3, :3] *= _numbers(path, node.get("scale", [1, 1, 1]), 3)
    own[:3, 3] = _numbers(path, node.get("translation", [0, 0, 0]), 3)
    return own


def _numbers(path: Path, values: object, count: int) -> NDArray[np.float64]:
    numbers = np.asarray(values, np.float64)
    if numbers.shape != (count,) or not bool((np.abs(numbers) <= FARTHEST).all()):
        raise refused(path, "a node's place holds numbers that are not finite, or beyond 1e6")
    return numbers


def _moved(path: Path, cloud: Gaussians, T: NDArray[np.float64]) -> Gaussians:
    """Carry a cloud to where its node is."""
    if np.array_equal(T, np.eye(4)):
        return cloud
    linear = torch.from_numpy(T[:3, :3])
    means = cloud.means.double() @ linear.T + torch.from_numpy(T[:3, 3])
    xx, xy, xz, yy, yz, zz = cloud.covariances.double().unbind(1)
    full = torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], 1).reshape(-1, 3, 3)
    full = linear @ full @ linear.T
    rows, columns = torch.triu_indices(3, 3)
    # Normals go with the inverse transpose; a mirror or a flat scale has no unit ones.
    cofactors = torch.stack(
        [torch.linalg.cross(linear[(k + 1) % 3], linear[(k + 2) % 3]) for k in range(3)]
    )
    normals = torch.nn.functional.normalize(cloud.normals.double() @ cofactors.T, dim=1)
    if not bool((means.abs() <= FARTHEST).all() & torch.isfinite(full).all()):
        raise refused(path, "its nodes put splats beyond 1e6 m")
    return Gaussians(
        means=means.float(),
        covariances=full[:, rows, columns].float(),
        opacities=cloud.opacities,
        colors=cloud.colors,
        normals=normals.float(),
    )
