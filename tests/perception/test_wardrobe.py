"""Painted people in known clothes: kinds, places, doubts; and the real photos."""

import cv2
import numpy as np
import pytest
import torch

from persona.images.files import read_image
from persona.perception.legs import LegCues
from persona.perception.parts import label_parts
from persona.perception.stage import gather, perceive
from persona.perception.wardrobe import guess_wardrobe, tube_probability
from persona.perception.wardrobe_picture import draw_wardrobe
from persona.records.observation import Observation
from persona.records.photo import Photo
from persona.records.wardrobe import Confidence, Doubt, Lower, Upper
from tests.perception.conftest import HEIGHT, WIDTH, sighting, standing

SKIN, HAIR, BLUE, GREEN, GRAY, RED = (
    (214, 160, 130), (50, 35, 25), (60, 90, 170), (40, 120, 60), (70, 70, 75), (150, 20, 30),
)  # fmt: skip
LEGS = ((23, 25, 27, 29, 31), (24, 26, 28, 30, 32))
ARMS = ((11, 13, 15, 19), (12, 14, 16, 20))


class Painter:
    """Strokes on a picture and its mask."""

    def __init__(self, person) -> None:
        self.body = person.body
        self.picture = np.full((HEIGHT, WIDTH, 3), 235, np.uint8)
        self.mask = np.zeros((HEIGHT, WIDTH), np.float32)

    def stroke(self, points, colour, thick):
        line = [np.round(np.array(points)).astype(np.int32)]
        for canvas, value in ((self.picture, colour), (self.mask, 1.0)):
            cv2.polylines(canvas, line, isClosed=False, color=value, thickness=thick)

    def fill(self, points, colour):
        for canvas, value in ((self.picture, colour), (self.mask, 1.0)):
            cv2.fillPoly(canvas, [np.round(np.array(points)).astype(np.int32)], value)

    def limb(self, points, end, colour, thick):
        """Stroke from the first point down to ``end`` bones, the round cap included."""
        chain = [np.array(point, float) for point in points]
        bone = np.linalg.norm(chain[min(int(end), 1) + 1] - chain[min(int(end), 1)])
        end = max(end - thick / 2 / bone, 0.05)
        whole = chain[: int(end) + 1]
        if int(end) < len(chain) - 1:
            share = end - int(end)
            whole.append(chain[int(end)] * (1 - share) + chain[int(end) + 1] * share)
        self.stroke(whole, colour, thick)


def painted(
    *,
    legs=None,
    hem=2.0,
    lower=GRAY,
    upper=BLUE,
    sleeve=2.0,
    skirt=None,
    flare=30,
    tights=SKIN,
    together=False,
    hair=0,
) -> tuple[Photo, Observation]:
    """Paint somebody standing, bare but for these clothes.

    ``skirt`` is where a tube of cloth ends, ``hem`` where legs of cloth do, in bones.
    """
    close = {"j25": (0.055, 0.50, 0), "j26": (-0.055, 0.50, 0)} if together else {}
    close |= {"j27": (0.05, 0.09, 0), "j28": (-0.05, 0.09, 0)} if together else {}
    person = sighting(standing(**close))
    paint, body = Painter(person), person.body
    cv2.ellipse(paint.picture, (500, 345), (46, 60), 0, 0, 360, HAIR, -1)
    cv2.ellipse(paint.mask, (500, 345), (46, 60), 0, 0, 360, 1.0, -1)
    for hip, knee, ankle, heel, toe in LEGS:
        paint.stroke(body[[hip, knee, ankle]], tights, 50)
        if legs:
            paint.limb(body[[hip, knee, ankle]], hem, lower, 56)
        paint.stroke(body[[ankle, heel, toe]], RED, 36)
    trunk = np.array([body[11], body[12], body[24] + (0, 10), body[23] + (0, 10)])
    paint.fill(cv2.convexHull(trunk.astype(np.int32))[:, 0], upper)
    paint.stroke([(500, 380), (500, 440)], SKIN, 40)
    if legs:
        paint.stroke(body[[23, 24]] + (0, 16), lower, 30)
    if skirt is not None:
        down = [body[hip] + (body[knee] - body[hip]) * skirt for hip, knee, *_ in LEGS]
        aside = np.array([flare, 0.0])
        waist = [body[23] + (18, -20), body[24] - (18, 20)]
        paint.fill([waist[0], down[0] + aside, down[1] - aside, waist[1]], lower)
    for shoulder, elbow, wrist, finger in ARMS:
        paint.stroke(body[[shoulder, elbow, wrist, finger]], SKIN, 36)
        if sleeve > 0:
            paint.limb(body[[shoulder, elbow, wrist]], sleeve, upper, 44)
    cv2.fillPoly(paint.picture, [np.round(person.face[:, :2]).astype(np.int32)], SKIN)
    if hair:
        for side in (-1, 1):
            paint.stroke([(500 + side * 44, 340), (500 + side * 60, 400 + hair)], HAIR, 26)
    noise = np.random.default_rng(0).normal(0, 3, paint.picture.shape)
    picture = np.clip(paint.picture + noise, 0, 255).astype(np.uint8)
    photo = Photo(rgb=torch.from_numpy(picture.astype(np.float32) / 255))
    parts = label_parts(picture, paint.mask, person)
    return photo, gather(person, paint.mask, parts, mask_source="alpha", warnings=())


