"""Move cloth by small steps of extended position-based dynamics: what callers use."""

from typing import Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from persona.core.checks import check_range
from persona.core.errors import InputError
from persona.kernels.checks import check_floats, check_thread_count
from persona.kernels.cloth_mesh import ClothBody, ClothContacts, ClothMesh, ClothRules
from persona.kernels.dispatch import Backend, implementation

LONGEST_FRAME = 1.0
"""[s]; longer ones are a mistake in units."""


@runtime_checkable
class ClothRun(Protocol):
    """Cloth on the way, which remembers its contacts from frame to frame."""

    def frame(
        self,
        body: tuple[Tensor, Tensor],
        targets: tuple[Tensor, Tensor],
        seconds: float,
        *,
        rules: ClothRules,
    ) -> None:
        """Move on while the body goes from its first to its second position at constant speed.

        Args:
            body: Skin before and after (b,3) [m].
            targets: Where held vertices are before and after (v,3) [m].
            seconds: Length of the frame [s].
            rules: How cloth moves.
        """
        ...

    @property
    def positions(self) -> Tensor:
        """A copy of where the vertices are (v,3) [m]."""
        ...

    @property
    def velocities(self) -> Tensor:
        """A copy of how fast they are (v,3) [m/s]."""
        ...

    def stop(self) -> None:
        """Take away all speed."""
        ...

    @property
    def bytes(self) -> int:
        """Memory that the solver holds [bytes]."""
        ...


def run_cloth(
    mesh: ClothMesh,
    body: ClothBody,
    positions: Float[Tensor, "v 3"],
    *,
    backend: Backend | None = None,
    threads: int | None = None,
) -> ClothRun:
    """Set cloth down, at rest, to be moved frame by frame.

    A frame finds contacts with the nearest skin and with other cloth every few substeps, and makes
    the substeps of `cloth_substep` in between. The same input gives the same bits for any number
    of threads.

    Args:
        mesh: The cloth.
        body: The skin it meets.
        positions: Where it starts [m].
        backend: Force one implementation; None picks the fastest that runs here.
        threads: Threads of the native backend; None takes torch's number.

    Raises:
        InputError: Positions do not fit the mesh or are not finite.
        BackendError: ``backend`` cannot run here.
    """
    check_floats(rest=(mesh.rest, (None, 3)), positions=(positions, (len(mesh.rest), 3)))
    check_thread_count(threads)
    run = implementation("run_cloth", mesh.rest.device, mesh.rest.dtype, backend=backend)
    return run(mesh, body, positions.detach(), threads=threads)


def check_frame(
    mesh: ClothMesh,
    body: ClothBody,
    skins: tuple[Tensor, Tensor],
    targets: tuple[Tensor, Tensor],
    seconds: float,
) -> None:
    """Refuse a frame that does not belong to this cloth and body.

    Raises:
        InputError: Shapes or types do not fit, a number is not finite, or the frame has no length.
    """
    count, skin_count = len(mesh.rest), body.vertex_count
    check_floats(
        rest=(mesh.rest, (None, 3)),
        body_before=(skins[0], (skin_count, 3)),
        body_after=(skins[1], (skin_count, 3)),
        targets_before=(targets[0], (count, 3)),
        targets_after=(targets[1], (count, 3)),
    )
    _check_seconds(seconds)


