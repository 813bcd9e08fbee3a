"""Mesh rasterizing: known answers, refusals, and agreement of the backends."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.core.errors import InputError
from persona.kernels import Backend, rasterize_mesh

ON_CPU = (Backend.REFERENCE, Backend.NATIVE)


def sheet(side, *, width=40, height=30, seed=0):
    """A wavy grid of triangles, hanging over the picture's edges."""
    g = torch.Generator().manual_seed(seed)
    x, y = torch.meshgrid(torch.linspace(-5, 45, side), torch.linspace(-4, 34, side), indexing="xy")
    pixels = torch.stack([x, y], -1).reshape(-1, 2) + torch.randn(side * side, 2, generator=g)
    depths = 2 + torch.rand(side * side, generator=g)
    corner = torch.arange(side * side).reshape(side, side)[:-1, :-1].reshape(-1)
    a, b = corner, corner + 1
    c, d = corner + side, corner + side + 1
    faces = torch.cat([torch.stack([a, b, c], 1), torch.stack([b, d, c], 1)])
    return pixels, depths, faces


@given(seed=st.integers(0, 10_000), side=st.integers(2, 9))
@settings(max_examples=20, deadline=None)
def test_native_agrees_with_the_reference(seed, side):
    pixels, depths, faces = sheet(side, seed=seed)
    got = rasterize_mesh(pixels, depths, faces, width=40, height=30, backend=Backend.NATIVE)
    expected = rasterize_mesh(pixels, depths, faces, width=40, height=30, backend=Backend.REFERENCE)
    assert torch.equal(got[0], expected[0])
    torch.testing.assert_close(got[1], expected[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(got[2], expected[2], rtol=1e-6, atol=0)


@pytest.mark.parametrize("backend", ON_CPU)
def test_depth_is_straight_in_one_over_z_and_weights_are_in_space(backend):
    pixels = torch.tensor([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
    depths = torch.tensor([1.0, 3.0, 2.0])
    ids, weights, depth = rasterize_mesh(
        pixels, depths, torch.tensor([[0, 1, 2]]), width=8, height=8, backend=backend
    )
    screen = torch.tensor([1 - 3.5 / 8 - 1.5 / 8, 3.5 / 8, 1.5 / 8])  # at pixel row 1, column 3
    expected = 1 / (screen / depths).sum()
    assert ids[1, 3] == 0
    assert depth[1, 3].item() == pytest.approx(expected.item(), rel=1e-6)
    torch.testing.assert_close(weights[1, 3], screen / depths * expected)
    assert (ids[7, 7], depth[7, 7], weights[7, 7].sum()) == (-1, 0, 0)


@pytest.mark.parametrize("backend", ON_CPU)
def test_a_sheet_has_no_cracks_and_neighbors_share_their_edges(backend):
    pixels, depths, faces = sheet(6, seed=3)
    ids, weights, _ = rasterize_mesh(pixels, depths, faces, width=40, height=30, backend=backend)
    assert (ids[6:-6, 6:-6] >= 0).all()
    covered = ids >= 0
    torch.testing.assert_close(weights[covered].sum(-1), torch.ones(int(covered.sum())))
    # A pixel centre exactly on a shared edge belongs to the first triangle, and to one of them.
    square = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]])
    two = torch.tensor([[0, 1, 2], [1, 3, 2]])
    ids, _, _ = rasterize_mesh(square, torch.ones(4), two, width=4, height=4, backend=backend)
    assert (ids >= 0).all()
    assert [ids[i, 3 - i].item() for i in range(4)] == [0, 0, 0, 0]


@pytest.mark.parametrize("backend", ON_CPU)
def test_both_sides_are_drawn_and_the_nearer_face_wins(backend):
    pixels = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]]).repeat(2, 1)
    depths = torch.tensor([2.0] * 3 + [1.0] * 3)
    faces = torch.tensor([[0, 1, 2], [3, 5, 4]])
    ids, _, depth = rasterize_mesh(pixels, depths, faces, width=9, height=9, backend=backend)
    assert ids[1, 1] == 1
    assert depth[1, 1] == 1


@pytest.mark.parametrize("backend", ON_CPU)
def test_triangles_at_the_camera_or_without_area_draw_nothing(backend):
    pixels = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [4.5, 4.5]])
    depths = torch.tensor([1.0, 1.0, -1.0, 1.0])
    faces = torch.tensor([[0, 1, 2], [0, 3, 3]])
    ids, _, _ = rasterize_mesh(pixels, depths, faces, width=9, height=9, backend=backend)
    assert (ids == -1).all()
    none = torch.zeros(0, 3, dtype=torch.int64)
    ids, _, _ = rasterize_mesh(pixels, depths, none, width=9, height=9, backend=backend)
    assert (ids == -1).all()


def test_any_thread_count_gives_the_same_bits():
    pixels, depths, faces = sheet(30, seed=1)
    scaled = (pixels * 5, depths, faces)
    one = rasterize_mesh(*scaled, width=200, height=150, threads=1)
    four = rasterize_mesh(*scaled, width=200, height=150, threads=4)
    assert all(torch.equal(a, b) for a, b in zip(one, four, strict=True))


def test_huge_triangles_stay_inside_the_picture():
    pixels = torch.tensor([[-1e30, -1e30], [1e30, -1e30], [0.0, 1e30]])
    ids, _, _ = rasterize_mesh(pixels, torch.ones(3), torch.tensor([[0, 1, 2]]), width=9, height=9)
    assert ids.shape == (9, 9)


def test_what_does_not_fit_is_refused_before_native_code():
    pixels, depths, faces = sheet(3)
    with pytest.raises(InputError, match="faces name vertices -1 to 8, there are 9"):
        rasterize_mesh(pixels, depths, torch.where(faces == 0, -1, faces), width=9, height=9)
    with pytest.raises(InputError, match="faces name vertices 0 to 9"):
        rasterize_mesh(pixels, depths, faces.clamp_min(0).where(faces != 8, 9), width=9, height=9)
    with pytest.raises(InputError, match=r"faces is torch\.int16"):
        rasterize_mesh(pixels, depths, faces.short(), width=9, height=9)
    with pytest.raises(InputError, match="depths holds 1 entries"):
        bad = depths.clone()
        bad[2] = float("nan")
        rasterize_mesh(pixels, bad, faces, width=9, height=9)
