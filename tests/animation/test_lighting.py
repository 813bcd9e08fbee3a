"""Lights as they are typed, and people drawn in them."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from persona.animation.lighting import light_from, lit
from persona.avatar.light import Light
from persona.cli.main import main
from persona.core.errors import InputError
from persona.images.files import read_image
from tests.plain_avatar import make_plain_avatar


@pytest.fixture(scope="module")
def avatar():
    return make_plain_avatar(2_000)


@pytest.fixture(scope="module")
def folder(avatar, tmp_path_factory):
    path = tmp_path_factory.mktemp("people") / "plain.persona"
    replace(avatar, photo_size=(96, 128), photo_focal_px=180.0).save(path)
    return path


def test_words_numbers_and_files(tmp_path):
    assert light_from("photo") is None
    even = light_from(" None ")
    assert even is not None
    assert torch.equal(even.coefficients, Light.even().coefficients)
    lamp = light_from("-1, 0.5,2")
    assert lamp is not None
    expected = Light.from_direction(torch.tensor([-1.0, 0.5, 2.0]))
    assert torch.equal(lamp.coefficients, expected.coefficients)
    assert cv2.imwrite(str(tmp_path / "e.hdr"), np.ones((8, 16, 3), np.float32))
    place = light_from(str(tmp_path / "e.hdr"))
    assert place is not None
    assert torch.allclose(place.coefficients, Light.even().coefficients, atol=0.05)


@pytest.mark.parametrize(
    "text", ["sunny", "1,2", "1,2,3,4", "nan,0,1", "inf,0,0", "0,0,0", "gone.hdr", "place.exr", ""]
)
def test_other_words_are_refused_with_a_cure(text):
    with pytest.raises(InputError) as caught:
        light_from(text)
    assert caught.value.fix


def test_the_photos_light_is_the_avatar_itself(avatar):
    assert lit(avatar, None) is avatar


def test_render_in_the_photos_light_is_the_default_to_the_bit(folder, tmp_path):
    for name, words in (("default", []), ("photo", ["--light", "photo"])):
        assert main(["render", str(folder), "--out", str(tmp_path / f"{name}.png"), *words]) == 0
    assert (tmp_path / "default.png").read_bytes() == (tmp_path / "photo.png").read_bytes()


def test_a_lamp_at_the_left_lights_the_left_of_the_picture(folder, tmp_path):
    words = ["--light=-1,0,0", "--background", "black", "--camera", "front", "--size", "160"]
    assert main(["render", str(folder), "--out", str(tmp_path / "left.png"), *words]) == 0
    picture = read_image(tmp_path / "left.png").rgb.mean(-1)
    trunk = picture[60:80]
    shown = (trunk > 0.1).nonzero()[:, 1]
    middle = int(shown.float().mean())
    edge = int(shown.min()) + 4, int(shown.max()) - 4
    assert trunk[:, edge[0]].mean() > 1.2 * trunk[:, middle].mean()
    assert trunk[:, middle].mean() > 1.2 * trunk[:, edge[1]].mean()


def test_animate_draws_in_another_light(folder, tmp_path):
    for name, light in (("a", "photo"), ("b", "none"), ("c", "-1,0,0")):
        words = [f"--light={light}", "--size", "64", "--seconds", "0.1", "--motion", "idle"]
        assert main(["animate", str(folder), "--out", str(tmp_path / name), *words]) == 0
    first = [read_image(sorted((tmp_path / n).iterdir())[0]).rgb for n in "abc"]
    assert first[0].shape == first[1].shape == first[2].shape
    assert (first[0] - first[2]).abs().max() > 0.1


def test_a_light_that_is_no_light_ends_with_a_message(folder, tmp_path, capsys):
    out = tmp_path / "x.png"
    assert main(["render", str(folder), "--out", str(out), "--light", "sunny"]) == 2
    assert "sunny" in capsys.readouterr().err
    assert not out.exists()
