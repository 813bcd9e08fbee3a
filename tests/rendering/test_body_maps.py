"""Maps of a mesh: an octahedron seen from the front."""

import pytest
import torch

from persona.geometry.cameras import Camera, look_at
from persona.rendering.body_maps import NO_PART, draw_body_maps, vertex_normals, visible_points

VERTICES = torch.tensor(
    [
        [1.0, 0.0, 0.0],
        [-1.0, 0.0, 0.0],
        [0.0, 1.0, 0.0],
        [0.0, -1.0, 0.0],
        [0.0, 0.0, 1.0],
        [0.0, 0.0, -1.0],
    ]
)
FACES = torch.tensor(
    [[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]]
)


@pytest.fixture(scope="module")
def camera():
    return Camera(
        width=60,
        height=50,
        focal_px=60.0,
        center_px=(30.0, 25.0),
        T_camera_world=look_at(torch.tensor([0.0, 0.0, 4.0]), torch.zeros(3)),
    )


def test_the_front_of_the_mesh_is_what_is_seen(camera):
    maps = draw_body_maps(VERTICES, FACES, camera)
    assert set(maps.face_ids.unique().tolist()) == {-1, 0, 1, 2, 3}
    # The silhouette is the square |x| + |y| <= 1 at depth 4: half-diagonal 15 px,
    # with the centres on its edges counted in.
    assert int(maps.mask.sum()) == pytest.approx(2 * 15 * 15 + 30, rel=0.02)
    assert maps.depth[25, 30].item() == pytest.approx(3.0, abs=0.06)
    assert (maps.depth[~maps.mask] == 0).all()
    assert maps.normal[25, 30, 2] < -0.9
    assert maps.normal[15, 30, 1] < -0.3
    lengths = maps.normal.norm(dim=-1)
    torch.testing.assert_close(lengths, maps.mask.float())


def test_parts_and_values_follow_the_faces(camera):
    maps = draw_body_maps(VERTICES, FACES, camera)
    parts = maps.parts(torch.arange(8) * 10)
    assert parts[0, 0] == NO_PART
    assert parts[20, 35] == 0
    assert parts[20, 25] == 10
    positions = maps.gather(FACES, VERTICES)
    pixels, depth = camera.project(positions[maps.mask])
    rows, columns = torch.nonzero(maps.mask, as_tuple=True)
    centers = torch.stack([columns, rows], 1) + 0.5
    torch.testing.assert_close(pixels, centers, atol=1e-3, rtol=0)
    torch.testing.assert_close(depth, maps.depth[maps.mask], atol=1e-4, rtol=0)


def test_the_back_is_hidden_and_the_outside_is_not_seen(camera):
    maps = draw_body_maps(VERTICES, FACES, camera)
    points = torch.cat(
        [VERTICES, torch.tensor([[0.0, 0.0, 5.0], [9.0, 0.0, 0.0], [0.1, 0.1, 3.0]])]
    )
    seen = visible_points(points, maps, camera)
    assert seen.tolist() == [True, True, True, True, True, False, False, False, True]


def test_nothing_to_draw_is_an_empty_map(camera):
    none = torch.zeros(0, 3, dtype=torch.int64)
    maps = draw_body_maps(VERTICES, none, camera)
    assert not maps.mask.any()
    assert (maps.normal == 0).all()
    behind = draw_body_maps(VERTICES + torch.tensor([0.0, 0.0, 8.0]), FACES, camera)
    assert not behind.mask.any()


def test_normals_point_outwards():
    torch.testing.assert_close(vertex_normals(VERTICES, FACES), VERTICES)
