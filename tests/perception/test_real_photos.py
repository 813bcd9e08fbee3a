"""The real photos: every good one works, every bad one gets the right word."""

import pytest
import torch

from persona.core.errors import PhotoError
from persona.images.files import read_image
from persona.perception.stage import perceive
from persona.records.observation import Part
from persona.records.photo import Photo

GOOD = (
    "f01_blue_sweats.jpg", "f02_red_jacket_shorts.png", "f04_hat_bag_miniskirt.png",
    "f07_sweater_man.png", "f08_runway_walk.jpg", "f09_red_polo_white_shorts.jpg",
    "f12_yoga_tree.jpg", "f16_field_jacket_dark_skin.jpg", "f20_squat.bmp",
    "f25_fleece_jacket.png", "f27_patterned_jumper.png", "f28_tight_sportswear.png",
    "f29_shirt_shorts_wave.png", "f31_wide_trousers.png", "f33_denim_shirt_dark_skin.png",
    "f35_loose_linen_older.png", "f37_leather_jacket_bag.png", "f39_wide_crouch_older.png",
    "h07_aspect_tall_lowres.png",
)  # fmt: skip
REFUSED = {
    "h01_upper_body.png": ("only the upper body",),
    "h03_two_people.jpg": ("two people",),
    "h05_back_view_upper.jpg": ("only the upper body", "from the back"),
    "h16_feet_cropped.jpg": ("the feet",),
    "h18_seated_stool.jpg": ("seated",),
    "h21_cropped_knees_coat.jpg": ("feet", "outside the frame"),
    "h23_head_top_cropped.png": ("top of the head",),
    "n01_coffee.png": ("nobody",),
    "n02_truck.jpg": ("nobody",),
    "n03_truncated_file.jpg": ("n03_truncated_file",),
}
WARNED = {
    "h09_cartoon.png": "cartoon",
    "h12_tiny_person.jpg": "small",
    "h14_grayscale_elder.JPG": "grey",
}
PARTIAL = ("h01_upper_body.png", "h16_feet_cropped.jpg", "h18_seated_stool.jpg",
           "h21_cropped_knees_coat.jpg", "h23_head_top_cropped.png")  # fmt: skip
SIDE_BY_SIDE = {1: 790, 2: 1110}
"""Columns of the hips of the two people of h03."""


def read(real_data, name) -> Photo:
    picture = read_image(real_data / "images" / name)
    return Photo(rgb=picture.rgb, alpha=picture.alpha, name=picture.name, digest=picture.digest)


@pytest.mark.slow
@pytest.mark.parametrize("name", GOOD)
def test_good_photos_are_seen_whole(real_data, name):
    photo = read(real_data, name)
    seen = perceive(photo)
    assert seen.face is not None
    assert seen.mask.shape == photo.rgb.shape[:2]
    inside = seen.mask > 0.5
    columns, rows = seen.body[11:33].long().T
    on_person = inside[rows.clamp(0, photo.height - 1), columns.clamp(0, photo.width - 1)]
    assert on_person.float().mean() > 0.8
    present = {Part(int(label)) for label in seen.parts.unique()}
    assert {Part.BACKGROUND, Part.SKIN, Part.HAIR, Part.LOWER, Part.SHOES} <= present
    assert torch.equal(seen.parts > 0, inside)
    if seen.mask_source == "segmenter":
        unsure = ((seen.mask > 0.1) & (seen.mask < 0.9)).float().sum() / inside.sum()
        assert unsure < 0.06, "edges are crisp"
    # World axes: the head is above the feet, the left hip right of the right one as we see it.
    assert seen.body_world[0, 1] > seen.body_world[27:29, 1].max()
    assert seen.body_world[23, 0] > seen.body_world[24, 0]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "told"), REFUSED.items(), ids=REFUSED.keys())
def test_bad_photos_are_refused_with_the_right_word(real_data, name, told):
    with pytest.raises(PhotoError) as caught:
        perceive(read(real_data, name))
    for word in told:
        assert word in caught.value.what
    assert caught.value.fix


@pytest.mark.slow
@pytest.mark.parametrize(("name", "word"), WARNED.items(), ids=WARNED.keys())
def test_odd_photos_work_and_are_warned_about(real_data, name, word):
    assert word in " ".join(perceive(read(real_data, name)).warnings)


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTIAL)
def test_partial_people_go_on_when_asked(real_data, name):
    seen = perceive(read(real_data, name), allow_partial=True)
    assert "invented" in " ".join(seen.warnings)


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 2])
def test_one_of_two_people_is_picked(real_data, number):
    seen = perceive(read(real_data, "h03_two_people.jpg"), person=number)
    assert seen.body[23:25, 0].mean() == pytest.approx(SIDE_BY_SIDE[number], abs=30)
    other = SIDE_BY_SIDE[3 - number]
    assert seen.mask[500:1000, other - 30 : other + 30].mean() < 0.02
