"""The working view: pixels stay where the camera projects them, and rims are told from cores."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.geometry.cameras import photo_camera
from persona.optimization.view import (
    background_glow,
    extend_edges,
    trusted_interior,
    working_view,
)
from persona.records.observation import Part

INK = torch.tensor([1.0, 0.0, 0.0])


def with_dot(drawn, pixel):
    """Blacken the photo but for one soft red dot; ``pixel`` is (x, y)."""
    height, width = drawn.photo.rgb.shape[:2]
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    near = torch.exp(-0.5 * ((x - pixel[0]) ** 2 + (y - pixel[1]) ** 2) / 2.5**2)
    return replace(drawn.photo, rgb=near[..., None] * INK)


def center_of_ink(image):
    """Centroid (x, y) of the red channel, pixel centres at half integers."""
    weight = image[..., 0].double()
    y, x = torch.meshgrid(*(torch.arange(s) + 0.5 for s in weight.shape), indexing="ij")
    return torch.stack([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


@given(
    x=st.floats(0.3, 0.7), y=st.floats(0.15, 0.85), person_height=st.sampled_from([97, 200, 512])
)
@settings(max_examples=12, deadline=None)
def test_a_dot_lands_where_the_camera_projects_it(drawn, x, y, person_height):
    left, top, right, bottom = drawn.observation.box
    pixel = torch.tensor([left + x * (right - left), top + y * (bottom - top)])
    photo = with_dot(drawn, pixel)
    view = working_view(photo, drawn.observation, drawn.fit, person_height=person_height)
    point = photo_camera(*drawn.fit.image_size, drawn.fit.focal_px).unproject(
        pixel, torch.tensor(4.0)
    )
    projected, depth = view.camera.project(point)
    assert float(depth) == pytest.approx(4.0)
    found = center_of_ink(view.image)
    torch.testing.assert_close(found.float(), projected, atol=0.05, rtol=0)
    torch.testing.assert_close(view.to_view(pixel[None])[0], projected, atol=1e-3, rtol=0)


def test_image_mask_and_parts_share_the_cameras_size(view):
    size = (view.camera.height, view.camera.width)
    assert view.image.shape == (*size, 3)
    assert view.mask.shape == view.parts.shape == size
    assert float(view.mask.min()) >= 0
    assert float(view.mask.max()) <= 1


def test_the_person_fills_the_height_that_was_asked_for(drawn):
    view = working_view(drawn.photo, drawn.observation, drawn.fit, person_height=300)
    rows = torch.nonzero((view.mask > 0.5).any(1))[:, 0]
    assert int(rows[-1] - rows[0]) + 1 == pytest.approx(300, abs=1)


def test_a_person_at_the_photos_edge_gets_an_empty_margin(drawn):
    """Outside the photo colours repeat and the mask is empty."""
    rows = round(drawn.observation.box[1])
    cut = replace(drawn.photo, rgb=drawn.photo.rgb[rows:])
    observation = replace(
        drawn.observation,
        mask=drawn.observation.mask[rows:],
        parts=drawn.observation.parts[rows:],
        box=(*drawn.observation.box[:1], 0.0, *drawn.observation.box[2:3], 385.0 - rows),
    )
    view = working_view(cut, observation, drawn.fit, person_height=200)
    assert float(view.mask[:10].max()) == 0
    assert not view.parts[:10].any()
    assert torch.isfinite(view.image).all()


def square(size=40, low=10, high=30):
    mask = torch.zeros(size, size)
    mask[low:high, low:high] = 1
    return mask


@pytest.mark.parametrize("inset", [2, 4])
def test_the_trusted_interior_keeps_its_distance_from_the_outline(inset):
    trusted = trusted_interior(square(), inset)
    rows, columns = np.where(trusted)
    # A pixel's distance is measured to the first pixel outside.
    assert rows.min() == columns.min() == 10 + inset
    assert rows.max() == columns.max() == 29 - inset


def test_a_strand_thinner_than_the_inset_keeps_its_middle():
    mask = torch.zeros(30, 30)
    mask[:, 14:17] = 1
    trusted = trusted_interior(mask, 4)
    assert trusted[5:25, 15].all()
    assert not trusted[:, :14].any()
    assert not trusted[:, 17:].any()


def test_half_covered_pixels_are_never_trusted():
    mask = square() * 0.6
    assert not trusted_interior(mask, 1).any()


def test_extended_edges_show_nothing_of_the_background(make_view):
    mask = square()
    image = torch.where(mask[..., None] > 0, torch.tensor([0.2, 0.4, 0.6]), torch.ones(3))
    image[10, 10:30] = 0.6  # the rim mixes both
    extended = extend_edges(make_view(image, mask, own_alpha=True), inset=2)
    torch.testing.assert_close(extended, torch.tensor([0.2, 0.4, 0.6]).expand(40, 40, 3))


def test_extended_edges_leave_the_interior_alone(view):
    extended = extend_edges(view, inset=2)
    inside = torch.from_numpy(trusted_interior(view.mask, 2) & ~background_glow(view))
    assert torch.equal(extended[inside], view.image[inside])


def lit_from_behind():
    """A dark person before a bright wall whose light spills over the top of the outline."""
    mask = torch.zeros(80, 80)
    mask[15:65, 15:65] = 1
    image = torch.where(mask[..., None] > 0, 0.2, 0.9).expand(80, 80, 3).clone()
    image[15:20, 30:50] = 0.7
    return image, mask


def test_light_that_spills_over_the_outline_is_found(make_view):
    glow = background_glow(make_view(*lit_from_behind()))
    assert glow[15:19, 32:48].all()
    assert not glow[30:50, 30:50].any()


def test_a_photos_own_alpha_is_believed(make_view):
    assert not background_glow(make_view(*lit_from_behind(), own_alpha=True)).any()


def test_a_bright_part_is_not_the_glow_of_a_dark_one(make_view):
    """A white shoe at the end of a dark leg is compared with shoe, not with leg."""
    image, mask = lit_from_behind()
    image[15:35, 15:65] = 0.7
    parts = (mask > 0).long() * int(Part.LOWER)
    parts[15:35, 15:65] = int(Part.SHOES)
    glow = background_glow(make_view(image, mask, parts=parts))
    assert not glow[15:33, 20:60].any()


def test_a_person_as_bright_as_the_background_has_no_glow(make_view):
    mask = lit_from_behind()[1]
    image = torch.full((80, 80, 3), 0.5) + 0.05 * mask[..., None]
    assert not background_glow(make_view(image, mask)).any()


def test_a_person_who_fills_the_picture_has_no_background_to_glow(make_view):
    image = torch.rand(30, 30, 3, generator=torch.Generator().manual_seed(0))
    assert not background_glow(make_view(image, torch.ones(30, 30))).any()
