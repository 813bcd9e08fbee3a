"""Backgrounds: colours read, pictures fitted, transparency kept."""

import pytest
import torch

from persona.core.errors import InputError
from persona.rendering.compositing import fit_background, over, parse_color, straight_rgba


def test_straight_alpha_put_over_a_color_is_the_premultiplied_picture_put_over_it():
    g = torch.Generator().manual_seed(0)
    alpha = torch.rand(6, 5, generator=g)
    alpha[0] = 0
    color = torch.rand(6, 5, 3, generator=g)
    background = torch.tensor([0.2, 0.4, 0.6])
    rgba = straight_rgba(color * alpha[..., None], alpha)
    assert torch.equal(rgba[..., 3], alpha)
    mixed = rgba[..., :3] * alpha[..., None] + (1 - alpha)[..., None] * background
    torch.testing.assert_close(mixed, over(color * alpha[..., None], alpha, background))
    assert (rgba[0] == 0).all()


@pytest.mark.parametrize(("width", "height"), [(40, 30), (30, 40), (7, 90), (200, 10)])
def test_a_background_covers_the_picture_around_its_middle(width, height):
    picture = torch.zeros(50, 60, 3)
    picture[:, :, 0] = torch.linspace(0, 1, 60)
    picture[:, :, 1] = torch.linspace(0, 1, 50)[:, None]
    fitted = fit_background(picture, width=width, height=height)
    assert fitted.shape == (height, width, 3)
    middle = fitted[height // 2 - 1 : height // 2 + 1, width // 2 - 1 : width // 2 + 1]
    torch.testing.assert_close(middle.mean((0, 1))[:2], torch.tensor([0.5, 0.5]), atol=0.03, rtol=0)


def test_an_empty_background_is_refused():
    with pytest.raises(InputError, match="0 x 4 was to cover"):
        fit_background(torch.zeros(4, 0, 3), width=5, height=5)


def test_colors_are_read_by_name_and_by_number():
    assert parse_color(" White ").tolist() == [1, 1, 1]
    assert parse_color("#336699").tolist() == pytest.approx([0.2, 0.4, 0.6])
    for wrong in ("whitish", "#12345", "#gggggg", ""):
        with pytest.raises(InputError, match="is not a colour"):
            parse_color(wrong)
