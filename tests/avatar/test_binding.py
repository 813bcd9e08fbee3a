"""Attaching Gaussians to triangles and bones."""

import pytest
import torch

from persona.avatar.binding import (
    BONES_KEPT,
    bind_to_bones,
    bind_to_triangles,
    carry,
    join_bindings,
)


@pytest.fixture(scope="module")
def sheet():
    """A square of 4 x 4 cells in the plane z = 0, and weights that grow along x."""
    x, y = torch.meshgrid(torch.linspace(0, 1, 5), torch.linspace(0, 1, 5), indexing="ij")
    vertices = torch.stack([x.flatten(), y.flatten(), torch.zeros(25)], 1)
    cells = [5 * i + j for i in range(4) for j in range(4)]
    faces = torch.tensor([t for c in cells for t in ((c, c + 5, c + 6), (c, c + 6, c + 1))])
    weights = torch.zeros(25, 8)
    weights[:, 2], weights[:, 5] = vertices[:, 0], 1 - vertices[:, 0]
    return vertices, faces, weights


def bind(sheet, face_ids, barycentric):
    vertices, faces, weights = sheet
    return bind_to_triangles(
        face_ids, barycentric, faces=faces, rest_vertices=vertices, vertex_weights=weights
    )


def random_places(sheet, count=50):
    g = torch.Generator().manual_seed(0)
    barycentric = torch.rand(count, 3, generator=g)
    face_ids = torch.randint(len(sheet[1]), (count,), generator=g)
    return face_ids, barycentric / barycentric.sum(1, keepdim=True)


def test_weights_are_linear_on_triangles_and_their_gradients_exact(sheet):
    face_ids, barycentric = random_places(sheet)
    binding = bind(sheet, face_ids, barycentric)
    x = carry(binding, sheet[1], sheet[0])[:, :1]
    for bone, weight, slope in ((2, x, 1.0), (5, 1 - x, -1.0)):
        held = binding.bone_ids == bone
        assert held.sum(1).eq(1).all()
        torch.testing.assert_close(binding.bone_weights[held], weight[:, 0])
        expected = torch.tensor([slope, 0.0, 0.0]).expand(len(x), 3)
        torch.testing.assert_close(binding.weight_gradients[held], expected, rtol=0, atol=1e-5)


def test_shares_sum_to_one_and_their_gradients_to_zero_on_the_open_body(avatar):
    binding = avatar.binding
    assert (binding.bone_weights.sum(1) - 1).abs().max() < 1e-6
    assert binding.weight_gradients.sum(1).abs().max() < 1e-3
    assert binding.bone_ids.shape[1] == BONES_KEPT


def test_the_largest_shares_are_kept():
    weights = torch.tensor([[0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.05]])
    binding = bind_to_bones(weights)
    assert binding.bone_ids.tolist() == [[0, 1, 2, 3, 4, 5]]
    torch.testing.assert_close(binding.bone_weights, weights[:, :6] / 0.95)
    assert binding.face_ids.tolist() == [-1]


def test_carrying_reads_linear_functions_exactly_and_nothing_on_shells(sheet):
    face_ids, barycentric = random_places(sheet, 20)
    binding = join_bindings(bind(sheet, face_ids, barycentric), bind_to_bones(torch.eye(8)))
    vertices, faces, _ = sheet
    read = carry(binding, faces, 2 * vertices + 1)
    places = (vertices[faces[face_ids]] * barycentric[..., None]).sum(1)
    torch.testing.assert_close(read[:20], 2 * places + 1)
    assert read[20:].eq(0).all()


def test_joined_bindings_keep_their_rows_in_order(sheet):
    first, second = bind(sheet, *random_places(sheet, 7)), bind_to_bones(torch.eye(8))
    both = join_bindings(first, second)
    for name in ("face_ids", "barycentric", "bone_ids", "bone_weights", "weight_gradients"):
        joined = getattr(both, name)
        assert torch.equal(joined[:7], getattr(first, name))
        assert torch.equal(joined[7:], getattr(second, name))
