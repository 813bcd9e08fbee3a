"""Spread Gaussians over the dressed body and its shells by area and importance."""

import math
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial import cKDTree
from torch import Tensor

from persona.avatar.binding import Binding, bind_to_triangles, detach_from_mesh, join_bindings
from persona.avatar.initialize import NEIGHBORS, sample_surface, surfel_axes
from persona.body.skinning import blend_transforms
from persona.optimization.clothing import DressedBody
from persona.optimization.cloud import PhotoCloud
from persona.optimization.limbs import LIMB_OF_JOINT, Limb
from persona.optimization.shells import Shell
from persona.optimization.silhouette import vertex_normals
from persona.optimization.view import WorkingView
from persona.optimization.visibility import sample_image

IMPORTANCE = {
    Limb.HEAD: 4.0,
    Limb.LEFT_HAND: 2.5,
    Limb.RIGHT_HAND: 2.5,
    Limb.LEFT_FOOT: 1.5,
    Limb.RIGHT_FOOT: 1.5,
}
"""Gaussians per area compared with torso and limbs; people look at faces, then at hands."""
HAIR_IMPORTANCE = 1.6
"""The same for the shell of hair."""
DETAIL_IMPORTANCE = 2.0
"""How much more where the photo is busy: stripes, prints, laces."""
DETAIL_SIGMA = 2.0
"""Reach of the contrast that counts as detail [px]."""
DETAIL_CONTRAST = 0.15
"""Standard deviation of luminance that counts as fully busy [sRGB]."""
CUFF = 0.035
"""How far a sleeve may reach over the root of a hand [m]."""
HIDDEN_IMPORTANCE = 0.2
"""The same for legs under a skirt: seen only when it is lifted."""
INNER_IMPORTANCE = 1.0
"""The same for skin inside trouser legs and sleeves, seen where they ride up."""
WIDEST_INNER = 0.007
"""Largest deviation of one of these [m]: a shank is round, and a wider one would stick out."""
FRONT_IMPORTANCE = 1.7
"""The same for what faces the photo's camera: there is detail to carry."""

Made = tuple[Tensor, Tensor, Binding, Tensor, Tensor, Tensor]
"""Rest places, places on the naked body, binding, limb, hair flag and cover of some Gaussians."""
Maker = Callable[[Tensor, Tensor, Tensor], Made]
"""Makes them of centres, triangles and places on these."""


def populate(dressed: DressedBody, view: WorkingView, *, count: int, seed: int) -> PhotoCloud:
    """Place ``count`` Gaussians on body and shells.

    Args:
        dressed: Surfaces in the photo's pose.
        view: The photo's camera.
        count: Gaussians in all.
        seed: Start of the sampling sequence.
    """
    to_world = view.camera.T_camera_world[:3, :3].T
    meshes = [(dressed.vertices, dressed.faces, _body_importance(dressed, view))]
    makers: list[Maker] = [partial(_on_body, dressed, dressed.rest_vertices)]
    for shell in dressed.shells:
        points = torch.from_numpy(shell.vertices).float() @ to_world.T + view.camera.position
        faces = torch.from_numpy(shell.faces.copy())
        importance = torch.full((len(faces),), HAIR_IMPORTANCE if shell.is_hair else 1.0)
        meshes.append((points, faces, importance * _facing_factor(points, faces, view)))
        makers.append(partial(_on_shell, dressed, shell, points))
    on_head = (dressed.limbs[dressed.faces.numpy()[dressed.inner_faces]] == Limb.HEAD).all(1)
    for rows in (dressed.inner_faces[~on_head], dressed.inner_faces[on_head]):
        lining = torch.from_numpy(rows)
        importance = torch.full((len(lining),), INNER_IMPORTANCE)
        meshes.append((dressed.inner, dressed.faces[lining], importance))
        makers.append(partial(_inside, dressed, lining))
    masses = torch.tensor([float((_areas(v, f) * w).sum()) for v, f, w in meshes])
    shares = torch.floor(masses / masses.sum() * count).long()
    shares[1:][shares[1:] <= NEIGHBORS] = 0  # Too few to tell how far apart they are.
    shares[0] += count - shares.sum()
    clouds = []
    for (vertices, faces, importance), make, share in zip(meshes, makers, shares, strict=True):
        if share == 0:
            continue
        samples = sample_surface(vertices, faces, importance, int(share), seed=seed)
        corners = faces[samples.face_ids]
        weights = samples.barycentric[..., None]
        normals = torch.from_numpy(vertex_normals(vertices.numpy(), faces.numpy())).float()
        means = (vertices[corners] * weights).sum(1)
        normal = torch.nn.functional.normalize((normals[corners] * weights).sum(1), dim=1)
        quats, log_scales = surfel_axes(means, normal)
        made = make(means, samples.face_ids, samples.barycentric)
        inner = torch.full((int(share),), make in makers[-2:])
        log_scales = log_scales.clamp(max=math.log(WIDEST_INNER)) if inner.any() else log_scales
        clouds.append((means, normal, quats, log_scales, *made, inner))
    return _join(clouds)


