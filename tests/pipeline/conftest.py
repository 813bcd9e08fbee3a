"""Stages that make a small ready avatar at once, and count how often they were asked."""

from collections import Counter

import pytest
import torch

from persona.avatar import Avatar
from persona.pipeline.stages import Measured, Stages
from persona.records.body_fit import BodyFit
from persona.records.observation import Observation
from persona.records.outfit import Outfit
from persona.records.photo import Photo
from persona.records.wardrobe import Lower, Upper, Wardrobe
from tests.plain_avatar import make_plain_avatar

COUNT = 3_000


@pytest.fixture(scope="session")
def plain_avatar() -> Avatar:
    return make_plain_avatar(COUNT)


class CountingLearner:
    """Teaches nothing, and counts."""

    steps = 2

    def __init__(self, stages: "CountingStages") -> None:
        self.answer = stages._answer

    def __call__(self, avatar, frames, *, seed, tick):
        tick(self.steps)
        return self.answer("learn", avatar)


class CountingStages:
    """Stages that answer from memory and count their calls; ``fail_at`` names one that breaks."""

    def __init__(self, avatar: Avatar) -> None:
        self.avatar, self.calls, self.fail_at, self.error = avatar, Counter(), "", RuntimeError
        camera = avatar.photo_camera
        drawn = avatar.render(avatar.photo_params, camera, background=torch.ones(3))
        self.photo = Photo(rgb=drawn.color.clamp(0, 1), name="secret-name")
        rows = torch.nonzero(drawn.alpha.amax(1) > 0.5)[:, 0]
        columns = torch.nonzero(drawn.alpha.amax(0) > 0.5)[:, 0]
        self.observation = Observation(
            mask=drawn.alpha.clamp(0, 1),
            mask_source="alpha",
            box=tuple(float(x) for x in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)),
            body=torch.full((33, 2), 100.0),
            body_confidence=torch.ones(33),
            body_world=torch.zeros(33, 3),
            parts=(drawn.alpha > 0.5).long(),
        )
        self.fit = BodyFit(
            identity=avatar.identity,
            params=avatar.photo_params,
            focal_px=avatar.photo_focal_px,
            image_size=avatar.photo_size,
            keypoint_error_px=1.5,
            body_iou=0.9,
            lean_m=0.01,
            standing=True,
            left_hand_seen=True,
            right_hand_seen=False,
        )

        self.wardrobe = Wardrobe(
            lower=Lower.TROUSERS,
            upper=Upper.TOP,
            hems=(2.0, 2.0),
            sleeves=(2.0, 2.0),
            waist=1.0,
            upper_hem=1.0,
        )

    def stages(self) -> Stages:
        return Stages(
            perceive=lambda photo: self._answer("perceive", self.observation),
            fit=lambda observation, *, focal_px=None: self._answer("fit", self.fit),
            tailor=lambda photo, observation, fit: self._answer("tailor", self.wardrobe),
            sew=lambda observation, fit, wardrobe: self._answer("sew", Outfit()),
            optimize=self._optimize,
            synthesize=None,
            learn=CountingLearner(self),
            refine=None,
            measure=lambda avatar, photo, observation: self._answer(
                "measure", Measured(numbers={"psnr_db": 31.5, "iou": 0.5})
            ),
        )

    def _optimize(self, photo, observation, fit, outfit, *, seed, tick):
        for step in range(1, 4):
            tick(step)
        return self._answer("optimize", self.avatar)

    def _answer(self, name, value):
        self.calls[name] += 1
        if name == self.fail_at:
            raise self.error
        return value


@pytest.fixture
def counting(plain_avatar) -> CountingStages:
    return CountingStages(plain_avatar)
