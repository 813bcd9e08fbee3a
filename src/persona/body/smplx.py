"""SmplxBody: an SMPL-X model as tensors, and the posed body it gives."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.body.correctives import (
    CorrectiveBlock,
    blocks_at,
    dense_directions,
    pose_correctives,
)
from persona.body.face_units import FaceUnits
from persona.body.hand_pca import HandPca
from persona.body.landmarks import Landmarks
from persona.body.regions import Regions
from persona.body.skeleton import PARENTS, bone_group_matrix
from persona.body.skinning import blend_transforms, bone_transforms
from persona.core.checks import check_shape
from persona.core.moving import moved
from persona.core.types import Faces
from persona.geometry.rotations import axis_angle_to_matrix
from persona.records.body_params import BodyParams


@dataclass(frozen=True, eq=False, kw_only=True)
class BodyPose:
    """A posed body; leading axes are those of the parameters."""

    vertices: Float[Tensor, "*batch v 3"]
    """Posed skin [m], world frame."""
    joints: Float[Tensor, "*batch 55 3"]
    """Posed joints [m], world frame."""
    rest_vertices: Float[Tensor, "*batch v 3"]
    """T-pose with shape, expression, bone lengths and vertex offsets, no correctives [m]."""
    rest_joints: Float[Tensor, "*batch 55 3"]
    """T-pose joints with shape and bone lengths [m]."""
    pose_correctives: Float[Tensor, "*batch v 3"]
    """Added to the rest vertices before skinning because of the pose [m]."""
    T_posed_rest: Float[Tensor, "*batch 55 4 4"]
    """Takes rest points to the world, translation included."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Articulation:
    """How a body is bent, without its posed skin; leading axes are those of the parameters."""

    T_posed_rest: Float[Tensor, "*batch 55 4 4"]
    """Takes rest points to the world, translation included."""
    flesh: Float[Tensor, "*batch v 3"]
    """Added to the rest vertices by expression and pose correctives, before skinning [m]."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SmplxBody:
    """An SMPL-X model. Make one with `load_body`; treat its tensors as constants.

    Example:
        >>> from persona.body import load_body
        >>> from persona.records.body_params import rest_params
        >>> body = load_body()
        >>> body.forward(rest_params()).joints.shape
        torch.Size([55, 3])
    """

    v_template: Float[Tensor, "v 3"]
    """Mean person in T-pose [m]."""
    shapedirs: Float[Tensor, "v 3 s"]
    """Change per beta [m]."""
    exprdirs: Float[Tensor, "v 3 e"]
    """Change per expression coefficient [m]."""
    correctives: tuple[CorrectiveBlock, ...]
    """Pose correctives, one block per joint that has any."""
    J_regressor: Float[Tensor, "55 w"]
    """Joints from the vertices of the whole body."""
    joints_template: Float[Tensor, "55 3"]
    """Joints of the mean person [m]."""
    joint_dirs: Float[Tensor, "55 3 c"]
    """Change of the joints per beta, then per expression coefficient [m]."""
    weights: Float[Tensor, "v 55"]
    """Skinning weights; rows sum to one."""
    stretch: Float[Tensor, "v 55"]
    """Share of each joint's rest displacement that a vertex follows; rows sum to one."""
    parents: Int[Tensor, " 55"]
    """Parent of each joint; -1 for the pelvis."""
    faces: Faces
    """Triangles, counter-clockwise from outside."""
    uv: Float[Tensor, "t 2"]
    """Texture coordinates in [0, 1], origin bottom left."""
    uv_faces: Int[Tensor, "g 3"]
    """Texture coordinate ids of each triangle's corners."""
    regions: Regions
    """Part labels and named vertex sets."""
    landmarks: Landmarks
    """What the detectors' keypoints correspond to."""
    face_units: FaceUnits
    """The 52 ARKit facial shapes."""
    mirror_vertices: Int[Tensor, " m"]
    """The vertex on the other side, for each vertex of the whole body; empty when unknown."""
    digest: str
    """SHA-256 of the file, hexadecimal."""
    name: str = "open_body"
    """What avatars call it: the file's name without its ending."""
    hands: HandPca
    """Hands by principal components; empty for a file without."""

    @property
    def vertex_count(self) -> int:
        """Vertices of this body, or of this subset."""
        return self.v_template.shape[0]

    def forward(
        self,
        params: BodyParams,
        *,
        joint_offsets: Float[Tensor, "*#batch 55 3"] | None = None,
        vertex_offsets: Float[Tensor, "*#batch v 3"] | None = None,
        with_pose_correctives: bool = True,
    ) -> BodyPose:
        """Shape, bend and place the body. Differentiable in everything that is passed.

        Args:
            params: Shape, pose and expression; fields broadcast over leading axes.
            joint_offsets: Added to the regressed rest joints [m]; the skin follows along the bones.
            vertex_offsets: Added to the rest vertices [m].
            with_pose_correctives: Leave False where millimetres of skin do not matter.

        Returns:
            The posed body, with the leading axes of ``params``.
        """
        coefficients = self._coefficients(params)
        rest_joints = self._rest_joints(coefficients)
        rest = self._rest_vertices(coefficients)
        if joint_offsets is not None:
            rest_joints = rest_joints + joint_offsets
            rest = rest + self.stretch @ joint_offsets
        if vertex_offsets is not None:
            rest = rest + vertex_offsets
        batch = torch.broadcast_shapes(_batch_of(params), rest.shape[:-2], rest_joints.shape[:-2])
        rest = rest.expand(*batch, -1, -1)
        rest_joints = rest_joints.expand(*batch, -1, -1)
        rotations, bones = _bend(params, rest_joints)
        bulges = torch.zeros_like(rest)
        if with_pose_correctives:
            bulges = self._bulges(rotations)
        linear, shift = blend_transforms(bones, self.weights)
        vertices = (linear @ (rest + bulges)[..., None])[..., 0] + shift
        joints = (bones[..., :3, :3] @ rest_joints[..., None])[..., 0] + bones[..., :3, 3]
        return BodyPose(
            vertices=vertices,
            joints=joints,
            rest_vertices=rest,
            rest_joints=rest_joints,
            pose_correctives=bulges,
            T_posed_rest=bones,
        )

    def articulate(
        self, params: BodyParams, *, joint_offsets: Float[Tensor, "*#batch 55 3"] | None = None
    ) -> Articulation:
        """Bend the body without skinning it: what somebody who hangs on it needs, sooner.

        Args:
            params: Shape, pose and expression; fields broadcast over leading axes.
            joint_offsets: Added to the regressed rest joints [m].

        Returns:
            The same bones as `forward`, and what moved the rest skin.
        """
        rest_joints = self._rest_joints(self._coefficients(params))
        if joint_offsets is not None:
            rest_joints = rest_joints + joint_offsets
        batch = torch.broadcast_shapes(_batch_of(params), rest_joints.shape[:-2])
        rotations, bones = _bend(params, rest_joints.expand(*batch, -1, -1))
        expression = _fit_count("expression", params.expression, self.exprdirs.shape[2])
        flesh = torch.einsum("vdc,...c->...vd", self.exprdirs, expression)
        return Articulation(T_posed_rest=bones, flesh=flesh + self._bulges(rotations))

    def subset(self, vertex_ids: Int[Tensor, " n"]) -> "SmplxBody":
        """Give a body of only these vertices (distinct ids), for fitting a few points fast.

        Its `forward` costs in proportion to the list. Faces, regions and landmarks of the whole
        body are kept and still speak of the whole body's vertices.
        """
        return replace(
            self,
            v_template=self.v_template[vertex_ids],
            shapedirs=self.shapedirs[vertex_ids],
            exprdirs=self.exprdirs[vertex_ids],
            weights=self.weights[vertex_ids],
            stretch=self.stretch[vertex_ids],
            correctives=blocks_at(self.correctives, vertex_ids, self.vertex_count),
        )

    def joint_offsets_from_bone_scales(
        self,
        log_scales: Float[Tensor, "*#batch 7"],
        betas: Float[Tensor, "*#batch s"] | None = None,
    ) -> Float[Tensor, "... 55 3"]:
        """Turn the seven bone-length scales into joint offsets for `forward`.

        Args:
            log_scales: Natural logarithm of each factor, in the order of `skeleton.BONE_GROUPS`.
            betas: Shape whose bones are scaled; None means the mean person.
        """
        groups = bone_group_matrix().to(log_scales)
        factors = (log_scales @ groups.T).exp()
        joints = self.joints_template
        if betas is not None:
            joints = joints + torch.einsum("jds,...s->...jd", self._shape_joint_dirs(betas), betas)
        batch = torch.broadcast_shapes(factors.shape[:-1], joints.shape[:-2])
        joints, factors = joints.expand(*batch, -1, -1), factors.expand(*batch, -1)
        moved = [joints[..., 0, :]]
        for joint, parent in enumerate(PARENTS[1:], start=1):
            bone = joints[..., joint, :] - joints[..., parent, :]
            moved.append(moved[parent] + bone * factors[..., joint, None])
        return torch.stack(moved, -2) - joints

    def to(self, target: torch.device | torch.dtype | str) -> "SmplxBody":
        """Move every tensor to a device, or give every floating point tensor another precision."""
        return moved(self, target)

    def _coefficients(self, params: BodyParams) -> Float[Tensor, "*batch c"]:
        """Put betas and expression side by side, zero where fewer are given than we have."""
        betas = _fit_count("betas", params.betas, self.shapedirs.shape[2])
        expression = _fit_count("expression", params.expression, self.exprdirs.shape[2])
        batch = torch.broadcast_shapes(betas.shape[:-1], expression.shape[:-1])
        return torch.cat([betas.expand(*batch, -1), expression.expand(*batch, -1)], -1)

    def _bulges(self, rotations: Tensor) -> Tensor:
        flat = rotations.reshape(-1, *rotations.shape[-3:])
        if flat.is_cuda:
            # One product with what is mostly zeros takes less than launching a block's work.
            eye = torch.eye(3, dtype=flat.dtype, device=flat.device)
            bulges = (flat - eye).flatten(1) @ self._dense_correctives
        else:
            bulges = pose_correctives(self.correctives, flat, self.vertex_count)
        return bulges.reshape(*rotations.shape[:-3], -1, 3)

    @cached_property
    def _dense_correctives(self) -> Float[Tensor, "k w"]:
        return dense_directions(self.correctives, len(self.parents), self.vertex_count)

    def _shape_joint_dirs(self, betas: Tensor) -> Float[Tensor, "55 3 s"]:
        return self.joint_dirs[..., : betas.shape[-1]]

    def _rest_joints(self, coefficients: Tensor) -> Tensor:
        return self.joints_template + torch.einsum("jdc,...c->...jd", self.joint_dirs, coefficients)

    def _rest_vertices(self, coefficients: Tensor) -> Tensor:
        count = self.shapedirs.shape[2]
        shape, expression = coefficients[..., :count], coefficients[..., count:]
        by_shape = torch.einsum("vdc,...c->...vd", self.shapedirs, shape)
        return (
            self.v_template + by_shape + torch.einsum("vdc,...c->...vd", self.exprdirs, expression)
        )


