"""Dress the fitted body: shoes, cloth out to the outline, skirts, hair and webs as shells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar.avatar import neutral_vertices
from persona.body import BodyPose, SmplxBody
from persona.body.skinning import blend_transforms
from persona.core.types import Faces
from persona.kernels import rasterize_mesh
from persona.optimization.dress import (
    COVERED_SHARE,
    TRUNK,
    covered_share,
    drape_offsets,
    freedom,
    hang_heights,
    shoe_offsets,
    shown_parts,
    sleeve_looseness,
    vertex_limbs,
    wears_shoes,
)
from persona.optimization.hair_shell import hair_shell
from persona.optimization.hats import find_hat
from persona.optimization.head import bare_on_other_side, far_cheek, far_side, find_ears
from persona.optimization.hems import with_seen_hem
from persona.optimization.limbs import Limb
from persona.optimization.shells import BodyLayers, Shell
from persona.optimization.silhouette import SilhouetteFit, fit_silhouette, project, vertex_normals
from persona.optimization.skirt import HEM_REACH, Skirt, covered_by, joined_freedom, skirt_of
from persona.optimization.underlay import underlay_of, with_face
from persona.optimization.view import WorkingView
from persona.optimization.webs import web_shells
from persona.records.body_fit import BodyFit
from persona.records.garment import Garment
from persona.records.observation import Part

BELOW_CHIN_M = 0.02
"""Hair follows the head down to here below the head's lowest point [m]."""
REST_ON_BODY_M = 0.16
"""... and the torso from here on [m]."""
FACE_PIECES = ("left_eye", "right_eye", "mouth_inner", "tongue", "teeth", "ears")
"""What belongs to a head and is no skin of its face."""


@dataclass(frozen=True, kw_only=True)
class DressedBody:
    """The body in the clothes of the photo, in the photo's pose and at rest."""

    faces: Faces
    """Triangles of the body mesh."""
    vertices: Float[Tensor, "v 3"]
    """Dressed, in the photo's pose [m], world frame."""
    rest_vertices: Float[Tensor, "v 3"]
    """Dressed, in T-pose, with the photo's expression, without correctives [m]."""
    naked_rest: Float[Tensor, "v 3"]
    """The same without clothes [m]."""
    expression: Float[Tensor, "v 3"]
    """What the photo's expression and correctives add to the neutral rest vertices [m]."""
    bones: Float[Tensor, "55 4 4"]
    """Takes rest points to the photo's pose, world frame."""
    weights: Float[Tensor, "v 55"]
    """Skinning shares."""
    limbs: np.ndarray
    """A `Limb` for every vertex."""
    under: np.ndarray
    """How far a skirt covers every vertex, 0 to 1, (v,)."""
    inner: Float[Tensor, "v 3"]
    """The naked body in the photo's pose, drawn in behind its clothes [m], world frame."""
    inner_faces: np.ndarray
    """Which of its triangles trouser legs and sleeves may uncover; see `underlay`."""
    shells: tuple[Shell, ...]
    """Skirts, hair and webs; camera frame."""
    far_side: int
    """Sign of x of the half of the face that is turned away, 0 where both show."""
    front: Float[Tensor, "h w"]
    """Depth of the nearest surface, shells included [m]; infinite on background."""
    iou: float
    """Overlap of body and shells with the mask."""


