"""A generated person who moves: body, hair, shoes and garments as meshes, in any pose."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from persona.body import BodyPose, SmplxBody
from persona.body.skeleton import JOINT_IDS
from persona.evaluation.subjects import TrueSurface
from persona.evaluation.truth.cuts import cut_garment
from persona.evaluation.truth.fields import shell_field, tight_field
from persona.evaluation.truth.form import Form
from persona.evaluation.truth.hair_shell import hair_shell
from persona.evaluation.truth.people import Shell, TruePerson
from persona.geometry.meshes import subdivision_matrix
from persona.records.body_fit import Identity
from persona.records.body_params import BodyParams, rest_params
from persona.records.garment import Garment
from persona.synthesis.sample.clothes import shoe_field, shoes
from persona.synthesis.sample.figure import Figure
from persona.synthesis.sample.hair import grow_hair
from persona.synthesis.sample.mesh import Mesh, plain_mesh, vertex_normals, with_hem
from persona.synthesis.sample.noise import smoothstep
from persona.synthesis.sample.person import assemble, sample_pose

STRANDS = 7_000
"""Drawn hairs."""
HIDDEN = {"shoes": 0.014, "top": 0.06, "bottom": 0.16}
"""Skin farther inside a piece's edges than this is not drawn [m]; hems ride up."""
TIGHT_LIFT = 0.002
"""Strength of what lies tight on the skin [m]."""
HEM = 0.003
"""Strength of cloth that shows at its edges [m]."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Actor:
    """Everything of a person that does not change with the pose."""

    person: TruePerson
    """Who."""
    body: SmplxBody
    """The model behind."""
    form: Form
    """T-pose, as cut on."""
    figure: Figure
    """T-pose with a finer mesh, its floor at y = 0."""
    garments: tuple[Garment, ...]
    """What is simulated."""

    @classmethod
    def of(cls, person: TruePerson, body: SmplxBody) -> "Actor":
        """Dress and comb a person."""
        shaped = replace(rest_params(), betas=torch.tensor(person.look.betas))
        rest = body.forward(shaped, with_pose_correctives=False)
        form = Form.of(body, rest.vertices.numpy(), rest.joints.numpy())
        return cls(
            person=person,
            body=body,
            form=form,
            figure=assemble(body, rest, rest),
            garments=tuple(cut_garment(form, cut) for cut in person.cuts),
        )

    @cached_property
    def identity(self) -> Identity:
        """The person's shape, as animation wants it."""
        return Identity(
            betas=torch.tensor(self.person.look.betas),
            joint_offsets=torch.zeros(55, 3),
            vertex_offsets=torch.zeros(self.body.vertex_count, 3),
            body_name=self.body.name,
            body_digest=self.body.digest,
        )

    @cached_property
    def photo_params(self) -> BodyParams:
        """Standing at ease, soles at y = 0."""
        shaped = replace(rest_params(), betas=self.identity.betas)
        standing = sample_pose(self.person.look, shaped)
        low = self.body.forward(standing).vertices[:, 1].min()
        return replace(standing, transl=torch.stack([low * 0, -low, low * 0]))

    def meshes(
        self,
        posed: BodyPose,
        cloth: Float[ndarray, "v 3"],
        eye: Float[ndarray, " 3"],
    ) -> list[Mesh]:
        """Give everything that is drawn, in this order: body, shoes, hair, garments.

        Args:
            posed: The body.
            cloth: All garments' vertices, one after the other [m].
            eye: Where the camera is: hairs turn their width to it [m].
        """
        bones = posed.T_posed_rest.numpy()
        carried = [_carried(mesh, weights, bones) for mesh, weights in self._shoes]
        head = bones[JOINT_IDS["head"]]
        cap, strands = self._hair
        hair = [_moved(cap, head), _turned(_moved(strands, head), eye)]
        worn = [self._woven(k, part) for k, part in enumerate(self._split(cloth))]
        return [*self._bare(posed), *carried, *hair, *worn]

    def surface(self, posed: BodyPose, cloth: Float[ndarray, "v 3"]) -> TrueSurface:
        """Give what can be seen from outside as one mesh; hair is the hull of its strands."""
        bones = posed.T_posed_rest.numpy()
        shoes = [_carried(mesh, weights, bones) for mesh, weights in self._shoes]
        hair = _moved(self._hull, bones[JOINT_IDS["head"]])
        parts = [(m.vertices, m.faces) for m in (*self._bare(posed), *shoes, hair)]
        faces = [garment.faces.numpy() for garment in self.garments]
        parts += list(zip(self._split(cloth), faces, strict=True))
        starts = np.cumsum([0, *(len(points) for points, _ in parts)])
        return TrueSurface(
            vertices=torch.from_numpy(np.concatenate([p for p, _ in parts]).astype(np.float32)),
            faces=torch.from_numpy(
                np.concatenate([f + s for (_, f), s in zip(parts, starts, strict=False)])
            ),
        )

    def _split(self, cloth: Float[ndarray, "v 3"]) -> list[Float[ndarray, "_ 3"]]:
        ends = np.cumsum([garment.vertex_count for garment in self.garments])
        return np.split(cloth, ends[:-1]) if len(ends) else []

    def _bare(self, posed: BodyPose) -> list[Mesh]:
        """Pose skin, eyes and mouth; what clothes hide is left out."""
        vertices = (self._finer @ posed.vertices.numpy()).astype(np.float32)
        lift = self._lift
        if lift.any():
            vertices = vertices + vertex_normals(vertices, self.figure.faces) * lift[:, None]
        figure = self.figure
        return [
            plain_mesh(material, vertices, figure.rest, faces)
            for material, faces in self._bare_faces.items()
        ]

    @cached_property
    def _finer(self):
        from persona.synthesis.sample.person import SUBDIVISIONS

        body = self.body
        return subdivision_matrix(body.faces, body.vertex_count, SUBDIVISIONS)[1]

    @cached_property
    def _lift(self) -> Float[ndarray, " n"]:
        lift = np.zeros(len(self.figure.rest))
        for tight in self.person.tights:
            inside = tight_field(self.form, tight, self.figure.rest)
            lift = np.maximum(lift, TIGHT_LIFT * smoothstep(-0.004, 0.004, inside))
        return lift.astype(np.float32)

    @cached_property
    def _bare_faces(self) -> dict[str, ndarray]:
        figure = self.figure
        hidden = shoe_field(figure, figure.rest) > HIDDEN["shoes"]
        for cut in self.person.cuts:
            if isinstance(cut, Shell):
                inside = shell_field(self.form, cut, figure.rest)
                arms = figure.weights[:, 16:22].sum(1) > 0.3
                hidden |= (inside > HIDDEN[cut.name]) & ~(arms & (cut.name == "bottom"))
        skin = ~(figure.eyeballs | figure.mouth_inside | hidden)
        parts = {"skin": skin, "eyes": figure.eyeballs, "mouth": figure.mouth_inside}
        return {name: figure.faces[chosen[figure.faces].all(1)] for name, chosen in parts.items()}

    @cached_property
    def _shoes(self) -> list[tuple[Mesh, Float[ndarray, "n 55"]]]:
        made = shoes(self.figure, shoe_field(self.figure, self.figure.rest))
        placed = [self._in_rest(mesh) for mesh in made]
        return [(mesh, self._shoe_weights(mesh.vertices)) for mesh in placed]

    def _shoe_weights(self, points: Float[ndarray, "n 3"]) -> Float[ndarray, "n 55"]:
        """Let a shoe bend at the ball of the foot only."""
        weights = np.zeros((len(points), 55))
        for side, sign in (("left", 1), ("right", -1)):
            ball = self.form.joint(f"{side}_foot")[2]
            share = smoothstep(ball - 0.03, ball + 0.03, points[:, 2]) * (sign * points[:, 0] > 0)
            weights[:, JOINT_IDS[f"{side}_foot"]] = share
            weights[:, JOINT_IDS[f"{side}_ankle"]] = (sign * points[:, 0] > 0) - share
        return weights

    @cached_property
    def _hair(self) -> tuple[Mesh, Mesh]:
        cap, strands = grow_hair(self.figure, self.person.look, count=STRANDS)
        return self._in_rest(cap), self._in_rest(strands)

    @cached_property
    def _hull(self) -> Mesh:
        return hair_shell(self._hair[1])

    @cached_property
    def _weave(self) -> list[tuple[ndarray, object]]:
        """Finer faces of each garment, and the matrix that goes with them."""
        pairs = [subdivision_matrix(g.faces, g.vertex_count, 1) for g in self.garments]
        return [(faces.numpy(), finer) for faces, finer in pairs]

    def _woven(self, index: int, cloth: Float[ndarray, "v 3"]) -> Mesh:
        faces, finer = self._weave[index]
        rest = self.garments[index].rest_vertices.numpy()
        material = "top" if self.person.cuts[index].name == "top" else "bottom"
        mesh = plain_mesh(material, finer @ cloth, finer @ rest, faces)
        return with_hem(mesh, thickness=HEM)

    def _in_rest(self, mesh: Mesh) -> Mesh:
        """Undo that the figure was put on the floor."""
        floor = np.array([0.0, self.figure.rest_floor, 0.0], np.float32)
        return replace(mesh, vertices=mesh.vertices + floor)