def guess(**clothes):
    return guess_wardrobe(*painted(**clothes))


def test_trousers_are_two_long_legs():
    worn = guess(legs=True, hem=2.0)
    assert (worn.lower, worn.confidence) == (Lower.TROUSERS, Confidence.SURE)
    assert worn.hems == pytest.approx((2.0, 2.0), abs=0.17)
    assert worn.upper is Upper.TOP
    assert not worn.doubts


@pytest.mark.parametrize("hem", [0.6, 0.85, 1.15])
def test_shorts_end_where_skin_begins(hem):
    worn = guess(legs=True, hem=hem)
    assert (worn.lower, worn.confidence) == (Lower.SHORTS, Confidence.SURE)
    assert worn.hems == pytest.approx((hem, hem), abs=0.08)


@pytest.mark.parametrize("hem", [0.55, 0.8, 0.95])
@pytest.mark.parametrize("colour", [GREEN, GRAY], ids=["green", "gray"])
def test_a_skirt_is_one_tube(hem, colour):
    worn = guess(skirt=hem, lower=colour)
    assert worn.lower is Lower.SKIRT
    assert worn.is_tube
    assert worn.hems == pytest.approx((hem, hem), abs=0.1)


@pytest.mark.parametrize("hem", [0.6, 0.9])
def test_a_dress_is_one_tube_and_one_piece(hem):
    worn = guess(skirt=hem, lower=BLUE)
    assert (worn.lower, worn.one_piece) == (Lower.DRESS, True)


def test_a_wide_skirt_over_tights_ends_where_the_outline_narrows():
    worn = guess(skirt=0.8, lower=GREEN, flare=85, tights=GRAY)
    assert worn.lower is Lower.SKIRT
    assert worn.hems == pytest.approx((0.8, 0.8), abs=0.15)


def test_hot_pants_of_the_colour_of_the_top_are_no_dress():
    worn = guess(legs=True, hem=0.3, lower=BLUE)
    assert worn.lower is Lower.SHORTS


def test_an_unsure_skirt_is_two_legs_and_called_a_guess():
    """Legs that touch down to the feet tell nothing about what is around them."""
    worn = guess(skirt=0.8, lower=GREEN, together=True)
    assert not worn.is_tube
    assert worn.confidence is Confidence.GUESSED
    assert Doubt.CLOSED_LEGS in worn.doubts


@pytest.mark.parametrize("sleeve", [0.4, 0.75, 1.3])
def test_sleeves_end_where_skin_begins(sleeve):
    assert guess(legs=True, sleeve=sleeve).sleeves == pytest.approx((sleeve, sleeve), abs=0.1)


def test_bare_chests_wear_no_top():
    assert guess(legs=True, upper=SKIN, sleeve=0).upper is Upper.NONE


def test_hair_counts_from_the_chin_down():
    assert guess(legs=True).hair == 0
    assert guess(legs=True, hair=120).hair == pytest.approx(120 / 235, abs=0.15)


def test_the_waist_is_where_the_colours_part():
    assert guess(legs=True).waist == pytest.approx(1.0, abs=0.12)


