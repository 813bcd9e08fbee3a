"""What the cloth kernels work on: a mesh of springs, the body it meets, contacts and rules."""

import itertools
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from persona.core.checks import check_range
from persona.core.errors import InputError
from persona.core.types import Faces
from persona.kernels.checks import check_floats, check_ids

SKINS = 2
"""Faces of the body that a vertex minds."""
_AT_LEAST_ONE = ("substeps", "look_every", "stretch_sweeps", "stretch_limit")


@dataclass(frozen=True, eq=False, kw_only=True)
class ClothMesh:
    """Vertices of one or more pieces of cloth, the springs between them, and who holds them.

    Springs are sorted by colour. Those of one colour share no vertex, so that the order in which
    they are solved changes nothing: any number of threads gives the same bits.

    Raises:
        InputError: Shapes or types do not fit, a number is out of range, an id names nobody, or
            springs of one colour share a vertex.
    """

    faces: Faces
    """Triangles, counter-clockwise seen from outside."""
    rest: Float[Tensor, "v 3"]
    """Positions as cut [m]; vertices that are near here do not push each other."""
    inverse_masses: Float[Tensor, " v"]
    """Zero for vertices that go where their target goes, or just out of the skin there [1/kg]."""
    holds: Float[Tensor, " v"]
    """Stiffness of the pull to the target, zero where the cloth is free [N/m]."""
    thickness: Float[Tensor, " v"]
    """Least distance from the skin; from other cloth, the mean of the two [m]."""
    layers: Int[Tensor, " v"]
    """Order of pieces over each other, 0 innermost."""
    garments: Int[Tensor, " v"]
    """Which piece a vertex belongs to."""
    anchors: Int[Tensor, " v"]
    """The held vertex that it hangs on, or -1."""
    anchor_lengths: Float[Tensor, " v"]
    """Length of cloth from there to here [m]."""
    springs: Int[Tensor, "s 2"]
    """The two ends of each spring."""
    lengths: Float[Tensor, " s"]
    """Rest lengths [m]."""
    compliances: Float[Tensor, " s"]
    """How much they give way [m/N]."""
    color_begin: tuple[int, ...]
    """First spring of each colour, and at the end the number of springs."""
    edge_color_count: int
    """The first so many colours are edges of faces, which may not stretch; the rest keep the cloth
    from bending."""

    def __post_init__(self) -> None:
        count, springs = len(self.rest), len(self.springs)
        per_vertex = ("inverse_masses", "holds", "thickness", "anchor_lengths")
        floats = {name: (getattr(self, name), (count,)) for name in per_vertex}
        per_spring = {
            name: (getattr(self, name), (springs,)) for name in ("lengths", "compliances")
        }
        check_floats(rest=(self.rest, (None, 3)), **floats, **per_spring)
        for name in (*per_vertex, *per_spring):
            check_range(name, getattr(self, name), 0.0, 3e38)
        check_ids("faces", self.faces, (len(self.faces), 3), count, beside=self.rest)
        check_ids("springs", self.springs, (springs, 2), count, beside=self.rest)
        check_ids("anchors", self.anchors, (count,), count, beside=self.rest, low=-1)
        for name in ("layers", "garments"):
            check_ids(name, getattr(self, name), (count,), 1 << 16, beside=self.rest)
        self._check_colors()

    def _check_colors(self) -> None:
        begin = self.color_begin
        ordered = all(a <= b for a, b in itertools.pairwise(begin))
        if not begin or begin[0] != 0 or begin[-1] != len(self.springs) or not ordered:
            raise InputError(
                f"color_begin is {begin}, there are {len(self.springs)} springs",
                why="it starts at 0, ends at the number of springs and never falls",
                fix="sort the springs by colour and count them",
            )
        if not 0 <= self.edge_color_count < len(begin):
            raise InputError(
                f"{self.edge_color_count} of {len(begin) - 1} colours are edges",
                why="there are no more than all",
                fix="count the colours of the edges",
            )
        for color, (a, b) in enumerate(itertools.pairwise(begin)):
            ends = self.springs[a:b].flatten()
            if len(ends.unique()) != len(ends):
                raise InputError(
                    f"springs of colour {color} share a vertex",
                    why="they are solved at the same time",
                    fix="give them different colours",
                )


