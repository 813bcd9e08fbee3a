"""VRM animation: a binary glTF in which nodes are named bones of a person, in metres, y up."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from persona.animation.formats.reading import (
    FARTHEST,
    check_fps,
    check_frames,
    check_size,
    finite,
    refused,
)
from persona.animation.formats.skeleton_clip import MOST_JOINTS, SkeletonClip
from persona.animation.sketch import BASE_FPS
from persona.core.errors import FileFormatError
from persona.geometry.rotations import quaternion_to_matrix, slerp
from persona.records.gltf_file import MAGIC, GltfFile, parse_gltf

LONGEST: Final = 3600.0
"""A motion lasts no longer [s]."""
XYZW_TO_WXYZ: Final = [3, 0, 1, 2]
Curve = tuple[Tensor, Tensor]
"""Times [s], and a row of values for each."""


def read_vrma(path: Path, *, fps: float | None = None) -> SkeletonClip:
    """Read the first animation of a VRM animation at an even rate; face and gaze are left out.

    Joints are named by the file's humanoid. Nodes turn even at rest; they are given frames of
    their own that do not, so that the rest pose is the T-pose that VRM asks for.

    Args:
        path: A ``.vrma`` file.
        fps: The rate to sample at; None takes 30.

    Raises:
        FileFormatError: No binary glTF, damaged, or without an animated humanoid.
    """
    check_size(path)
    try:
        data = path.read_bytes()
        if data[:4] != MAGIC:
            raise refused(path, "it does not begin with glTF", fix="give a .vrma file")
        file = parse_gltf(data, lambda why: refused(path, why))
        return _clip(path, file, BASE_FPS if fps is None else fps)
    except FileFormatError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise refused(path, f"its glTF lacks or garbles something: {error!r:.150}") from error


def _clip(path: Path, file: GltfFile, fps: float) -> SkeletonClip:
    document = file.document
    nodes = document["nodes"]
    bones = document["extensions"]["VRMC_vrm_animation"]["humanoid"]["humanBones"]
    names = {int(bone["node"]): str(name)[:100] for name, bone in bones.items()}
    if len(nodes) > MOST_JOINTS or len(set(names.values())) != len(bones):
        raise refused(path, f"it has {len(nodes)} nodes, or one with two names")
    order, parents = _below(path, nodes, int(bones["hips"]["node"]))
    curves = _curves(path, file)
    length = max(float(times[-1]) for times, _ in curves.values())
    if not 0 <= length <= LONGEST:
        raise refused(path, f"it lasts {length:g} s; at most {LONGEST:g} s are read")
    count = check_frames(path, int(length * check_fps(path, fps) + 1e-6) + 1)
    times = torch.arange(count, dtype=torch.float64) / fps
    rests = [_own(path, nodes[k], "rotation", [0, 0, 0, 1]) for k in order]
    places = torch.stack([_own(path, nodes[k], "translation", [0, 0, 0]) for k in order])
    turns = [
        _sampled(curves[k, "rotation"], times, turns=True)
        if (k, "rotation") in curves
        else rest[None].expand(count, 4)
        for k, rest in zip(order, rests, strict=True)
    ]
    moved = curves.get((order[0], "translation"))
    root = places[:1].expand(count, 3) if moved is None else _sampled(moved, times, turns=False)
    rest = torch.stack(rests)[:, XYZW_TO_WXYZ]
    own = torch.stack(turns, 1)[..., XYZW_TO_WXYZ]
    rotations, offsets = _upright(parents, rest, own, places)
    return SkeletonClip(
        names=tuple(names.get(k, f"node{k}") for k in order),
        parents=tuple(parents),
        offsets=offsets,
        ends={},
        rotations=rotations,
        root_positions=root,
        fps=fps,
    )


def _own(path: Path, node: dict[str, Any], name: str, otherwise: list[float]) -> Tensor:
    value = finite(path, name, node.get(name, otherwise), len(otherwise), most=FARTHEST)
    if len(otherwise) == 4 and float(value.norm()) < 1e-3:
        raise refused(path, "a node's rotation is no rotation")
    return value


def _below(path: Path, nodes: list[Any], root: int) -> tuple[list[int], list[int]]:
    """List nodes from the hips down, each once, and the place of each one's parent."""
    order, parents = [root], [-1]
    at = 0
    while at < len(order):
        for child in nodes[order[at]].get("children", []):
            if child in order or not isinstance(child, int) or not 0 <= child < len(nodes):
                raise refused(path, f"node {child} hangs on two others, on itself, or on none")
            order.append(child)
            parents.append(at)
        at += 1
    return order, parents


def _curves(path: Path, file: GltfFile) -> dict[tuple[int, str], Curve]:
    """Read rotations and translations of the first animation."""
    animation = file.document["animations"][0]
    found: dict[tuple[int, str], Curve] = {}
    for channel in animation["channels"][: 4 * MOST_JOINTS]:
        kind, node = channel["target"]["path"], channel["target"].get("node")
        if kind not in ("rotation", "translation") or not isinstance(node, int):
            continue
        sampler = animation["samplers"][channel["sampler"]]
        times = _accessor(path, file, sampler["input"])[:, 0]
        values = _accessor(path, file, sampler["output"])
        if sampler.get("interpolation") == "CUBICSPLINE":
            values = values[1::3]  # Between keys we go straight, without the tangents.
        if len(times) != len(values) or not len(times) or bool((times.diff() < 0).any()):
            raise refused(path, "an animation's times and values do not belong together")
        found[node, kind] = (times, values)
    if not found:
        raise refused(path, "nothing in it is animated")
    return found


def _accessor(path: Path, file: GltfFile, index: int) -> Tensor:
    values = file.array(index)
    if values.dtype != np.float32:
        raise refused(path, "its keys are not plain 32-bit floats")
    return finite(path, "a key", values, *values.shape, most=FARTHEST)


def _sampled(curve: Curve, times: Tensor, *, turns: bool) -> Tensor:
    """Look a curve up; it rests outside its keys."""
    keys, values = curve
    high = torch.searchsorted(keys.contiguous(), times.contiguous()).clamp(0, len(keys) - 1)
    low = (high - 1).clamp(min=0)
    span = (keys[high] - keys[low]).clamp(min=1e-9)
    share = ((times - keys[low]) / span).clamp(0, 1)
    if not turns:
        return torch.lerp(values[low], values[high], share[:, None])
    unit = torch.nn.functional.normalize(values, dim=-1)
    return slerp(unit[low], unit[high], share)


def _upright(
    parents: list[int], rest: Tensor, own: Tensor, places: Tensor
) -> tuple[Tensor, Tensor]:
    """Give joints frames that are not turned at rest: rotations (t, j, 3, 3) and offsets."""
    at_rest, moving = quaternion_to_matrix(rest), quaternion_to_matrix(own)
    world_rest, world = [at_rest[0]], [moving[:, 0]]
    offsets = [torch.zeros(3, dtype=torch.float64)]
    for joint, parent in list(enumerate(parents))[1:]:
        offsets.append(world_rest[parent] @ places[joint])
        world_rest.append(world_rest[parent] @ at_rest[joint])
        world.append(world[parent] @ moving[:, joint])
    free = [turn @ still.T for turn, still in zip(world, world_rest, strict=True)]
    local = [
        free[joint] if parent < 0 else free[parent].mT @ free[joint]
        for joint, parent in enumerate(parents)
    ]
    return torch.stack(local, 1), torch.stack(offsets)