def _carried(mesh: Mesh, weights: Float[ndarray, "n 55"], bones: ndarray) -> Mesh:
    T = np.einsum("nj,jab->nab", weights, bones)
    moved = np.einsum("nab,nb->na", T[:, :3, :3], mesh.vertices) + T[:, :3, 3]
    return replace(mesh, vertices=moved.astype(np.float32))


def _moved(mesh: Mesh, bone: Float[ndarray, "4 4"]) -> Mesh:
    turn = bone[:3, :3].astype(np.float32)
    return replace(
        mesh,
        vertices=mesh.vertices @ turn.T + bone[:3, 3].astype(np.float32),
        tangents=mesh.tangents @ turn.T,
    )


def _turned(strands: Mesh, eye: Float[ndarray, " 3"]) -> Mesh:
    """Turn the width of every hair to the camera."""
    pairs = strands.vertices.reshape(-1, 2, 3)
    middle = pairs.mean(1)
    width = np.linalg.norm(pairs[:, 1] - pairs[:, 0], axis=1, keepdims=True)
    across = np.cross(strands.tangents[::2], eye - middle)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    half = 0.5 * width * across
    sides = np.stack([middle - half, middle + half], 1).reshape(-1, 3)
    return replace(strands, vertices=sides.astype(np.float32))
