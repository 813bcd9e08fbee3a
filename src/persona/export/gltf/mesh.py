"""An avatar as one rigged glTF of triangles: a textured body, and sheets for hair and skirts."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from persona.avatar.avatar import Avatar, neutral_vertices
from persona.body.skinning import blend_transforms
from persona.core.errors import InputError
from persona.core.types import Faces
from persona.export.gltf.document import TRIANGLES, VERTICES, GltfDocument
from persona.export.gltf.expressions import Expressions, add_targets, expressions_of
from persona.export.gltf.rig import (
    SLOTS,
    GltfRig,
    add_animation,
    add_rig,
    add_skin_weights,
    named_apart,
)
from persona.export.surface.coloring import PhotoView, painter_of
from persona.export.surface.dressed import dressing
from persona.export.surface.shells import Shells, shell_weights, shells_of
from persona.export.surface.texture import TEXELS, texels_of
from persona.geometry.meshes import vertex_normals
from persona.images.colors import to_linear
from persona.records.motion import Motion
from persona.records.notice import Notice

UNLIT: Final = "KHR_materials_unlit"
QUALITY: Final = 92
"""Of the texture's JPEG."""


@dataclass(frozen=True, kw_only=True)
class MeshSurface:
    """What the file shows, at rest in the body's frame without expression."""

    body_vertices: Float[Tensor, "v 3"]
    """The body, dressed [m]."""
    texture: np.ndarray
    """Rows, columns, sRGB bytes."""
    shells: Shells
    """Sheets beside it."""
    shell_weights: Float[Tensor, "w 55"]
    """Who carries them."""
    shell_colors: Float[Tensor, "w 3"]
    """sRGB in [0, 1]."""


def mesh_surface(avatar: Avatar, *, texels: int = TEXELS) -> MeshSurface:
    """Turn Gaussians into triangles with colours.

    Raises:
        InputError: The body's file has no texture coordinates.
    """
    body, identity = avatar.body, avatar.identity
    if not len(body.uv_faces):
        raise InputError(
            f"the body {body.name} has no texture coordinates",
            why="a textured mesh needs them (vt and ft in an SMPL-X file)",
            fix="export --to glb instead, or create the avatar on a body that has them",
        )
    offsets = dressing(avatar)
    rest = neutral_vertices(body, identity) + offsets
    photo = replace(avatar.photo_params, betas=identity.betas)
    posed = body.forward(
        photo,
        joint_offsets=identity.joint_offsets,
        vertex_offsets=identity.vertex_offsets + offsets,
    )
    view = PhotoView(avatar=avatar)
    map_ = texels_of(body, texels)

    def over_body(vertices: Tensor) -> tuple[Tensor, Tensor]:
        normals = map_.gather(body.faces, vertex_normals(vertices, body.faces))
        unit = torch.nn.functional.normalize(normals, dim=1)
        return map_.gather(body.faces, vertices), unit

    colors = painter_of(avatar, avatar.binding.face_ids >= 0).colors_at(*over_body(rest))
    colors = view.over(colors, *over_body(posed.vertices))
    shells = shells_of(avatar)
    weights = shell_weights(avatar, shells)
    return MeshSurface(
        body_vertices=rest,
        texture=map_.picture(colors),
        shells=shells,
        shell_weights=weights,
        shell_colors=_shell_colors(avatar, shells, weights, posed.T_posed_rest, view),
    )


def write_mesh_glb(
    avatar: Avatar,
    motions: Sequence[Motion],
    path: Path,
    notice: Notice,
    *,
    texels: int = TEXELS,
) -> MeshSurface:
    """Write the person in T-pose as triangles, with skeleton, expressions and motions.

    Colours carry the light of the photo and are shown as they are (KHR_materials_unlit). Each
    vertex hangs on four bones at most, which every engine reads; see `splats.write_splat_glb`
    for what else posing knows that a file cannot say.

    Args:
        avatar: Who.
        motions: Performed by this person; animations.
        path: Where to.
        notice: Provenance and terms.
        texels: Rows and columns of the texture.

    Returns:
        What was written.

    Raises:
        InputError: The body's file has no texture coordinates.
    """
    surface = mesh_surface(avatar, texels=texels)
    document = GltfDocument(notice)
    document.use_extension(UNLIT)
    rig = add_rig(document, avatar)
    shapes = expressions_of(avatar, motions)
    node = _add_body(document, rig, avatar, surface, shapes)
    if len(surface.shells.vertices):
        _add_shells(document, rig, surface)
    animates = len(shapes.names) > shapes.unit_count
    for motion in named_apart(motions):
        faces = [(node, shapes.weights(motion))] if animates else []
        add_animation(document, rig, motion, faces=faces)
    document.write(path)
    return surface


def four_bones(
    weights: Float[Tensor, "v 55"],
) -> tuple[Int[Tensor, "v 4"], Float[Tensor, "v 4"]]:
    """Keep the four largest shares of each vertex, rows sum to 1."""
    kept, ids = weights.topk(SLOTS, dim=1)
    return ids, kept / kept.sum(1, keepdim=True)