def dress(
    body: SmplxBody,
    fit: BodyFit,
    view: WorkingView,
    *,
    hidden: frozenset[Limb] = frozenset(),
    garments: Sequence[Garment] = (),
) -> DressedBody:
    """Grow shoes, cloth and hair around the fitted body until it fills the mask.

    Args:
        body: The body of ``fit``.
        fit: The naked body in the photo.
        view: What it must fill.
        hidden: Hands that the photo does not show; what covers them becomes a web.
        garments: What is worn. Skirts, and dresses and coats below the waist, become surfaces of
            their own, with bare legs under them; all else is hung on the body.
    """
    posed = body.forward(
        fit.params,
        joint_offsets=fit.identity.joint_offsets,
        vertex_offsets=fit.identity.vertex_offsets,
    )
    faces, weights = body.faces.numpy(), body.weights.numpy().astype(np.float64)
    laplacian = uniform_laplacian(faces, body.vertex_count)
    naked = posed.rest_vertices
    naked_pixels, _ = view.camera.project(posed.vertices)
    resting = naked.numpy().astype(np.float64)
    parts = view.parts.numpy()
    worn = _worn_offsets(resting, faces, weights, laplacian, (naked_pixels.numpy(), parts))
    linear, shift = blend_transforms(posed.T_posed_rest, body.weights)
    worn_rest = naked + torch.from_numpy(worn).float()
    standing = (linear @ (worn_rest + posed.pose_correctives)[..., None])[..., 0] + shift
    in_camera = view.camera.to_camera(standing).numpy().astype(np.float64)
    skirts = _skirts(garments, posed, view)
    under = covered_by(skirts, resting, weights)
    hung = [skirt.hung(posed.T_posed_rest, view.camera) for skirt in skirts]
    mask = view.mask.numpy() > 0.5
    hair = view.parts.numpy() == Part.HAIR
    grow = _grower(in_camera, faces, weights, skirts, hung, view, laplacian, resting)
    body_rows = slice(0, len(in_camera))
    grown = grow()
    limbs = vertex_limbs(weights)
    is_cloth = shown_parts(naked_pixels.numpy(), view.parts.numpy()) == Part.UPPER
    looseness = sleeve_looseness(grown.height[body_rows], is_cloth, limbs)
    hang = hang_heights(resting, weights, is_cloth, looseness)
    if hang.any():
        hang = hang * (1 - under)
        grown = grow(hang=np.concatenate([hang, np.zeros(sum(len(one) for one in hung))]))
    to_world = view.camera.T_camera_world[:3, :3].T
    offsets = torch.from_numpy(grown.offsets[body_rows]).float() @ to_world.T
    rest_offsets = torch.linalg.solve(linear, offsets[..., None])[..., 0]
    dressed_camera = in_camera + grown.offsets[body_rows]
    tubes = _tubes(skirts, hung, grown.offsets[len(in_camera) :])
    shown = ~np.isin(limbs[faces], list(hidden)).any(1)
    layers = _layers(dressed_camera, faces, shown, limbs, resting, view)
    shells = _shells(mask, hair, layers, view, dressed_camera, limbs, weights, tubes)
    front, covered = _front(layers, shells, view)
    union = (covered | mask).sum()
    neutral = neutral_vertices(body, fit.identity)
    inner, inner_faces = _inside(garments, posed, body, (worn_rest + rest_offsets).numpy())
    return DressedBody(
        faces=body.faces,
        vertices=standing + offsets,
        rest_vertices=worn_rest + rest_offsets,
        naked_rest=naked,
        expression=naked - neutral + posed.pose_correctives,
        bones=posed.T_posed_rest,
        weights=body.weights,
        limbs=limbs,
        under=under,
        inner=inner,
        inner_faces=inner_faces,
        shells=tuple(shells),
        far_side=layers.far_side,
        front=torch.from_numpy(front).float(),
        iou=float((covered & mask).sum() / max(1, union)),
    )


def _inside(
    garments: Sequence[Garment], posed: BodyPose, body: SmplxBody, dressed_rest: np.ndarray
) -> tuple[Float[Tensor, "v 3"], np.ndarray]:
    """Draw the naked body in behind its clothes; where, and which triangles a hem may uncover."""
    faces, weights = body.faces.numpy(), body.weights.numpy().astype(np.float64)
    resting = posed.rest_vertices.numpy().astype(np.float64)
    standoff = ((dressed_rest - resting) * vertex_normals(resting, faces)).sum(1)
    underlay = underlay_of(garments, resting, faces, weights, standoff)
    face = (vertex_limbs(weights) == Limb.HEAD) & find_ears(resting).in_face(resting)
    face &= ~body.regions.mask(*FACE_PIECES).numpy()
    underlay = with_face(underlay, face, resting, faces, standoff)
    inset = underlay.inset[:, None] * vertex_normals(posed.vertices.numpy(), faces)
    return posed.vertices - torch.from_numpy(inset).float(), underlay.faces


