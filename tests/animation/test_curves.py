import math

import pytest
import torch

from persona.animation.curves import ease, key_curve, loop_curve, sine, window

KEYS = [(0.1, 2.0), (0.4, -1.0), (0.7, 0.5)]


def test_loop_curve_passes_its_keys_and_closes_in_value_and_velocity():
    at_keys = loop_curve(torch.tensor([p for p, _ in KEYS]).double(), KEYS)
    torch.testing.assert_close(at_keys, torch.tensor([v for _, v in KEYS]).double())
    step = 1e-4
    ends = loop_curve(torch.tensor([-step, 0.0, step, 1 - step, 1.0, 1 + step]).double(), KEYS)
    torch.testing.assert_close(ends[:3], ends[3:])


def test_key_curve_holds_between_equal_keys_and_outside_all():
    keys = [(0.0, 1.0), (1.0, 3.0), (2.0, 3.0), (3.0, 0.0)]
    time = torch.tensor([-5.0, 1.25, 1.75, 9.0]).double()
    torch.testing.assert_close(key_curve(time, keys), torch.tensor([1.0, 3.0, 3.0, 0.0]).double())
    between = key_curve(torch.linspace(0, 3, 301).double(), keys)
    assert between.min() >= 0.0
    assert between.max() <= 3.0


def test_key_curve_of_one_key_is_constant():
    assert key_curve(torch.zeros(3), [(1.0, 4.0)]).tolist() == [4.0, 4.0, 4.0]


def test_ease_and_window_rest_at_their_ends():
    time = torch.tensor([0.0, 1.0, 1.5, 2.0, 3.0])
    assert ease(time, 1.0, 2.0).tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert window(time, (0.0, 1.0), (2.0, 3.0)).tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (slope,) = torch.autograd.grad(ease(x, 1.0, 2.0).sum(), x)
    assert slope.abs().max() == 0.0


def test_sine_counts_in_cycles():
    assert float(sine(torch.tensor([0.35]), 0.1)) == pytest.approx(math.sin(math.pi / 2), abs=1e-6)