def _body_importance(dressed: DressedBody, view: WorkingView) -> Float[Tensor, " f"]:
    by_limb = np.array([IMPORTANCE.get(Limb(limb), 1.0) for limb in range(len(Limb))])
    by_vertex = torch.from_numpy(by_limb[dressed.limbs]).float()
    under = torch.from_numpy(dressed.under).float()
    hidden = under[dressed.faces].mean(1)
    by_face = by_vertex[dressed.faces].mean(1)
    favor = _facing_factor(dressed.vertices, dressed.faces, view)
    shown = by_face * (_as_mirrored(dressed, favor) if dressed.far_side else favor)
    return hidden * HIDDEN_IMPORTANCE + (1 - hidden) * shown


def _as_mirrored(dressed: DressedBody, favor: Float[Tensor, " f"]) -> Float[Tensor, " f"]:
    """Favour both halves of a turned head alike: the far one shows the near one's detail."""
    head = np.where((dressed.limbs[dressed.faces.numpy()] == Limb.HEAD).all(1))[0]
    middle = dressed.naked_rest[dressed.faces[head]].mean(1).double().numpy()
    twin = cKDTree(middle).query(middle * np.array([-1.0, 1.0, 1.0]))[1]
    favor = favor.clone()
    mine = favor[head]
    favor[head] = torch.maximum(mine, mine[torch.from_numpy(twin)])
    return favor


def _facing_factor(
    vertices: Float[Tensor, "v 3"], faces: Tensor, view: WorkingView
) -> Float[Tensor, " f"]:
    """Favour triangles that face the camera, and among them those whose pixels hold detail."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normal = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=1)
    middle = (a + b + c) / 3
    toward = torch.nn.functional.normalize(view.camera.position - middle, dim=1)
    facing = ((normal * toward).sum(1) / 0.4).clamp(0, 1)
    pixels, _ = view.camera.project(middle)
    detail = sample_image(_detail(view)[..., None], pixels)[:, 0]
    return 1 + (FRONT_IMPORTANCE * (1 + DETAIL_IMPORTANCE * detail) - 1) * facing


def _detail(view: WorkingView) -> Float[Tensor, "h w"]:
    """Measure how busy the photo is around every pixel, 0 to 1: local contrast of luminance."""
    gray = cv2.cvtColor(view.image.numpy(), cv2.COLOR_RGB2GRAY)
    mean = cv2.GaussianBlur(gray, (0, 0), DETAIL_SIGMA)
    square = cv2.GaussianBlur(gray * gray, (0, 0), DETAIL_SIGMA)
    contrast = np.sqrt(np.maximum(square - mean * mean, 0))
    return torch.from_numpy(np.clip(contrast / DETAIL_CONTRAST, 0, 1))


def _areas(vertices: Float[Tensor, "v 3"], faces: Tensor) -> Float[Tensor, " f"]:
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return torch.linalg.cross(b - a, c - a).norm(dim=1) / 2


def _on_body(
    dressed: DressedBody,
    rest_vertices: Tensor,
    means: Tensor,
    face_ids: Tensor,
    barycentric: Tensor,
) -> Made:
    """Give rest places, binding, limb, hair flag and cover of Gaussians on the body."""
    del means
    corners = dressed.faces[face_ids]
    weights = barycentric[..., None]
    binding = bind_to_triangles(
        face_ids,
        barycentric,
        faces=dressed.faces,
        rest_vertices=rest_vertices,
        vertex_weights=dressed.weights,
    )
    rest = (rest_vertices[corners] * weights).sum(1)
    naked = (dressed.naked_rest[corners] * weights).sum(1)
    main = corners.gather(1, barycentric.argmax(1, keepdim=True))[:, 0]
    limb = torch.from_numpy(_with_cuffs(dressed.limbs, dressed.naked_rest.numpy()))[main]
    under = (torch.from_numpy(dressed.under).float()[corners] * barycentric).sum(1)
    return rest, naked, binding, limb, torch.zeros(len(rest)), under


def _inside(
    dressed: DressedBody, lining: Tensor, means: Tensor, face_ids: Tensor, barycentric: Tensor
) -> Made:
    """The same on skin inside clothes and face: it goes with the body, and no skirt covers it."""
    faces = lining[face_ids]
    rest, naked, binding, limb, hair, under = _on_body(
        dressed, dressed.naked_rest, means, faces, barycentric
    )
    return rest, naked, binding, limb, hair, torch.zeros_like(under)


def _with_cuffs(limbs: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Count the root of each hand to its arm: sleeves reach that far, and hands are skin."""
    limbs = limbs.copy()
    reach = np.abs(rest[:, 0])
    for hand, arm in ((Limb.LEFT_HAND, Limb.LEFT_ARM), (Limb.RIGHT_HAND, Limb.RIGHT_ARM)):
        mine = limbs == hand
        limbs[mine & (reach < reach[mine].min() + CUFF)] = arm
    return limbs


