"""The plain baseline: the fitted naked body, the photo painted on it, moved by linear skinning."""

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.spatial import cKDTree
from torch import Tensor

from persona.avatar import Avatar
from persona.body.skeleton import JOINT_IDS
from persona.body.skinning import skin_points
from persona.core.types import Faces, Image, Mask
from persona.evaluation.avatar_drawer import placement_of
from persona.evaluation.methods import SUPERSAMPLING, Drawn, Placement, averaged
from persona.evaluation.subjects import Subject, SubjectFrame
from persona.geometry.cameras import Camera
from persona.geometry.meshes import subdivision_matrix
from persona.records.body_params import rest_params
from persona.rendering.body_maps import draw_body_maps, vertex_normals, visible_points

LEVELS: Final = 2
"""Times the body's triangles are split: 219,368 vertices carry the photo's colours."""
FACING: Final = 0.2
"""Least cosine between normal and view at which the photo shows a vertex."""
RIM_PX: Final = 2
"""Pixels of the mask's rim whose colour is mixed with the background."""
FLAT: Final = 0.15
"""How far front and back are apart when a colour is looked for that the photo does not show [-]."""
HEAD_SHARE: Final = 0.5
"""What the head carries by more is not flat: no face is copied to the back of the head."""
LIMB_M: Final = 1.0
"""How far away another limb counts [m]."""
LIMBS: Final = (
    ("left_shoulder", "left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow", "right_wrist"),
    ("left_hip", "left_knee", "left_ankle", "left_foot"),
    ("right_hip", "right_knee", "right_ankle", "right_foot"),
    ("neck", "head", "jaw"),
)
"""Joints whose skin belongs together; the trunk is the rest."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RigidDrawer:
    """Draws a textured naked body; see `methods.Drawer`."""

    placement: Placement
    """Body, shape, and where it stands."""
    rest: Float[Tensor, "n 3"]
    """T-pose [m]."""
    weights: Float[Tensor, "n 55"]
    """Skinning shares."""
    faces: Faces
    """Of the finer mesh."""
    colors: Float[Tensor, "n 3"]
    """Of each vertex, sRGB."""

    @classmethod
    def of(cls, avatar: Avatar, subject: Subject, mask: Mask) -> "RigidDrawer":
        """Paint the photo onto the body that was fitted to it.

        What the photo does not show takes the colour of what it shows in front of it, on the same
        limb; the head takes the nearest.

        Args:
            avatar: Whose body, pose in the photo and camera; its Gaussians are not looked at.
            subject: Whose photo.
            mask: Where the person is in the photo.
        """
        body, identity = avatar.body, avatar.identity
        faces, finer = subdivision_matrix(body.faces, body.vertex_count, LEVELS)

        def refined(values: Tensor) -> Tensor:
            return torch.from_numpy((finer @ values.double().numpy()).astype(np.float32))

        with torch.no_grad():
            shaped = replace(rest_params(), betas=identity.betas)
            rest, posed = (
                body.forward(
                    params,
                    joint_offsets=identity.joint_offsets,
                    vertex_offsets=identity.vertex_offsets,
                )
                for params in (shaped, avatar.photo_params)
            )
        weights = refined(body.weights)
        vertices = refined(posed.vertices)
        camera = avatar.photo_camera
        seen = _seen(vertices, faces, camera, mask)
        colors = _sampled(subject.photo.rgb, camera, vertices)
        return cls(
            placement=placement_of(avatar, subject),
            rest=refined(rest.rest_vertices),
            weights=weights,
            faces=faces,
            colors=_completed(colors, seen, refined(rest.rest_vertices), weights),
        )

    def draw(
        self, frame: SubjectFrame, *, camera: Camera | None = None, maps: bool = False
    ) -> Drawn:
        """Draw a frame."""
        placement = self.placement
        params = replace(placement.params(frame), betas=placement.identity.betas)
        view = placement.camera(frame, camera)
        with torch.no_grad():
            bones = placement.body.articulate(
                params, joint_offsets=placement.identity.joint_offsets
            ).T_posed_rest
            vertices = skin_points(self.rest, bones, self.weights)
        if maps:
            plain = draw_body_maps(vertices, self.faces, view)
            color = plain.gather(self.faces, self.colors)
            depth = plain.depth / placement.scale
            return Drawn(color=color, alpha=plain.mask.float(), depth=depth, normal=plain.normal)
        fine = draw_body_maps(vertices, self.faces, view.scaled(SUPERSAMPLING))
        return averaged(fine.gather(self.faces, self.colors), fine.mask.float())


def _seen(
    vertices: Float[Tensor, "n 3"], faces: Faces, camera: Camera, mask: Mask
) -> Bool[ndarray, " n"]:
    """Tell which vertices the photo shows well, away from the person's rim."""
    maps = draw_body_maps(vertices, faces, camera)
    shown = visible_points(vertices, maps, camera)
    to_eye = torch.nn.functional.normalize(camera.position - vertices, dim=1)
    facing = (vertex_normals(vertices, faces) * to_eye).sum(1) > FACING
    pixels, _ = camera.project(vertices)
    inner = cv2.erode(
        (mask.numpy() > 0.5).astype(np.uint8), np.ones((2 * RIM_PX + 1, 2 * RIM_PX + 1), np.uint8)
    )
    column = pixels[:, 0].long().clamp(0, camera.width - 1).numpy()
    row = pixels[:, 1].long().clamp(0, camera.height - 1).numpy()
    return (shown & facing).numpy() & (inner[row, column] > 0)


def _sampled(rgb: Image, camera: Camera, vertices: Float[Tensor, "n 3"]) -> Float[ndarray, "n 3"]:
    """Read the photo at every vertex, bilinearly."""
    pixels, _ = camera.project(vertices)
    size = torch.tensor([camera.width, camera.height])
    grid = (2 * pixels / size - 1)[None, None]
    picture = rgb.permute(2, 0, 1)[None]
    found = torch.nn.functional.grid_sample(picture, grid, align_corners=False)
    return found[0, :, 0].T.numpy()


def _completed(
    colors: Float[ndarray, "n 3"],
    seen: Bool[ndarray, " n"],
    rest: Float[Tensor, "n 3"],
    weights: Float[Tensor, "n 55"],
) -> Float[Tensor, "n 3"]:
    """Give hidden vertices the colour of the nearest seen one, front and back nearly the same."""
    limb = torch.stack(
        [weights[:, [JOINT_IDS[name] for name in names]].sum(1) for names in LIMBS], 1
    ).numpy()
    place = rest.numpy() * np.array([1.0, 1.0, FLAT], np.float32)
    head = limb[:, -1] > HEAD_SHARE
    place[head, 2] = rest.numpy()[head, 2]
    place = np.concatenate([place, LIMB_M * (limb > HEAD_SHARE)], 1)
    nearest = cKDTree(place[seen]).query(place[~seen])[1]
    whole = colors.copy()
    whole[~seen] = colors[seen][nearest]
    return torch.from_numpy(whole).float().clamp(0, 1)