def _skirts(garments: Sequence[Garment], posed: BodyPose, view: WorkingView) -> list[Skirt]:
    """Cut off what hangs around both legs, as long as the photo shows it."""
    joints, parts = posed.rest_joints.double().numpy(), view.parts.numpy()
    return [
        with_seen_hem(skirt, posed.T_posed_rest, view.camera, parts)
        for garment in garments
        if (skirt := skirt_of(garment, garments, joints)) is not None
    ]


def _worn_offsets(
    resting: np.ndarray,
    faces: np.ndarray,
    weights: np.ndarray,
    laplacian: sp.csr_matrix,
    shown: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Turn shod feet into shoes and hang cloth over a covered trunk; offsets at rest [m], (v, 3).

    ``shown`` are the pixels of the naked body's vertices and the picture of parts.
    """
    pixels, parts = shown
    worn = shoe_offsets(resting, faces, weights, laplacian, wears_shoes(pixels, parts, weights))
    if covered_share(pixels, parts, weights, TRUNK) > COVERED_SHARE:
        worn += drape_offsets(resting, faces, weights, laplacian)
    return worn


def _grower(
    in_camera: np.ndarray,
    faces: np.ndarray,
    weights: np.ndarray,
    skirts: Sequence[Skirt],
    hung: list[np.ndarray],
    view: WorkingView,
    laplacian: sp.csr_matrix,
    resting: np.ndarray,
) -> Callable[..., SilhouetteFit]:
    """Join body and skirts into one mesh that can be grown to the outline."""
    hidden = covered_by(skirts, resting, weights, shown=-HEM_REACH)
    laplacians = [uniform_laplacian(skirt.faces, len(skirt.rest)) for skirt in skirts]
    return partial(
        fit_silhouette,
        np.concatenate([in_camera, *hung]),
        _joined_faces(faces, len(in_camera), skirts),
        camera=view.camera,
        mask=view.mask.numpy() > 0.5,
        freedom=joined_freedom(freedom(weights), hidden, skirts),
        laplacian=sp.block_diag([laplacian, *laplacians], format="csr"),
    )


def _joined_faces(faces: np.ndarray, count: int, skirts: Sequence[Skirt]) -> np.ndarray:
    """Count the triangles of body and skirts through the vertices of all."""
    rows = [faces]
    for skirt in skirts:
        rows.append(skirt.faces + count)
        count += len(skirt.rest)
    return np.concatenate(rows)


def _tubes(skirts: Sequence[Skirt], hung: list[np.ndarray], offsets: np.ndarray) -> list[Shell]:
    """Make shells of skirts as they are seen in the photo."""
    shells, start = [], 0
    for skirt, vertices in zip(skirts, hung, strict=True):
        rows = slice(start, start + len(vertices))
        start = rows.stop
        shells.append(
            Shell(
                vertices=vertices + offsets[rows],
                faces=skirt.faces,
                weights=skirt.weights,
                is_hair=False,
                is_tube=True,
            )
        )
    return shells


def uniform_laplacian(faces: np.ndarray, count: int) -> sp.csr_matrix:
    """Give the graph Laplacian whose rows have 1 on the diagonal and sum to 0."""
    a = np.concatenate([faces[:, 0], faces[:, 1], faces[:, 2]])
    b = np.concatenate([faces[:, 1], faces[:, 2], faces[:, 0]])
    graph = sp.csr_matrix((np.ones(2 * len(a)), (np.r_[a, b], np.r_[b, a])), (count, count))
    graph.data[:] = 1
    degree = np.maximum(np.asarray(graph.sum(1)).ravel(), 1)
    return (sp.eye(count) - sp.diags(1 / degree) @ graph).tocsr()


def _layers(
    vertices: np.ndarray,
    faces: np.ndarray,
    shown: np.ndarray,
    limbs: np.ndarray,
    resting: np.ndarray,
    view: WorkingView,
) -> BodyLayers:
    """Look at the dressed mesh through the photo's camera, without the hands it hides."""
    ids, front = _draw(vertices, faces[shown], view)
    _, hidden = _draw(vertices, faces[~shown], view)
    face_limbs = limbs[faces[shown]]
    head_faces = (face_limbs == Limb.HEAD).all(1)
    trunk_faces = np.isin(face_limbs, (Limb.NECK, Limb.TORSO)).any(1)
    head = limbs == Limb.HEAD
    # Depths mirrored about the far end: what was farthest is nearest.
    far = vertices[:, 2].max() + vertices[:, 2].min()
    mirrored = np.concatenate([vertices[:, :2], far - vertices[:, 2:]], 1)
    trunk_mesh = faces[shown][head_faces | trunk_faces]
    pixels = project(vertices, view.camera)
    _, back = _draw(mirrored, trunk_mesh, view, pixels=pixels)
    ears = find_ears(resting)
    side = far_side(resting[head], vertices[head])
    averted = far_cheek(resting, head, side, ears)
    return BodyLayers(
        covered=ids >= 0,
        front=front,
        on_head=(ids >= 0) & head_faces[np.maximum(ids, 0)],
        on_trunk=(ids >= 0) & trunk_faces[np.maximum(ids, 0)],
        hidden_hand=hidden,
        head_back=far - back,
        head_points=vertices[head],
        averted_cheek=averted[head],
        bare_cheek=bare_on_other_side(resting, averted, pixels, view.parts.numpy())[head],
        far_side=side,
        nape=ears.nape_plane(resting[head], vertices[head]),
    )


def _draw(
    vertices: np.ndarray, faces: np.ndarray, view: WorkingView, *, pixels: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a mesh; the face of every pixel (-1 for none) and its depth (infinite for none)."""
    pixels = project(vertices, view.camera) if pixels is None else pixels
    ids, _, depth = rasterize_mesh(
        torch.from_numpy(pixels).float(),
        torch.from_numpy(vertices[:, 2].copy()).float(),
        torch.from_numpy(faces.copy()),
        width=view.camera.width,
        height=view.camera.height,
    )
    return ids.numpy(), np.where(ids.numpy() >= 0, depth.numpy(), np.inf)


def _shells(
    mask: np.ndarray,
    hair: np.ndarray,
    layers: BodyLayers,
    view: WorkingView,
    vertices: np.ndarray,
    limbs: np.ndarray,
    weights: np.ndarray,
    tubes: list[Shell],
) -> list[Shell]:
    """Make the hair's shell, then webs over whatever body, skirts and hair leave open."""
    head = vertices[limbs == Limb.HEAD]
    depth = float((head[:, 2].min() + head[:, 2].max()) / 2)
    pixels_per_m = view.camera.focal_px / depth
    chin = float(project(head, view.camera)[:, 1].max())
    shells = list(tubes)
    shell = hair_shell(
        mask,
        hair,
        layers,
        camera=view.camera,
        head_depth=depth,
        chin_row=chin + BELOW_CHIN_M * pixels_per_m,
        shoulder_row=chin + REST_ON_BODY_M * pixels_per_m,
        hat=find_hat(view.image.numpy(), hair & mask, layers.on_head & mask),
    )
    if shell is not None:
        shells.append(shell)
    _, covered = _front(layers, shells, view)
    webs = web_shells(
        mask,
        covered,
        layers,
        camera=view.camera,
        vertices=vertices,
        vertex_weights=weights,
        skin=view.parts.numpy() == Part.SKIN,
        skirted=bool(tubes),
    )
    return shells + webs


def _front(
    layers: BodyLayers, shells: list[Shell], view: WorkingView
) -> tuple[np.ndarray, np.ndarray]:
    """Merge the depth of shells into the body's; depth and coverage."""
    front = layers.front
    for shell in shells:
        if len(shell.faces) == 0:
            continue
        front = np.minimum(front, _draw(shell.vertices, shell.faces, view)[1])
    return front, np.isfinite(front)
