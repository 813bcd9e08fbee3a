import numpy as np
import torch

from persona.geometry.meshes import is_closed
from persona.geometry.surface_nets import surface_nets


def grid(size: int) -> np.ndarray:
    return np.stack(np.meshgrid(*[np.arange(size)] * 3, indexing="ij"), -1).astype(float)


def test_a_ball_is_round_closed_and_looks_outwards():
    field = np.linalg.norm(grid(24) - 11.3, axis=-1) - 8
    vertices, faces = surface_nets(field, np.ones_like(field, bool))
    radius = np.linalg.norm(vertices - 11.3, axis=1)
    assert np.abs(radius - 8).max() < 0.3
    assert is_closed(torch.from_numpy(faces))
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    volume = (np.cross(a, b) * c).sum() / 6  # positive where triangles look outwards
    assert abs(volume / (4 / 3 * np.pi * 8**3) - 1) < 0.05


def test_a_sheet_ends_where_nothing_is_known():
    places = grid(12)
    known = (places[..., 0] < 6) & (places[..., 2] > 2)
    vertices, faces = surface_nets(places[..., 1] - 5.25, known)
    np.testing.assert_allclose(vertices[:, 1], 5.25)
    assert vertices[:, 0].max() < 6
    assert len(faces) == 2 * (5 - 1) * (8 - 1)
    normals = np.cross(*(vertices[faces[:, k]] - vertices[faces[:, 0]] for k in (1, 2)))
    assert (normals[:, 1] > 0).all()


def test_no_sign_no_surface():
    vertices, faces = surface_nets(np.ones((4, 4, 4)), np.ones((4, 4, 4), bool))
    assert vertices.shape == (0, 3)
    assert faces.shape == (0, 3)
