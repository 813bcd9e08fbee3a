"""Winding numbers: inside, outside, and inside of two."""

import torch

from persona.geometry.winding import winding_numbers

CORNERS = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
FACES = torch.tensor([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


def test_a_tetrahedron_goes_once_around_its_middle():
    points = torch.tensor([[0.2, 0.2, 0.2], [0.5, 0.5, 0.5], [-0.1, 0.1, 0.1]])
    found = winding_numbers(points, CORNERS, FACES)
    torch.testing.assert_close(found, torch.tensor([1.0, 0.0, 0.0]), atol=1e-5, rtol=0)


def test_two_that_overlap_go_twice_and_one_turned_inside_out_goes_back():
    both, again = torch.cat([CORNERS, CORNERS - 0.1]), torch.cat([FACES, FACES + 4])
    point = torch.tensor([[0.1, 0.1, 0.1]])
    assert abs(float(winding_numbers(point, both, again)) - 2) < 1e-5
    assert abs(float(winding_numbers(point, CORNERS, FACES.flip(1))) + 1) < 1e-5


def test_no_points_are_no_numbers():
    assert winding_numbers(torch.zeros(0, 3), CORNERS, FACES).shape == (0,)