def _shell_colors(
    avatar: Avatar,
    shells: Shells,
    weights: Float[Tensor, "w 55"],
    T_posed_rest: Float[Tensor, "55 4 4"],
    view: PhotoView,
) -> Float[Tensor, "w 3"]:
    if not len(shells.vertices):
        return torch.zeros(0, 3)
    normals = vertex_normals(shells.vertices, shells.faces)
    paint = painter_of(avatar, avatar.binding.face_ids < 0)
    colors = paint.colors_at(shells.vertices, normals)
    linear, shift = blend_transforms(T_posed_rest, weights)
    posed = (linear @ shells.vertices[..., None])[..., 0] + shift
    return view.over(colors, posed, vertex_normals(posed, shells.faces))


def _add_body(
    document: GltfDocument,
    rig: GltfRig,
    avatar: Avatar,
    surface: MeshSurface,
    shapes: Expressions,
) -> int:
    body = avatar.body
    # A vertex on a seam of the texture is written once for each place it has there.
    pairs = torch.stack([body.faces.flatten(), body.uv_faces.flatten()], 1)
    (ids, uv_ids), faces = _unique(pairs)
    face = body.exprdirs[..., : len(avatar.photo_params.expression)]
    rest = surface.body_vertices + face @ avatar.photo_params.expression
    attributes = _geometry(document, rig, rest, body.faces, ids)
    coordinates = body.uv[uv_ids] * torch.tensor([1.0, -1.0]) + torch.tensor([0.0, 1.0])
    attributes["TEXCOORD_0"] = document.add_array(coordinates.numpy(), "VEC2", target=VERTICES)
    attributes |= add_skin_weights(document, *four_bones(body.weights[ids]))
    view = document.add_view(_jpeg(surface.texture, document.note))
    image = document.add("images", {"bufferView": view, "mimeType": "image/jpeg", "name": "skin"})
    texture = document.add("textures", {"source": image})
    material = _material(document, "body", {"baseColorTexture": {"index": texture}})
    primitive = _triangles(document, faces.reshape(-1, 3), attributes, material)
    mesh: dict[str, Any] = {"name": "body", "primitives": [primitive]}
    if shapes.names:
        primitive["targets"] = add_targets(document, shapes.offsets[ids])
        mesh["weights"] = [0.0] * len(shapes.names)
        mesh["extras"] = {"targetNames": list(shapes.names)}
    return _show(document, rig, mesh)


def _add_shells(document: GltfDocument, rig: GltfRig, surface: MeshSurface) -> int:
    shells = surface.shells
    everyone = torch.arange(len(shells.vertices))
    attributes = _geometry(document, rig, shells.vertices, shells.faces, everyone)
    linear = (to_linear(surface.shell_colors) * 65535).round().clamp(0, 65535)
    opaque = torch.cat([linear, torch.full((len(linear), 1), 65535.0)], 1)
    words = opaque.numpy().astype(np.uint16)
    attributes["COLOR_0"] = document.add_array(words, "VEC4", target=VERTICES, normalized=True)
    attributes |= add_skin_weights(document, *four_bones(surface.shell_weights))
    primitive = _triangles(document, shells.faces, attributes, _material(document, "shells", {}))
    return _show(document, rig, {"name": "shells", "primitives": [primitive]})


def _geometry(
    document: GltfDocument,
    rig: GltfRig,
    vertices: Float[Tensor, "v 3"],
    faces: Faces,
    ids: Int[Tensor, " w"],
) -> dict[str, int]:
    """Write places and normals of the vertices ``ids``."""
    places = rig.lifted(vertices)[ids.numpy()]
    normals = vertex_normals(vertices, faces)[ids]
    # In no triangle of any size: any unit normal will do.
    normals = torch.where(normals.norm(dim=1, keepdim=True) > 0.5, normals, torch.eye(3)[1])
    return {
        "POSITION": document.add_array(places, "VEC3", target=VERTICES, bounds=True),
        "NORMAL": document.add_array(normals.numpy(), "VEC3", target=VERTICES),
    }


def _material(document: GltfDocument, name: str, color: dict[str, Any]) -> int:
    item = {
        "name": name,
        "pbrMetallicRoughness": {**color, "metallicFactor": 0.0, "roughnessFactor": 1.0},
        "doubleSided": True,
        "extensions": {UNLIT: {}},
    }
    return document.add("materials", item)


def _triangles(
    document: GltfDocument, faces: Tensor, attributes: dict[str, int], material: int
) -> dict[str, Any]:
    flat = faces.flatten().numpy().astype(np.uint32)
    indices = document.add_array(flat, "SCALAR", target=TRIANGLES)
    return {"attributes": attributes, "indices": indices, "material": material}


def _show(document: GltfDocument, rig: GltfRig, mesh: dict[str, Any]) -> int:
    index = document.add("meshes", mesh)
    node = document.add("nodes", {"name": mesh["name"], "mesh": index, "skin": rig.skin})
    document.show(node)
    return node


def _unique(pairs: Int[Tensor, "n 2"]) -> tuple[Int[Tensor, "2 m"], Int[Tensor, " n"]]:
    found, inverse = torch.unique(pairs, dim=0, return_inverse=True)
    return found.T, inverse


def _jpeg(picture: np.ndarray, note: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="JPEG", quality=QUALITY, comment=note.encode())
    return file.getvalue()