def cloth_substep(
    mesh: ClothMesh,
    body: ClothBody,
    positions: Float[Tensor, "v 3"],
    velocities: Float[Tensor, "v 3"],
    targets: Float[Tensor, "v 3"],
    skin: tuple[Tensor, Tensor, Tensor],
    contacts: ClothContacts,
    seconds: float,
    *,
    rules: ClothRules,
    backend: Backend | None = None,
    threads: int | None = None,
) -> tuple[Float[Tensor, "v 3"], Float[Tensor, "v 3"]]:
    """Move cloth by one small step, its contacts given.

    The vertices fly on; springs pull them to their lengths once, colour after colour; no vertex
    stays farther from its anchor than the cloth reaches; pairs of cloth part. Then, in some
    rounds, edges longer than the limit give in, and skin pushes out what is nearer than the
    thickness and rubs. What is left of the way is the new speed; a push stops an approach but
    throws nothing.

    Args:
        mesh: The cloth.
        body: The skin it meets.
        positions: Of the vertices [m].
        velocities: Of the vertices [m/s].
        targets: Where held vertices are after the step [m].
        skin: The body's vertices (b,3) before and after the step [m], and their unit normals (b,3).
        contacts: Who touches whom.
        seconds: Length of the step [s].
        rules: How cloth moves; its substeps and reaches mean nothing here.
        backend: Force one implementation; None picks the fastest that runs here.
        threads: Threads of the native backend; None takes torch's number.

    Returns:
        Positions [m] and velocities [m/s] after the step.

    Raises:
        InputError: Something does not fit or is not finite.
        BackendError: ``backend`` cannot run on these inputs.

    References:
        Macklin, Mueller and Chentanez, "XPBD: position-based simulation of compliant constrained
        dynamics", 2016; Kim, Chentanez and Mueller, "Long range attachments", 2012.
    """
    count, skin_count = len(mesh.rest), body.vertex_count
    check_floats(
        rest=(mesh.rest, (None, 3)),
        positions=(positions, (count, 3)),
        velocities=(velocities, (count, 3)),
        targets=(targets, (count, 3)),
        skin_before=(skin[0], (skin_count, 3)),
        skin_after=(skin[1], (skin_count, 3)),
        skin_normals=(skin[2], (skin_count, 3)),
    )
    contacts.check(mesh, body)
    _check_seconds(seconds)
    check_thread_count(threads)
    run = implementation("cloth_substep", mesh.rest.device, mesh.rest.dtype, backend=backend)
    state = (positions.detach(), velocities.detach(), targets.detach())
    return run(mesh, body, *state, skin, contacts, seconds, rules=rules, threads=threads)


def nearest_skin(
    mesh: ClothMesh,
    body: ClothBody,
    positions: Float[Tensor, "v 3"],
    skin: Float[Tensor, "b 3"],
    *,
    reach: float,
    backend: Backend | None = None,
    threads: int | None = None,
) -> Int[Tensor, "v 2"]:
    """Find the faces of the body that each vertex of cloth minds.

    The first is the nearest; for a vertex inside the body, the nearest of those that it is behind.
    Where skin stands before skin, in armpits and between thigh and belly, the second is the nearest
    that is turned away from the first by 60 degrees or more: the other wall of the crease.

    Args:
        mesh: The cloth.
        body: The skin.
        positions: Of the cloth [m].
        skin: The body's vertices [m].
        reach: Skin farther away is not looked for [m].
        backend: Force one implementation; None picks the fastest that runs here.
        threads: Threads of the native backend; None takes torch's number.

    Returns:
        Two faces, or -1; of equally near ones the first. Skin that lies inside the body does not
        count.

    Raises:
        InputError: Something does not fit or is not finite.
        BackendError: ``backend`` cannot run on these inputs.
    """
    check_floats(
        rest=(mesh.rest, (None, 3)),
        positions=(positions, (len(mesh.rest), 3)),
        skin=(skin, (body.vertex_count, 3)),
    )
    check_range("reach", mesh.rest.new_tensor([reach]), 0.0, 1e3)
    check_thread_count(threads)
    run = implementation("nearest_skin", mesh.rest.device, mesh.rest.dtype, backend=backend)
    return run(mesh, body, positions.detach(), skin, reach=reach, threads=threads)


def _check_seconds(seconds: float) -> None:
    if not 0 < seconds <= LONGEST_FRAME:
        raise InputError(
            f"cloth was asked to move for {seconds} s",
            why=f"a step is longer than nothing and at most {LONGEST_FRAME} s",
            fix="give the seconds between two frames, 1 / fps",
        )
