"""An avatar as the page draws it: one safetensors file of small integers, ten megabytes at most."""

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from torch import Tensor

import persona
from persona.avatar.avatar import Avatar
from persona.avatar.binding import BONES_KEPT
from persona.avatar.cloth import Cloth
from persona.body.arkit import arkit_matrix
from persona.body.skeleton import JOINT_NAMES, MIRROR_IDS, PARENTS, joint_limits
from persona.core.errors import InputError
from persona.export.quantization import (
    Quantized,
    quantize_ranges,
    quantize_shares,
    quantize_signed,
)
from persona.geometry.rotations import quaternion_to_matrix

FORMAT: Final = "persona-web-asset"
"""What a page asks a file to be."""
VERSION: Final = 1
"""Of the arrays and their names."""
MOST_VERTICES: Final = 1 << 16
"""Vertices are numbered with 16 bits."""

Arrays = dict[str, NDArray[Any]]


def web_asset(avatar: Avatar, *, about: Mapping[str, Any] | None = None) -> bytes:
    """Pack an avatar for the page.

    What a shader needs for each Gaussian, the body's correctives and expressions at the vertices
    under them, and the shapes baked from the cloth's network: the page runs no network. The arrays,
    their types and the errors of rounding are in docs/serve.md.

    Args:
        avatar: Whom.
        about: More for people and programs to read: name, licences, provenance. Plain values.

    Returns:
        The bytes of a safetensors file; scales and ``about`` stand in its metadata.

    Raises:
        InputError: The body has more vertices than 16 bits can number, or Gaussians hang on
            another number of bones.
    """
    slots = avatar.binding.bone_ids.shape[1]
    if slots != BONES_KEPT:
        raise InputError(
            f"each Gaussian hangs on {slots} bones",
            why=f"the page's shader blends {BONES_KEPT}",
            fix="create the avatar again",
        )
    if avatar.body.vertex_count > MOST_VERTICES:
        raise InputError(
            f"the body has {avatar.body.vertex_count} vertices",
            why=f"the page numbers them with 16 bits, up to {MOST_VERTICES}",
            fix="create the avatar on the open body",
        )
    arrays: Arrays = {}
    scales: dict[str, dict[str, list[float]]] = {}

    def keep(name: str, packed: Quantized) -> None:
        arrays[name] = packed.integers
        scales[name] = {"low": packed.low, "step": packed.step}

    with torch.no_grad():
        _pack_gaussians(avatar, arrays, keep)
        _pack_look(avatar, arrays, keep)
        _pack_body(avatar, arrays, keep)
        if avatar.cloth is not None:
            _pack_cloth(avatar.cloth, arrays, keep)
    head = {
        "format": FORMAT,
        "version": VERSION,
        "made_with": f"persona {persona.__version__}",
        "count": avatar.count,
        "scales": scales,
        "joints": list(JOINT_NAMES),
        "parents": list(PARENTS),
        "mirror": list(MIRROR_IDS),
        "limits": torch.stack(joint_limits()).tolist(),
        "arkit": list(avatar.body.face_units.names),
        "feels_motion": avatar.feels_motion,
        "photo": {"size": list(avatar.photo_size), "focal_px": avatar.photo_focal_px},
        "warnings": list(avatar.warnings),
        "about": dict(about or {}),
    }
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    return save(contiguous, metadata={"head": json.dumps(head)})


def _pack_gaussians(avatar: Avatar, arrays: Arrays, keep: Any) -> None:
    """Where Gaussians are at rest and what carries them."""
    canonical, rig = avatar.canonical, avatar.rig
    keep("means", quantize_ranges(canonical.means.numpy(), np.uint16))
    quats = torch.nn.functional.normalize(canonical.quats_wxyz, dim=1).numpy()
    arrays["quats"] = np.rint(quats * np.iinfo(np.int16).max).astype(np.int16)
    keep("log_scales", quantize_ranges(canonical.log_scales.numpy(), np.uint16))
    arrays["corners"] = rig.corners.numpy().astype(np.uint16)
    arrays["corner_shares"] = quantize_shares(rig.corner_shares.numpy())
    arrays["bone_ids"] = rig.bone_ids.numpy().astype(np.uint8)
    arrays["bone_weights"] = quantize_shares(rig.bone_weights.numpy())
    gradients = rig.weight_gradients.flatten(1).numpy()
    # By Gaussian: at a joint they are a hundred times those on a thigh.
    largest = np.maximum(np.abs(gradients).max(1, keepdims=True), 1e-9)
    arrays["weight_gradients"] = np.rint(gradients / largest * 127).astype(np.int8)
    arrays["gradient_steps"] = (largest[:, 0] / 127).astype(np.float32)