def _on_shell(
    dressed: DressedBody,
    shell: Shell,
    vertices: Tensor,
    means: Tensor,
    face_ids: Tensor,
    barycentric: Tensor,
) -> Made:
    """The same for a shell; its rest place is found by undoing the photo's pose."""
    faces = torch.from_numpy(shell.faces.copy())
    vertex_weights = torch.from_numpy(shell.weights).float()
    linear, shift = blend_transforms(dressed.bones, vertex_weights)
    rest_vertices = torch.linalg.solve(linear, (vertices - shift)[..., None])[..., 0]
    on_shell = bind_to_triangles(
        face_ids,
        barycentric,
        faces=faces,
        rest_vertices=rest_vertices,
        vertex_weights=vertex_weights,
    )
    binding = detach_from_mesh(on_shell)
    dense = torch.zeros(len(means), vertex_weights.shape[1])
    dense.scatter_(1, binding.bone_ids, binding.bone_weights)
    linear, shift = blend_transforms(dressed.bones, dense)
    rest = torch.linalg.solve(linear, (means - shift)[..., None])[..., 0]
    limb = torch.from_numpy(LIMB_OF_JOINT)[dense.argmax(1)]
    # A sleeve that hangs over the hand is sleeve.
    limb = torch.where(limb == Limb.LEFT_HAND, int(Limb.LEFT_ARM), limb)
    limb = torch.where(limb == Limb.RIGHT_HAND, int(Limb.RIGHT_ARM), limb)
    place = rest
    if shell.is_tube:
        limb = torch.full_like(limb, int(Limb.SKIRT))
    if shell.is_hair:
        limb = torch.full_like(limb, int(Limb.HEAD))
        # Hair hangs down whichever way the head is turned: what lies side by side in the photo
        # belongs together.
        place = means - means.mean(0) + rest.mean(0)
    flags = torch.full((len(rest),), float(shell.is_hair))
    return rest, place, binding, limb, flags, torch.zeros(len(rest))


def _join(clouds: list[tuple]) -> PhotoCloud:
    columns = list(zip(*clouds, strict=True))
    binding = columns[6][0]
    for further in columns[6][1:]:
        binding = join_bindings(binding, further)
    means, normals, quats, log_scales, rest, naked = (torch.cat(c) for c in columns[:6])
    return PhotoCloud(
        means=means,
        normals=normals,
        quats_wxyz=quats,
        log_scales=log_scales,
        rest_means=rest,
        rest_body=naked,
        binding=binding,
        limb=torch.cat(columns[7]),
        is_hair=torch.cat(columns[8]),
        under=torch.cat(columns[9]),
        inner=torch.cat(columns[10]),
    )