@dataclass(frozen=True, eq=False, kw_only=True)
class ClothBody:
    """The skin that cloth meets.

    Raises:
        InputError: Shapes or types do not fit, or a face names a vertex that is not there.
    """

    faces: Faces
    """Triangles that stop cloth, counter-clockwise seen from outside; none at all lets it fall.
    They close: what of them lies inside the body (an arm pressed into the side) stops nothing, and
    who looks through a hole takes outside for inside."""
    vertex_count: int
    """Vertices of the body, those without a face included."""

    def __post_init__(self) -> None:
        if self.vertex_count < 0:
            raise InputError(
                f"the body has {self.vertex_count} vertices",
                why="a number of things is not negative",
                fix="give the number of rows of the body's vertices",
            )
        on_cpu = torch.empty(0)  # where cloth is solved
        shape = (len(self.faces), 3)
        check_ids("faces", self.faces, shape, self.vertex_count, beside=on_cpu)


@dataclass(frozen=True, eq=False, kw_only=True)
class ClothContacts:
    """Who touches whom during one substep."""

    near: Int[Tensor, "v 2"]
    """Faces of the body that each vertex minds, or -1: the nearest, and in a crease its other
    wall."""
    pairs: Int[Tensor, "p 2"]
    """A vertex and a face of cloth that keep apart."""
    sides: Float[Tensor, " p"]
    """+1 where the vertex stays in front of the face, -1 behind it."""

    def check(self, mesh: ClothMesh, body: ClothBody) -> None:
        """Refuse contacts of another mesh or body.

        Raises:
            InputError: Shapes or types do not fit, or an id names nobody.
        """
        count = len(mesh.rest)
        check_ids("near", self.near, (count, SKINS), len(body.faces), beside=mesh.rest, low=-1)
        check_ids("pairs", self.pairs, (len(self.pairs), 2), 1 << 31, beside=mesh.rest)
        check_ids("pairs", self.pairs[:, 0], (len(self.pairs),), count, beside=mesh.rest)
        check_ids("pairs", self.pairs[:, 1], (len(self.pairs),), len(mesh.faces), beside=mesh.rest)
        check_floats(rest=(mesh.rest, (None, 3)), sides=(self.sides, (len(self.pairs),)))


@dataclass(frozen=True, kw_only=True)
class ClothRules:
    """How cloth moves.

    Raises:
        InputError: A number is negative, or there is nothing where there must be something.
    """

    substeps: int = 12
    """Steps a frame; each solves every spring once. Small steps converge better than many rounds
    (Macklin et al., "Small steps in physics simulation", 2019)."""
    look_every: int = 4
    """Substeps between two searches for contacts."""
    stretch_sweeps: int = 6
    """Rounds over edges that are too long, then the skin, after the springs."""
    gravity: float = 9.81
    """Downwards, along -y [m/s^2]."""
    drag: float = 2.0
    """Share of the speed that the air takes [1/s]."""
    bend_damping: float = 0.004
    """Time over which bending dies away [s]."""
    stretch_limit: float = 1.02
    """Longest edge, of its length [-]."""
    friction: float = 0.2
    """Between cloth and skin [-]."""
    cloth_friction: float = 0.3
    """Between cloth and cloth [-]."""
    max_push: float = 0.01
    """Farthest that skin pushes a vertex in one substep [m]."""
    max_speed: float = 10.0
    """Nothing moves faster [m/s]; a runner's foot does 10."""
    body_reach: float = 0.04
    """Skin farther away is not looked for [m]; between two searches cloth moves less."""
    cloth_reach: float = 0.008
    """Likewise for cloth of the same layer; zero lets cloth pass through cloth [m]."""
    layer_reach: float = 0.015
    """Likewise for cloth of another layer [m]."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 1 if field.name in _AT_LEAST_ONE else 0
            if not least <= value < float("inf"):
                raise InputError(
                    f"{field.name} of the cloth rules is {value}",
                    why=f"it is at least {least} and finite",
                    fix="leave it at its default",
                )


def no_contacts(mesh: ClothMesh) -> ClothContacts:
    """Give the contacts of cloth that touches nothing."""
    return ClothContacts(
        near=torch.full((len(mesh.rest), SKINS), -1, dtype=torch.int32),
        pairs=torch.zeros(0, 2, dtype=torch.int32),
        sides=mesh.rest.new_zeros(0),
    )
