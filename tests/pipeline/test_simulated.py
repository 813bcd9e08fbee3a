"""Simulated clothes move cloth and nothing else, and what cannot be simulated is refused."""

from dataclasses import replace

import pytest
import torch

from persona.animation.clips import clip
from persona.animation.resampling import resample
from persona.avatar.avatar import neutral_vertices
from persona.core.errors import InputError
from persona.pipeline.simulated import led_in, simulate_clothes
from persona.records.motion import Motion
from persona.records.observation import Part
from persona.records.outfit import Outfit
from persona.synthesis.physics.patterns import cut_skirt
from persona.synthesis.physics.worn_motion import body_in_motion, simulate_worn

FRAMES = 4


@pytest.fixture(scope="module")
def walk() -> Motion:
    whole = resample(clip("walk"), fps=30)
    params = whole.params
    first = {
        name: getattr(params, name)[:FRAMES]
        for name in params.__dataclass_fields__
        if getattr(params, name).shape[0] == whole.frame_count
    }
    return replace(whole, params=replace(params, **first))


@pytest.fixture(scope="module")
def outfit(plain_avatar) -> Outfit:
    rest = neutral_vertices(plain_avatar.body, plain_avatar.identity)
    skirt = cut_skirt(plain_avatar.body, rest, around=60, rows=20)
    return Outfit(garments=(skirt,))


def test_cloth_near_the_skirt_moves_and_skin_stays(plain_avatar, outfit, walk):
    steps = []
    films = list(simulate_clothes(plain_avatar, outfit, walk, tick=lambda: steps.append(1)))
    assert len(films) == FRAMES
    assert len(steps) == FRAMES + led_in(plain_avatar, walk)[1]
    moved = torch.stack(films).norm(dim=-1).amax(0)
    assert moved.shape == (plain_avatar.count,)
    assert bool(torch.isfinite(moved).all())
    assert float(moved[plain_avatar.parts == Part.SKIN].max()) == 0
    near = torch.cdist(plain_avatar.canonical.means, outfit.garments[0].rest_vertices).amin(1)
    cloth = plain_avatar.parts == Part.UPPER
    assert float(moved[cloth & (near > 0.06)].max()) == 0
    assert 1e-4 < float(moved[cloth & (near < 0.02)].median()) < 0.2


def test_the_body_moves_as_the_avatar_does(plain_avatar, walk):
    body = body_in_motion(plain_avatar, walk)
    assert body.vertices.shape == (FRAMES, plain_avatar.body.vertex_count, 3)
    means = plain_avatar.pose(walk.params.frame(2)).means
    gaps = torch.cdist(means[:200], body.vertices[2]).amin(1)
    assert float(gaps.median()) < 0.01


def test_who_wears_nothing_is_told_why(plain_avatar, walk):
    outfit = Outfit(warnings=("the skirt was left out: nothing of the body lies inside it",))
    with pytest.raises(InputError, match="wears nothing") as caught:
        next(simulate_clothes(plain_avatar, outfit, walk))
    assert "left out" in caught.value.why


def test_the_photo_is_left_as_it_is(plain_avatar, outfit, walk):
    whole, lead = led_in(plain_avatar, walk)
    first = whole.params.frame(0)
    torch.testing.assert_close(first.body_pose, plain_avatar.photo_params.body_pose)
    assert whole.frame_count == lead + FRAMES
    offsets = next(simulate_worn(plain_avatar, outfit, whole))
    assert float(offsets.abs().max()) == 0
