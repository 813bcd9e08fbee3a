"""Lab values of colours that books print."""

import pytest
import torch

from persona.evaluation.color import lab_distance, to_lab


@pytest.mark.parametrize(
    ("srgb", "lab"),
    [
        ((1.0, 1.0, 1.0), (100.0, 0.0, 0.0)),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ((1.0, 0.0, 0.0), (53.24, 80.09, 67.20)),
        ((0.0, 0.0, 1.0), (32.30, 79.19, -107.86)),
    ],
)
def test_known_colours(srgb, lab):
    torch.testing.assert_close(to_lab(torch.tensor(srgb)), torch.tensor(lab), atol=0.02, rtol=0)


def test_distance_is_a_metric():
    a, b, c = torch.rand(3, 50, 3, generator=torch.Generator().manual_seed(0))
    assert float(lab_distance(a, a).max()) == 0.0
    torch.testing.assert_close(lab_distance(a, b), lab_distance(b, a))
    assert bool((lab_distance(a, c) <= lab_distance(a, b) + lab_distance(b, c) + 1e-4).all())
