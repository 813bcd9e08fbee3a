"""Light: what it does to white surfaces, and how it is exposed."""

import pytest
import torch

from persona.avatar.light import MAX_EXPOSURE, MIN_SHADE, Light
from persona.core.errors import InputError
from persona.geometry.harmonics import directions_of_panorama
from persona.images.colors import luminance

EVERYWHERE = directions_of_panorama(24, 48).reshape(-1, 3)


def test_even_light_shades_one():
    assert torch.allclose(Light.even().shade(EVERYWHERE), torch.ones(len(EVERYWHERE), 3))


def test_a_lamp_is_brightest_where_it_stands_and_of_any_distance():
    towards = torch.nn.functional.normalize(torch.tensor([0.5, 1.0, 0.3]), dim=0)
    light = Light.from_direction(towards)
    brightest = EVERYWHERE[light.shade(EVERYWHERE)[:, 0].argmax()]
    assert float(brightest @ towards) > 0.99
    far = Light.from_direction(20 * towards)
    assert torch.allclose(light.coefficients, far.coefficients, atol=1e-5)
    assert light.shade(-towards[None]).min() > MIN_SHADE


def test_exposure_forgets_the_scale_of_a_panorama_and_keeps_its_colour():
    g = torch.Generator().manual_seed(0)
    radiance = torch.rand(16, 32, 3, generator=g) * torch.tensor([1.0, 0.8, 0.4])
    light = Light.from_panorama(radiance)
    scaled = Light.from_panorama(1e5 * radiance)
    assert torch.allclose(light.coefficients, scaled.coefficients, rtol=1e-3, atol=1e-4)
    shade = light.shade(EVERYWHERE)
    assert luminance(shade).mean() == pytest.approx(1, abs=0.05)
    assert (shade[:, 0] > 2 * shade[:, 2]).all()


def test_the_sun_is_not_brighter_than_a_camera_lets_pass():
    radiance = torch.full((32, 64, 3), 0.01)
    radiance[8, 40] = 1e4
    shade = Light.from_panorama(radiance).shade(EVERYWHERE)
    assert luminance(shade).max() == pytest.approx(MAX_EXPOSURE, rel=0.02)
    assert shade.min() >= MIN_SHADE


def test_a_panorama_lights_from_where_it_is_bright():
    radiance = torch.full((32, 64, 3), 0.1)
    radiance[:, 48] = 5.0  # three quarters across: to the right
    shade = Light.from_panorama(radiance).shade(torch.tensor([[1.0, 0, 0], [-1.0, 0, 0]]))
    assert shade[0, 0] > 2 * shade[1, 0]


def test_light_that_is_not_finite_is_refused():
    with pytest.raises(InputError, match="coefficients"):
        Light(coefficients=torch.full((9, 3), torch.nan))
