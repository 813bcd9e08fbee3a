"""One drawn person from photo to avatar: sane, like the photo, the same colours behind."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from persona.avatar import Avatar
from persona.avatar.integrity import check_avatar
from persona.geometry.cameras import look_at
from persona.optimization.limbs import Limb
from persona.optimization.stage import OptimizeAvatar, OptimizeConfig, _stained_hands
from persona.optimization.trainer import TrainConfig
from persona.records.observation import Part

SMALL = OptimizeConfig(gaussians=6000, person_height=160, train=TrainConfig(steps=20))


@pytest.fixture(scope="module")
def ticks():
    return []


@pytest.fixture(scope="module")
def avatar(body, drawn, ticks):
    stage = OptimizeAvatar(body, SMALL)
    return stage(drawn.photo, drawn.observation, drawn.fit, seed=1, tick=ticks.append)


def test_the_avatar_is_sane(avatar, ticks):
    check_avatar(avatar)
    assert avatar.count == SMALL.gaussians
    assert ticks == list(range(1, 21))
    assert 0.1 < avatar.numbers["seen_share"] < 0.5
    assert avatar.numbers["dressed_iou"] > 0.9
    assert set(avatar.parts.unique().tolist()) <= {int(part) for part in Part}


def test_it_looks_like_the_photo(avatar, drawn):
    """Inside the mask less three pixels; the outline against the photo's own alpha."""
    drawing = avatar.render(avatar.photo_params, avatar.photo_camera, background=torch.ones(3))
    mask = drawn.observation.mask > 0.5
    kernel = torch.ones(1, 1, 7, 7)
    inner = torch.nn.functional.conv2d(mask[None, None].float(), kernel, padding=3)[0, 0] > 48.5
    error = (drawing.color - drawn.photo.rgb)[inner].square().mean()
    assert float(-10 * error.log10()) > 22
    covered = drawing.alpha > 0.5
    assert float((covered & mask).sum() / (covered | mask).sum()) > 0.9


@pytest.fixture(scope="module")
def from_behind(avatar):
    """A drawing from the other side of the person; white around them."""
    middle = avatar.photo_params.transl + torch.tensor([0.0, -0.4, 0.0])
    eye = middle + torch.tensor([0.0, 0.0, -4.0])
    camera = replace(avatar.photo_camera, T_camera_world=look_at(eye, middle))
    return camera, avatar.render(avatar.photo_params, camera)


@pytest.mark.parametrize(
    ("limb_height", "expected"),
    [(0.05, (0.2, 0.3, 0.7)), (-0.75, (0.3, 0.5, 0.25))],
    ids=["top", "trousers"],
)
def test_the_back_wears_the_same_clothes(avatar, from_behind, limb_height, expected):
    camera, drawing = from_behind
    place = avatar.photo_params.transl + torch.tensor([0.0, limb_height, 0.0])
    row = int(camera.project(place)[0][1])
    solid = drawing.alpha[row] > 0.95
    color = drawing.color[row][solid].median(0).values
    torch.testing.assert_close(color, torch.tensor(expected), atol=0.06, rtol=0)


def test_saving_and_loading_gives_the_same_avatar(avatar, tmp_path):
    avatar.save(tmp_path / "ada.persona")
    again = Avatar.load(tmp_path / "ada.persona")
    assert torch.equal(again.canonical.means, avatar.canonical.means)
    assert torch.equal(again.canonical.colors, avatar.canonical.colors)
    assert again.numbers == avatar.numbers
    one, two = (a.pose(a.photo_params) for a in (avatar, again))
    assert torch.equal(one.means, two.means)
    assert torch.equal(one.covariances, two.covariances)


def test_warnings_of_earlier_stages_travel_on(body, drawn):
    stage = OptimizeAvatar(body, replace(SMALL, gaussians=1500, train=TrainConfig(steps=1)))
    made = stage(
        drawn.photo,
        replace(drawn.observation, warnings=("the mask was guessed",)),
        replace(drawn.fit, warnings=("the left hand was not seen",)),
    )
    assert made.warnings == ("the mask was guessed", "the left hand was not seen")


def test_a_stain_on_a_hand_is_not_believed():
    limb = np.array([int(Limb.LEFT_HAND)] * 20 + [int(Limb.TORSO)] * 5)
    color = np.tile([0.8, 0.6, 0.5], (25, 1))
    color[3] = color[22] = (0.1, 0.1, 0.3)
    seen = np.ones(25, bool)
    seen[4], color[4] = False, (0.1, 0.1, 0.3)
    assert np.where(_stained_hands(color, seen, limb))[0].tolist() == [3]
    assert not _stained_hands(color, seen & (limb == Limb.TORSO), limb).any()
