"""An avatar as one rigged glTF of Gaussians: KHR_gaussian_splatting, skin, expressions, motions.

References:
    Khronos Group, KHR_gaussian_splatting, kernel ``ellipse``. It says nothing about skins; ours
    is plain glTF beside it, and readers without skins show the stored pose.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar.avatar import Avatar
from persona.avatar.binding import carry
from persona.export.gltf.document import VERTICES, GltfDocument
from persona.export.gltf.expressions import Expressions, add_targets, expressions_of
from persona.export.gltf.rig import GltfRig, add_animation, add_rig, add_skin_weights, named_apart
from persona.export.ply import MIN_SCALE, SH_DC
from persona.images.colors import to_linear
from persona.records.motion import Motion
from persona.records.notice import Notice

EXTENSION: Final = "KHR_gaussian_splatting"
POINTS: Final = 0
"""glTF's number for a primitive of points."""


def write_splat_glb(avatar: Avatar, motions: Sequence[Motion], path: Path, notice: Notice) -> None:
    """Write the person in T-pose with everything that moves them.

    The stored face is the photo's. Bones carry Gaussians by linear blend skinning, as ours do;
    what our posing adds to that, a file cannot say: the body's pose correctives, and what clothes
    have learned.

    Args:
        avatar: Who.
        motions: Performed by this person, see `animation.performance.perform`; animations.
        path: Where to.
        notice: Provenance and terms.
    """
    document = GltfDocument(notice)
    document.use_extension(EXTENSION)
    rig = add_rig(document, avatar)
    shapes = expressions_of(avatar, motions)
    primitive = _primitive(document, rig, avatar, shapes)
    item: dict[str, Any] = {"name": path.stem, "primitives": [primitive]}
    if shapes.names:
        item |= {
            "weights": [0.0] * len(shapes.names),
            "extras": {"targetNames": list(shapes.names)},
        }
    mesh = document.add("meshes", item)
    node = document.add("nodes", {"name": path.stem, "mesh": mesh, "skin": rig.skin})
    document.show(node)
    animates = len(shapes.names) > shapes.unit_count
    for motion in named_apart(motions):
        faces = [(node, shapes.weights(motion))] if animates else []
        add_animation(document, rig, motion, faces=faces)
    document.write(path)


def rest_means(avatar: Avatar) -> Float[Tensor, "n 3"]:
    """Give the Gaussians' centres in T-pose with the photo's face, in the body's frame [m]."""
    photo = avatar.photo_params.expression
    flesh = avatar.body.exprdirs[..., : len(photo)] @ photo
    return avatar.canonical.means + carry(avatar.binding, avatar.body.faces, flesh)


def _primitive(
    document: GltfDocument, rig: GltfRig, avatar: Avatar, shapes: Expressions
) -> dict[str, Any]:
    looks = avatar.canonical
    quats = torch.nn.functional.normalize(looks.quats_wxyz, dim=1)[:, [1, 2, 3, 0]]
    scales = looks.log_scales.exp().clamp(min=MIN_SCALE)

    def write(values: Tensor, kind: Any, **more: Any) -> int:
        return document.add_array(values.float().numpy(), kind, target=VERTICES, **more)

    points = torch.cat([to_linear(looks.colors), looks.opacities[:, None]], 1).clamp(0, 1)
    fallback = (points * 255).round().to(torch.uint8).numpy()
    positions = rig.lifted(rest_means(avatar))
    attributes = {
        "POSITION": document.add_array(positions, "VEC3", target=VERTICES, bounds=True),
        "COLOR_0": document.add_array(fallback, "VEC4", target=VERTICES, normalized=True),
        f"{EXTENSION}:ROTATION": write(quats, "VEC4"),
        f"{EXTENSION}:SCALE": write(scales, "VEC3"),
        f"{EXTENSION}:OPACITY": write(looks.opacities.clamp(0, 1), "SCALAR"),
        f"{EXTENSION}:SH_DEGREE_0_COEF_0": write((looks.colors - 0.5) / SH_DC, "VEC3"),
        **add_skin_weights(document, avatar.binding.bone_ids, avatar.binding.bone_weights),
    }
    said = {
        "kernel": "ellipse",
        "colorSpace": "srgb_rec709_display",
        "projection": "perspective",
        "sortingMethod": "cameraDistance",
    }
    primitive = {"mode": POINTS, "attributes": attributes, "extensions": {EXTENSION: said}}
    if not shapes.names:
        return primitive
    flat = carry(avatar.binding, avatar.body.faces, shapes.offsets.flatten(1))
    offsets = flat.unflatten(1, (3, len(shapes.names)))
    return {**primitive, "targets": add_targets(document, offsets)}