def test_a_picture_without_colours_still_gives_a_guess():
    photo, seen = painted(legs=True)
    gray = photo.rgb.mean(-1, keepdim=True).expand(-1, -1, 3).contiguous()
    worn = guess_wardrobe(Photo(rgb=gray), seen)
    assert Doubt.GRAY in worn.doubts
    assert not worn.is_tube


def cues(**changes) -> LegCues:
    plain = {"rows": 15, "split": 0.0, "open_below": 0.4, "seam": 2.0, "flare": 0.0}
    plain |= {"flare_at": 0.4, "flare_step": 0.0, "spread": 0.5, "doubts": ()}
    return LegCues(**(plain | changes))


@pytest.mark.parametrize(("name", "values"), [
    ("split", (0.0, 0.1, 0.3, 0.8)), ("seam", (2.0, 6.0, 9.0)),
])  # fmt: skip
def test_what_speaks_for_two_legs_lowers_the_probability_of_a_tube(name, values):
    chances = [tube_probability(cues(**{name: value}), hem=0.9, alike=0.0) for value in values]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.8
    assert chances[-1] < chances[0]


def test_what_speaks_for_a_tube_raises_it():
    plain = tube_probability(cues(open_below=0.0), hem=0.9, alike=0.0)
    assert tube_probability(cues(), hem=0.9, alike=0.0) > plain
    assert tube_probability(cues(open_below=0.0), hem=0.9, alike=1.0) > plain
    assert tube_probability(cues(open_below=0.0, flare=0.3, flare_at=0.9), hem=0.9, alike=0) > plain


def test_the_picture_is_a_picture_whatever_is_worn():
    for clothes in ({"legs": True, "hair": 120}, {"skirt": 0.8}, {"legs": True, "upper": SKIN}):
        photo, seen = painted(**clothes)
        drawn = draw_wardrobe(photo, seen, guess_wardrobe(photo, seen))
        assert drawn.shape[2] == 3
        assert 0 <= float(drawn.min()) <= float(drawn.max()) <= 1
        assert drawn.shape[0] > 640


REAL = {
    "f01_blue_sweats.jpg": Lower.TROUSERS, "f02_red_jacket_shorts.png": Lower.SHORTS,
    "f04_hat_bag_miniskirt.png": Lower.SKIRT, "f07_sweater_man.png": Lower.TROUSERS,
    "f08_runway_walk.jpg": Lower.TROUSERS, "f09_red_polo_white_shorts.jpg": Lower.SHORTS,
    "f12_yoga_tree.jpg": Lower.TROUSERS, "f16_field_jacket_dark_skin.jpg": Lower.TROUSERS,
    "f20_squat.bmp": Lower.SHORTS, "f25_fleece_jacket.png": Lower.TROUSERS,
    "f27_patterned_jumper.png": Lower.TROUSERS, "f28_tight_sportswear.png": Lower.TROUSERS,
    "f29_shirt_shorts_wave.png": Lower.SHORTS, "f31_wide_trousers.png": Lower.TROUSERS,
    "f33_denim_shirt_dark_skin.png": Lower.TROUSERS, "f35_loose_linen_older.png": Lower.TROUSERS,
    "f37_leather_jacket_bag.png": Lower.TROUSERS, "f39_wide_crouch_older.png": Lower.TROUSERS,
}  # fmt: skip
TUBES = {
    "f04_hat_bag_miniskirt.png": Lower.SKIRT, "h18_seated_stool.jpg": Lower.DRESS,
    "h23_head_top_cropped.png": Lower.DRESS,
}  # fmt: skip


def real_guess(real_data, name):
    picture = read_image(real_data / "images" / name)
    photo = Photo(rgb=picture.rgb, alpha=picture.alpha, name=picture.name)
    return guess_wardrobe(photo, perceive(photo, allow_partial=True))


@pytest.mark.slow
def test_real_lower_garments_have_the_right_class_on_16_of_18(real_data):
    found = {name: real_guess(real_data, name) for name in REAL}
    wrong = {name: worn.lower.value for name, worn in found.items() if worn.lower is not REAL[name]}
    assert len(wrong) <= 2, wrong
    sure_and_wrong = [name for name in wrong if found[name].confidence is Confidence.SURE]
    assert not sure_and_wrong


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), TUBES.items(), ids=TUBES)
def test_real_skirts_and_dresses_are_one_tube(real_data, name, kind):
    worn = real_guess(real_data, name)
    assert worn.is_tube
    assert worn.lower is kind