def _pack_look(avatar: Avatar, arrays: Arrays, keep: Any) -> None:
    """Colours as in the photo, and what is needed to light the person otherwise."""
    seen = torch.cat([avatar.canonical.colors, avatar.canonical.opacities[:, None]], 1)
    arrays["colors"] = np.rint(seen.numpy() * 255).astype(np.uint8)
    # The root: as many steps in the dark as an eye has there.
    keep("albedo_roots", quantize_ranges(avatar.appearance.albedo.sqrt().numpy(), np.uint8))
    rest_normals = quaternion_to_matrix(avatar.canonical.quats_wxyz)[..., 2]
    normals = avatar.appearance.relief.smooth(rest_normals).numpy()
    arrays["light_normals"] = np.rint(normals * 127).astype(np.int8)


def _pack_body(avatar: Avatar, arrays: Arrays, keep: Any) -> None:
    """What bends: joints, and the flesh that expressions and bent joints move."""
    puppet = avatar.puppet
    arrays["rest_joints"] = puppet.rest_joints.numpy()
    arrays["joint_dirs"] = puppet.joint_dirs.numpy()
    used = torch.zeros(avatar.body.vertex_count, dtype=torch.bool)
    used[puppet.rig.corners[puppet.rig.corner_shares > 0]] = True
    moves = used & (puppet.expression_dirs.abs().amax((1, 2)) > 0)
    arrays["expression_vertices"] = moves.nonzero()[:, 0].numpy().astype(np.uint16)
    smiles = puppet.expression_dirs[moves].flatten(1)
    keep("expression_dirs", quantize_signed(smiles.numpy(), np.int16))
    rows = used[puppet.corrective_vertices]
    arrays["corrective_joints"] = puppet.corrective_joints[rows].numpy().astype(np.uint8)
    arrays["corrective_vertices"] = puppet.corrective_vertices[rows].numpy().astype(np.uint16)
    bulges = puppet.corrective_directions[rows].flatten(1)
    keep("corrective_dirs", quantize_signed(bulges.numpy(), np.int16))
    arrays["arkit_matrix"] = arkit_matrix(avatar.body).numpy()
    photo = avatar.photo_params
    arrays["photo_pose"] = photo.full_pose.numpy()
    arrays["photo_transl"] = photo.transl.numpy()
    arrays["photo_expression"] = _wide(photo.expression, avatar).numpy()


def _pack_cloth(cloth: Cloth, arrays: Arrays, keep: Any) -> None:
    """The baked shapes, who follows which node, and how offsets turn what lies around them."""
    baked, nodes, slopes = cloth.correctives, cloth.nodes, cloth.slopes
    keep("cloth_shapes", quantize_signed(baked.shapes.flatten(1).numpy(), np.int16))
    arrays["cloth_weights"] = baked.weights.numpy()
    arrays["cloth_anchor"] = baked.anchor.numpy()
    arrays["cloth_holders"] = nodes.holder_ids.numpy().astype(np.uint16)
    arrays["cloth_shares"] = quantize_shares(nodes.shares.numpy())
    arrays["cloth_neighbors"] = slopes.neighbor_ids.numpy().astype(np.uint16)
    arrays["cloth_gains"] = slopes.gains.flatten(1).numpy().astype(np.float32)


def _wide(expression: Tensor, avatar: Avatar) -> Tensor:
    """Fill up with zeros to as many coefficients as the body has."""
    missing = avatar.body.exprdirs.shape[2] - expression.shape[-1]
    return torch.nn.functional.pad(expression, (0, missing))
