"""Cloth in the kernels: agreement with the specification, laws, threads, refusals."""

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from persona.core.errors import BackendError, InputError
from persona.geometry.meshes import vertex_normals
from persona.kernels import (
    Backend,
    ClothBody,
    ClothContacts,
    ClothMesh,
    ClothRules,
    cloth_substep,
    nearest_skin,
    run_cloth,
)
from persona.kernels.cloth_mesh import no_contacts
from persona.synthesis.physics.weave import _color

STEP = 1 / 360
NOBODY = ClothBody(faces=torch.zeros(0, 3, dtype=torch.int64), vertex_count=0)
NO_SKIN = (torch.zeros(0, 3), torch.zeros(0, 3), torch.zeros(0, 3))
SPACING = 0.02
"""Between the vertices of a sheet [m]."""


def grid_faces(rows, columns):
    ids = torch.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (
        part.flatten() for part in (ids[:-1, :-1], ids[:-1, 1:], ids[1:, 1:], ids[1:, :-1])
    )
    return torch.cat([torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)])


def sheet(rows=9, columns=8, *, held=0, height=0.0, aside=0.0, garment=0, layer=0):
    """A level sheet around the origin; its first rows can be held."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    places = torch.stack([x - (columns - 1) / 2, 0 * x, (rows - 1) / 2 - y], -1).reshape(-1, 3)
    rest = SPACING * places.float() + torch.tensor([aside, height, 0.6 * aside])
    ids = torch.arange(rows * columns).reshape(rows, columns)
    edges = torch.cat(
        [
            torch.stack([ids[:, :-1].flatten(), ids[:, 1:].flatten()], 1),
            torch.stack([ids[:-1].flatten(), ids[1:].flatten()], 1),
            torch.stack([ids[:-1, :-1].flatten(), ids[1:, 1:].flatten()], 1),
        ]
    )
    bends = torch.cat(
        [
            torch.stack([ids[:, :-2].flatten(), ids[:, 2:].flatten()], 1),
            torch.stack([ids[:-2].flatten(), ids[2:].flatten()], 1),
        ]
    )
    colors = [torch.from_numpy(_color(pairs.numpy(), len(rest))) for pairs in (edges, bends)]
    color = torch.cat([colors[0], colors[1] + int(colors[0].max()) + 1])
    order = color.argsort(stable=True)
    springs = torch.cat([edges, bends])[order]
    count = len(rest)
    masses = torch.full((count,), 1 / (0.2 * SPACING**2))
    masses[: held * columns] = 0.0
    anchors = torch.full((count,), -1)
    lengths = torch.zeros(count)
    if held:
        anchors = (held - 1) * columns + torch.arange(count) % columns
        lengths = (rest - rest[anchors]).norm(dim=1)
    return ClothMesh(
        faces=grid_faces(rows, columns),
        rest=rest,
        inverse_masses=masses,
        holds=torch.zeros(count),
        thickness=torch.full((count,), 0.004),
        layers=torch.full((count,), layer),
        garments=torch.full((count,), garment),
        anchors=anchors,
        anchor_lengths=lengths,
        springs=springs,
        lengths=(rest[springs[:, 0]] - rest[springs[:, 1]]).norm(dim=1),
        compliances=torch.cat([torch.zeros(len(edges)), torch.full((len(bends),), 0.02)])[order],
        color_begin=(0, *torch.bincount(color).cumsum(0).tolist()),
        edge_color_count=int(colors[0].max()) + 1,
    )


def stacked(low, high):
    """Two sheets in one mesh."""
    count, springs = len(low.rest), len(low.springs)
    joined = {
        name: torch.cat([getattr(low, name), getattr(high, name)])
        for name in (
            *("rest", "inverse_masses", "holds", "thickness", "layers", "garments", "lengths"),
            *("anchor_lengths", "compliances", "anchors"),
        )
    }
    assert (high.anchors < 0).all()
    # The upper sheet's colours follow the lower's: edges would follow bends, so all count as edges.
    begin = (*low.color_begin, *(b + springs for b in high.color_begin[1:]))
    return ClothMesh(
        **joined,
        faces=torch.cat([low.faces, high.faces + count]),
        springs=torch.cat([low.springs, high.springs + count]),
        color_begin=begin,
        edge_color_count=len(begin) - 1,
    )


def ball(radius=0.12, *, rings=14, around=20):
    """A sphere around the origin, one part: body and vertices."""
    polar = torch.linspace(0.02, torch.pi - 0.02, rings)
    angle = 2 * torch.pi * torch.arange(around) / around
    points = torch.stack(
        [
            polar.sin()[:, None] * angle.cos(),
            polar.cos()[:, None] * torch.ones(around),
            polar.sin()[:, None] * angle.sin(),
        ],
        -1,
    ).reshape(-1, 3)
    ids = torch.arange(rings * around).reshape(rings, around)
    a, b = ids[:-1].flatten(), ids[:-1].roll(-1, 1).flatten()
    c, d = ids[1:].roll(-1, 1).flatten(), ids[1:].flatten()
    faces = torch.cat([torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)])
    body = ClothBody(faces=faces, vertex_count=len(points))
    return body, radius * points


def energy(mesh, run):
    """Of motion and height [J]."""
    masses = torch.where(mesh.inverse_masses > 0, 1 / mesh.inverse_masses.clamp_min(1e-9), 0.0)
    speeds = run.velocities.square().sum(1)
    return float((masses * (speeds / 2 + 9.81 * run.positions[:, 1])).double().sum())


def random_call(seed):
    """A crumpled sheet on a moving ball, with pairs of cloth, held and pulled vertices."""
    g = torch.Generator().manual_seed(seed)
    mesh = sheet(held=1 + seed % 2)
    mesh = replace(mesh, holds=3 * torch.rand(len(mesh.rest), generator=g))
    body, skin = ball()
    skin_after = skin + 0.004 * torch.randn(3, generator=g)
    positions = mesh.rest + torch.tensor([0.0, 0.122, 0.0])
    positions = positions + 0.006 * torch.randn(positions.shape, generator=g)
    near = nearest_skin(mesh, body, positions, skin_after, reach=0.05, backend=Backend.REFERENCE)
    pairs = torch.stack(
        [
            torch.randint(0, len(mesh.rest), (12,), generator=g),
            torch.randint(0, len(mesh.faces), (12,), generator=g),
        ],
        1,
    )
    apart = (mesh.faces[pairs[:, 1]] != pairs[:, :1]).all(1)
    sides = torch.where(torch.rand(12, generator=g) < 0.5, -1.0, 1.0)
    return {
        "mesh": mesh,
        "body": body,
        "positions": positions,
        "velocities": torch.randn(positions.shape, generator=g),
        "targets": positions + 0.005 * torch.randn(positions.shape, generator=g),
        "skin": (skin, skin_after, vertex_normals(skin_after, body.faces)),
        "contacts": ClothContacts(near=near, pairs=pairs[apart], sides=sides[apart]),
        "seconds": STEP,
    }


@pytest.mark.parametrize("seed", range(12))
def test_a_substep_agrees_with_the_specification(seed):
    call = random_call(seed)
    got = cloth_substep(**call, rules=ClothRules(), backend=Backend.NATIVE)
    expected = cloth_substep(**call, rules=ClothRules(), backend=Backend.REFERENCE)
    torch.testing.assert_close(got[0], expected[0], atol=1e-6, rtol=0)
    torch.testing.assert_close(got[1], expected[1], atol=1e-5 / STEP / 10, rtol=0)


def test_frames_agree_with_the_reference():
    low = sheet(held=1)
    high = sheet(rows=5, columns=5, garment=1, layer=1, height=0.003, aside=0.006)
    mesh, (body, skin) = stacked(low, high), ball(rings=8, around=12)
    skins = (skin, skin + torch.tensor([0.003, 0.004, 0.0]))
    start = mesh.rest + torch.tensor([0.0, 0.124, 0.0])
    runs = [run_cloth(mesh, body, start, backend=b) for b in (Backend.NATIVE, Backend.REFERENCE)]
    for run in runs:
        run.frame(skins, (start, start), 1 / 30, rules=ClothRules())
    torch.testing.assert_close(runs[0].positions, runs[1].positions, atol=3e-5, rtol=0)
    assert float((runs[0].positions - start).abs().max()) > 1e-3


@given(seed=st.integers(0, 10_000), reach=st.sampled_from([0.005, 0.03, 0.5]))
@settings(max_examples=15, deadline=None)
def test_the_nearest_skin_is_the_nearest(seed, reach):
    g = torch.Generator().manual_seed(seed)
    body, skin = ball()
    mesh = sheet()
    positions = 0.15 * torch.randn(mesh.rest.shape, generator=g)
    call = (mesh, body, positions, skin)
    got = nearest_skin(*call, reach=reach, backend=Backend.NATIVE)
    expected = nearest_skin(*call, reach=reach, backend=Backend.REFERENCE)
    # At an edge two faces are equally near, and rounding chooses.
    assert (got[:, 1] == -1).all()  # nothing of a ball stands before it
    assert (expected[:, 1] == -1).all()
    got, expected = got[:, 0], expected[:, 0]
    shared = (body.faces[got.long()][:, :, None] == body.faces[expected.long()][:, None]).sum(
        (1, 2)
    )
    assert ((got == expected) | ((got >= 0) & (expected >= 0) & (shared > 0))).all()


def two_balls(apart=0.16, **options):
    """Two balls side by side along x that pass into each other, as one body."""
    one, skin = ball(**options)
    away = torch.tensor([apart / 2, 0.0, 0.0])
    faces = torch.cat([one.faces, one.faces + len(skin)])
    both = torch.cat([skin - away, skin + away])
    return ClothBody(faces=faces, vertex_count=len(both)), both, torch.stack([-away, away])


@given(seed=st.integers(0, 10_000))
@settings(max_examples=5, deadline=None)
def test_in_a_crease_both_walls_are_minded_and_nothing_buried(seed):
    body, skin, centers = two_balls()
    g = torch.Generator().manual_seed(seed)
    mesh = sheet()
    # About the ring where the balls meet, 8.9 cm from the axis.
    angles = 2 * torch.pi * torch.rand(len(mesh.rest), generator=g)
    ring = torch.stack([0 * angles, 0.09 * angles.cos(), 0.09 * angles.sin()], 1)
    points = ring + 0.006 * torch.randn(ring.shape, generator=g)
    got, expected = (
        nearest_skin(mesh, body, points, skin, reach=0.05, backend=backend)
        for backend in (Backend.NATIVE, Backend.REFERENCE)
    )
    # Rounding chooses between equals, and what is about as near as the walls' limits.
    assert float((got == expected).float().mean()) > 0.9
    assert float((got[:, 1] >= 0).float().mean()) > 0.7  # the others stand too far from one
    middles = skin[body.faces].mean(1)
    side = (torch.arange(len(body.faces)) >= len(body.faces) // 2).long()
    assert (side[got[got[:, 1] >= 0].long()].sum(1) == 1).all()
    into_the_other = 0.12 - (middles - centers[1 - side]).norm(dim=1)
    assert float(into_the_other[got[got >= 0].long()].max()) < 0.04  # a face's size


def test_cloth_over_a_crease_enters_neither_wall():
    body, skin, centers = two_balls(rings=30, around=44)
    mesh = sheet(rows=20, columns=19)
    start = mesh.rest + torch.tensor([0.0, 0.13, 0.0])
    run = run_cloth(mesh, body, start)
    for _ in range(20):
        run.frame((skin, skin), (start, start), 1 / 30, rules=ClothRules(friction=0.6))
    away = torch.cdist(run.positions, centers).amin(1)
    assert float(away.min()) > 0.12
    lowest = run.positions[run.positions[:, 0].abs() < 0.01, 1].max()
    assert float(lowest) < 0.115  # it sinks between them


def test_what_stands_inside_both_walls_comes_out_of_both():
    body, skin, centers = two_balls(rings=30, around=44)
    mesh = sheet(rows=2, columns=2)
    start = 0.05 * mesh.rest + torch.tensor([0.0, 0.075, 0.0])
    run = run_cloth(mesh, body, start)
    for _ in range(4):
        run.frame((skin, skin), (start, start), 1 / 30, rules=ClothRules())
    assert float(torch.cdist(run.positions, centers).amin()) > 0.12


def test_free_fall_is_a_parabola_and_keeps_momentum():
    mesh = sheet()
    rules = ClothRules(drag=0.0, cloth_reach=0.0)
    run = run_cloth(mesh, NOBODY, mesh.rest)
    still = (mesh.rest, mesh.rest)
    for _ in range(15):
        run.frame(NO_SKIN[:2], still, 1 / 30, rules=rules)
    seconds, step = 0.5, 1 / 360
    fallen = 9.81 * seconds * (seconds + step) / 2  # of the symplectic Euler scheme, exactly
    torch.testing.assert_close(
        run.positions, mesh.rest - torch.tensor([0.0, fallen, 0.0]), atol=2e-4, rtol=0
    )
    momentum = run.velocities.mean(0)
    torch.testing.assert_close(
        momentum, torch.tensor([0.0, -9.81 * seconds, 0.0]), atol=1e-3, rtol=0
    )


def test_springs_and_pairs_push_with_equal_and_opposite_force():
    call = random_call(3)
    mesh = replace(sheet(), holds=torch.zeros(72))
    contacts = replace(call["contacts"], near=torch.full((72, 2), -1))
    call = {**call, "mesh": mesh, "contacts": contacts}
    rules = ClothRules(drag=0.0, gravity=0.0)
    _, velocities = cloth_substep(**call, rules=rules)
    expected = call["velocities"].mean(0)
    torch.testing.assert_close(velocities.mean(0), expected, atol=0.02, rtol=0)


def hang(mesh, frames, **options):
    run = run_cloth(mesh, NOBODY, mesh.rest, threads=options.pop("threads", 1))
    for _ in range(frames):
        run.frame(NO_SKIN[:2], (mesh.rest, mesh.rest), 1 / 30, rules=ClothRules(**options))
    return run


def test_what_is_held_stays_and_what_hangs_stretches_little():
    mesh = sheet(rows=40, held=1)
    run = hang(mesh, 60)
    held = mesh.inverse_masses == 0
    assert torch.equal(run.positions[held], mesh.rest[held])
    ends = run.positions[mesh.springs[: mesh.color_begin[mesh.edge_color_count]]]
    stretch = (ends[:, 0] - ends[:, 1]).norm(dim=1) / mesh.lengths[: len(ends)]
    assert float(stretch.quantile(0.99)) < 1.10
    assert float(run.positions[:, 1].min()) < -0.6  # it does hang


def test_at_rest_energy_only_goes_away():
    mesh = sheet(rows=20, held=1)
    run = run_cloth(mesh, NOBODY, mesh.rest)
    energies = []
    for _ in range(120):
        run.frame(NO_SKIN[:2], (mesh.rest, mesh.rest), 1 / 30, rules=ClothRules())
        energies.append(energy(mesh, run))
    scale = max(energies) - min(energies)
    rises = [later - earlier for earlier, later in itertools.pairwise(energies)]
    assert max(rises) < 1e-3 * scale
    assert float(run.velocities.norm(dim=1).mean()) < 0.04


def dropped(frames=40, *, threads=1, moving=0.0, seed=0):
    """A sheet that falls on a ball, which may slide away under it."""
    mesh = sheet(rows=24, columns=23)
    body, skin = ball()
    g = torch.Generator().manual_seed(seed)
    start = mesh.rest + torch.tensor([0.0, 0.15, 0.0])
    start = start + 1e-4 * torch.randn(start.shape, generator=g)
    run = run_cloth(mesh, body, start, threads=threads)
    for frame in range(frames):
        skins = [skin + torch.tensor([moving * k / 30, 0.0, 0.0]) for k in (frame, frame + 1)]
        run.frame(tuple(skins), (start, start), 1 / 30, rules=ClothRules(friction=0.6))
    return mesh, run, skins[1]


@pytest.mark.parametrize("moving", [0.0, 0.5])
def test_nothing_enters_a_ball(moving):
    _, run, skin = dropped(30, moving=moving)
    assert torch.isfinite(run.positions).all()
    away = (run.positions - skin.mean(0)).norm(dim=1)
    # The ball's faces lie up to 2 mm inside its vertices' sphere; cloth rests 4 mm off.
    assert float(away.min()) > 0.12
    assert int((away < 0.128).sum()) > 30  # and it does lie on it


def test_a_ball_carries_cloth_along():
    _, run, skin = dropped(30, moving=0.3)
    assert float(run.positions[:, 0].mean()) > 0.5 * float(skin[:, 0].mean())


@pytest.mark.parametrize("threads", [2, 3])
def test_any_number_of_threads_gives_the_same_bits(threads):
    alone, together = dropped(12)[1], dropped(12, threads=threads)[1]
    assert torch.equal(alone.positions, together.positions)
    assert torch.equal(alone.velocities, together.velocities)


def test_the_outer_layer_ends_outside():
    # The upper sheet starts under the lower one, by less than the reach of layers.
    low = sheet(garment=0, layer=0)
    high = sheet(garment=1, layer=1, height=-0.005, aside=0.006)
    mesh = stacked(replace(low, inverse_masses=torch.zeros(72)), high)
    run = run_cloth(mesh, NOBODY, mesh.rest)
    rules = ClothRules(gravity=0.0)
    for _ in range(30):
        run.frame(NO_SKIN[:2], (mesh.rest, mesh.rest), 1 / 30, rules=rules)
    heights = run.positions[72:, 1].reshape(9, 8)[1:-1, 1:-1]
    assert float(heights.min()) > 0.003


def test_cloth_does_not_fall_through_cloth():
    low = sheet(garment=0)
    high = sheet(rows=5, columns=5, garment=1, height=0.01)
    mesh = stacked(replace(low, inverse_masses=torch.zeros(72)), high)
    for reach, through in ((0.008, False), (0.0, True)):
        run = run_cloth(mesh, NOBODY, mesh.rest)
        for _ in range(20):
            run.frame(
                NO_SKIN[:2], (mesh.rest, mesh.rest), 1 / 30, rules=ClothRules(cloth_reach=reach)
            )
        assert (float(run.positions[72:, 1].mean()) < -0.1) is through


def test_memory_is_counted_and_modest():
    mesh = sheet(rows=60, columns=60)
    assert 0.3e6 < run_cloth(mesh, NOBODY, mesh.rest).bytes < 10e6


def test_what_does_not_fit_is_refused():
    mesh, (body, skin) = sheet(), ball()
    with pytest.raises((InputError, TypeCheckError), match="positions"):
        run_cloth(mesh, body, mesh.rest[:-1])
    with pytest.raises(InputError, match="positions holds 1 entries"):
        spoilt = mesh.rest.clone()
        spoilt[3, 1] = float("nan")
        run_cloth(mesh, body, spoilt)
    run = run_cloth(mesh, body, mesh.rest)
    still = (mesh.rest, mesh.rest)
    with pytest.raises(InputError, match="body_after"):
        run.frame((skin, skin[1:]), still, 1 / 30, rules=ClothRules())
    with pytest.raises(InputError, match="move for 33"):
        run.frame((skin, skin), still, 33.0, rules=ClothRules())
    with pytest.raises(InputError, match="0 threads"):
        run_cloth(mesh, body, mesh.rest, threads=0)
    with pytest.raises(BackendError, match="no backend for run_cloth"):
        run_cloth(mesh, body, mesh.rest, backend=Backend.GSPLAT)
    call = random_call(0)
    far = replace(call["contacts"], near=torch.full((72, 2), 1 << 20))
    with pytest.raises(InputError, match="near spans"):
        cloth_substep(**{**call, "contacts": far}, rules=ClothRules())
    assert len(no_contacts(mesh).near) == 72


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"springs": torch.full((5, 2), 72)}, "springs spans"),
        ({"inverse_masses": torch.full((72,), -1.0)}, "inverse_masses spans"),
        ({"faces": torch.tensor([[0, 1, 72]])}, "faces spans"),
        ({"anchors": torch.full((72,), -2)}, "anchors spans"),
        ({"color_begin": (0, 3)}, "color_begin is"),
        ({"edge_color_count": 99}, "99 of"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mesh_without_sense_is_refused(changes, message):
    mesh = sheet()
    if "springs" in changes:
        changes = {**changes, "lengths": torch.ones(5), "compliances": torch.ones(5)}
    with pytest.raises(InputError, match=message):
        replace(mesh, **changes)


def test_springs_of_one_colour_may_not_meet():
    mesh = sheet()
    with pytest.raises(InputError, match="colour 0 share a vertex"):
        replace(mesh, color_begin=(0, len(mesh.springs)), edge_color_count=1)


@pytest.mark.parametrize("name", ["substeps", "look_every", "stretch_limit"])
def test_rules_without_sense_are_refused(name):
    with pytest.raises(InputError, match=name):
        ClothRules(**{name: 0})
    with pytest.raises(InputError, match="drag"):
        ClothRules(drag=-1.0)