def _fit_count(name: str, value: Tensor, count: int) -> Tensor:
    """Pad with zeros; more coefficients than the model has are refused."""
    check_shape(name, value[..., count:].flatten(), (0,))
    return torch.nn.functional.pad(value, (0, count - value.shape[-1]))


def _batch_of(params: BodyParams) -> torch.Size:
    """Give the leading axes that the fields of the parameters broadcast to."""
    return torch.broadcast_shapes(
        params.full_pose.shape[:-2],
        params.betas.shape[:-1],
        params.expression.shape[:-1],
        params.transl.shape[:-1],
    )


def _bend(params: BodyParams, rest_joints: Tensor) -> tuple[Tensor, Tensor]:
    """Turn the joints: rotations (*batch, 55, 3, 3), and bones with the translation."""
    batch = rest_joints.shape[:-2]
    rotations = axis_angle_to_matrix(params.full_pose.expand(*batch, -1, -1))
    flat = rotations.reshape(-1, *rotations.shape[-3:])
    bones = bone_transforms(flat, rest_joints.reshape(-1, *rest_joints.shape[-2:]))
    return rotations, _translated(bones.reshape(*batch, -1, 4, 4), params.transl)


def _translated(bones: Tensor, transl: Tensor) -> Tensor:
    shift = torch.nn.functional.pad(transl[..., None], (3, 0, 0, 1))
    return bones + shift[..., None, :, :]
