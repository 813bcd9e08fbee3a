"""Move cloth in the C++ core."""

import ctypes
import weakref
from dataclasses import fields

import torch
from torch import Tensor

from persona.kernels.cloth import check_frame
from persona.kernels.cloth_mesh import SKINS, ClothBody, ClothContacts, ClothMesh, ClothRules
from persona.kernels.native_core import address, check_status, native_library, thread_count


class MeshStruct(ctypes.Structure):
    """Mirror of ``persona_cloth_mesh``."""

    _fields_ = (
        ("vertex_count", ctypes.c_int64),
        ("face_count", ctypes.c_int64),
        ("color_count", ctypes.c_int32),
        ("edge_color_count", ctypes.c_int32),
        *(
            (name, ctypes.c_void_p)
            for name in (
                *("faces", "rest", "inverse_masses", "holds", "thickness", "layers", "garments"),
                *("anchors", "anchor_lengths", "color_begin", "springs", "lengths", "compliances"),
            )
        ),
    )


class BodyStruct(ctypes.Structure):
    """Mirror of ``persona_cloth_body``."""

    _fields_ = (
        ("vertex_count", ctypes.c_int64),
        ("face_count", ctypes.c_int64),
        ("faces", ctypes.c_void_p),
    )


class RulesStruct(ctypes.Structure):
    """Mirror of ``persona_cloth_rules``."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("substeps", "look_every", "stretch_sweeps")),
        *(
            (name, ctypes.c_float)
            for name in (
                *("seconds", "gravity", "drag", "bend_damping", "stretch_limit", "friction"),
                *("cloth_friction", "max_push", "max_speed", "body_reach", "cloth_reach"),
                "layer_reach",
            )
        ),
    )


class _Handle:
    """The core's copy of a mesh and a body, given back when dropped."""

    def __init__(self, mesh: ClothMesh, body: ClothBody) -> None:
        self._library = native_library()
        held: dict[str, Tensor] = {
            "color_begin": torch.tensor(mesh.color_begin, dtype=torch.int32),
            **{
                name: getattr(mesh, name).detach().to(torch.int32).contiguous()
                for name in ("faces", "layers", "garments", "anchors", "springs")
            },
            **{
                name: getattr(mesh, name).detach().contiguous()
                for name in (
                    *("rest", "inverse_masses", "holds", "thickness", "anchor_lengths"),
                    *("lengths", "compliances"),
                )
            },
        }
        skin = body.faces.to(torch.int32).contiguous()
        mesh_struct = MeshStruct(
            vertex_count=len(mesh.rest),
            face_count=len(mesh.faces),
            color_count=len(mesh.color_begin) - 1,
            edge_color_count=mesh.edge_color_count,
            **{name: address(value) for name, value in held.items()},
        )
        body_struct = BodyStruct(body.vertex_count, len(body.faces), address(skin))
        cloth = ctypes.c_void_p()
        check_status(
            self._library.persona_cloth_create(
                *(ctypes.addressof(s) for s in (mesh_struct, body_struct, cloth))
            )
        )
        self.value = cloth.value
        weakref.finalize(self, self._library.persona_cloth_destroy, cloth.value)


class NativeCloth:
    """Cloth on the way; see `persona.kernels.cloth.ClothRun`."""

    def __init__(
        self, mesh: ClothMesh, body: ClothBody, positions: Tensor, threads: int | None
    ) -> None:
        self._mesh, self._body = mesh, body
        self._threads = thread_count(threads)
        self._library = native_library()
        self._handle = _Handle(mesh, body)
        # Copies: the core writes into them.
        self._positions = positions.clone(memory_format=torch.contiguous_format)
        self._velocities = torch.zeros_like(self._positions)

    def frame(
        self,
        body: tuple[Tensor, Tensor],
        targets: tuple[Tensor, Tensor],
        seconds: float,
        *,
        rules: ClothRules,
    ) -> None:
        """Move on by a frame."""
        check_frame(self._mesh, self._body, body, targets, seconds)
        inputs = [value.detach().contiguous() for value in (*body, *targets)]
        struct = _rules(rules, seconds, rules.substeps)
        status = self._library.persona_cloth_frame(
            self._handle.value,
            self._threads,
            ctypes.addressof(struct),
            *map(address, (*inputs, self._positions, self._velocities)),
        )
        check_status(status)

    @property
    def positions(self) -> Tensor:
        """A copy of where the vertices are."""
        return self._positions.clone()

    @property
    def velocities(self) -> Tensor:
        """A copy of how fast they are."""
        return self._velocities.clone()

    def stop(self) -> None:
        """Take away all speed."""
        self._velocities.zero_()

    @property
    def bytes(self) -> int:
        """Memory that the solver holds."""
        return self._library.persona_cloth_bytes(self._handle.value)


def run_cloth(
    mesh: ClothMesh, body: ClothBody, positions: Tensor, *, threads: int | None = None
) -> NativeCloth:
    """Set cloth down; see `persona.kernels.cloth.run_cloth`."""
    return NativeCloth(mesh, body, positions, threads)


def cloth_substep(
    mesh: ClothMesh,
    body: ClothBody,
    positions: Tensor,
    velocities: Tensor,
    targets: Tensor,
    skin: tuple[Tensor, Tensor, Tensor],
    contacts: ClothContacts,
    seconds: float,
    *,
    rules: ClothRules,
    threads: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Make one step; see `persona.kernels.cloth.cloth_substep`."""
    handle = _Handle(mesh, body)
    state = [v.clone(memory_format=torch.contiguous_format) for v in (positions, velocities)]
    inputs = [value.detach().contiguous() for value in (*skin, targets)]
    near, pairs = (v.to(torch.int32).contiguous() for v in (contacts.near, contacts.pairs))
    sides = contacts.sides.contiguous()
    struct = _rules(rules, seconds, 1)
    status = native_library().persona_cloth_substep(
        handle.value,
        thread_count(threads),
        ctypes.addressof(struct),
        *map(address, (*inputs, near)),
        len(pairs),
        *map(address, (pairs, sides, *state)),
    )
    check_status(status)
    return state[0], state[1]


def nearest_skin(
    mesh: ClothMesh,
    body: ClothBody,
    positions: Tensor,
    skin: Tensor,
    *,
    reach: float,
    threads: int | None = None,
) -> Tensor:
    """Search by cells; see `persona.kernels.cloth.nearest_skin`."""
    handle = _Handle(mesh, body)
    inputs = skin.detach().contiguous(), positions.contiguous()
    near = torch.empty(len(positions), SKINS, dtype=torch.int32)
    status = native_library().persona_cloth_nearest(
        handle.value, thread_count(threads), reach, *map(address, (*inputs, near))
    )
    check_status(status)
    return near


def _rules(rules: ClothRules, seconds: float, substeps: int) -> RulesStruct:
    given = {field.name: getattr(rules, field.name) for field in fields(rules)}
    return RulesStruct(**{**given, "seconds": seconds, "substeps": substeps})
