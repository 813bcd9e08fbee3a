"""Frames planted into a good film: they alone lose trust, and notes say why."""

import math
import re
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from persona.animation.grounding import ground_motion
from persona.animation.program import driving_motion
from persona.body import body_of
from persona.body.skeleton import JOINT_IDS
from persona.fitting.points import pose_landmarks
from persona.pipeline.generated import DiffusionFrames
from persona.records.frame_labels import FrameLabels
from persona.records.observation import Part
from persona.rendering import render
from persona.synthesis.diffusion.staging import stage_motion, stage_photo
from persona.synthesis.diffusion.trust import LEAST_TRUST, Trust, judge_steadiness, part_looks
from persona.synthesis.generator import Sitter
from tests.pipeline.conftest import CountingStages

WIDTH, HEIGHT = 144, 256
EVERY = 5
COUNT = 30
PLANTED = 15
"""Frame that something else is put in place of."""


@dataclass
class Shown:
    """Who is in a frame, how broad, and with hands up or as asked for."""

    avatar: object
    frame: int
    wider: float = 1.0
    hands_up: bool = False


class PerfectFilm:
    """Draws the person as asked for, but for what is planted; and is seen by perfect eyes."""

    key = "perfect"

    def __init__(self, sitter, avatar, planted):
        self.planted, self.avatar, self.sitter = planted, avatar, sitter
        fit = sitter.fit
        body = body_of(fit.identity.body_name, fit.identity.body_digest)
        self.camera = stage_photo(
            sitter.photo, sitter.observation, fit, width=WIDTH, height=HEIGHT
        ).camera
        asked = ground_motion(driving_motion(COUNT), body, fit.identity)
        self.motion, self.body = stage_motion(asked, body, fit, self.camera), body

    def steps(self, frame_count):
        return 1

    def __call__(self, photo, skeletons, *, face, folder=None, tick):
        tick()
        film = torch.full((COUNT + 1, 3, HEIGHT, WIDTH), 255, dtype=torch.uint8)
        self.labels = []
        for k in range(0, COUNT, EVERY):
            film[1 + k], labels = self._drawn(self.planted.get(k, Shown(self.avatar, k)))
            self.labels.append(labels)
        return film

    def _drawn(self, shown):
        params = self.motion.params.frame(shown.frame)
        if shown.hands_up:
            pose = params.full_pose.clone()
            for side, way in (("left", 1.0), ("right", -1.0)):
                pose[JOINT_IDS[f"{side}_shoulder"]] = torch.tensor([0.0, 0.0, way])
            params = params.with_full_pose(pose)
        identity = self.sitter.fit.identity
        with torch.no_grad():
            posed = shown.avatar.pose(params)
            at = posed.means.mean(0)
            stretch = torch.tensor([shown.wider, 1.0, 1.0])
            posed = replace(posed, means=(posed.means - at) * stretch + at)
            labels = torch.nn.functional.one_hot(shown.avatar.parts, len(Part)).float()
            drawn = render(posed, self.camera, background=torch.ones(3), extra_features=labels)
            marks = pose_landmarks(
                self.body, self.body.forward(params, joint_offsets=identity.joint_offsets)
            )
        mask = (drawn.alpha > 0.5).float()
        parts = (drawn.extra.argmax(-1) * mask).to(torch.uint8)
        seen = FrameLabels(mask=mask, parts=parts, body=self.camera.project(marks)[0])
        return (drawn.color.clamp(0, 1) * 255).to(torch.uint8).permute(2, 0, 1), seen

    @contextmanager
    def eyes(self):
        seen = iter(self.labels)
        yield lambda _: next(seen)


def sitter_of(counting, avatar):
    labels = torch.nn.functional.one_hot(avatar.parts, len(Part)).float()
    posed = avatar.pose(avatar.photo_params)
    drawn = render(posed, avatar.photo_camera, background=torch.ones(3), extra_features=labels)
    parts = drawn.extra.argmax(-1) * (drawn.alpha > 0.5)
    photo = replace(counting.photo, rgb=drawn.color.clamp(0, 1))
    seen = replace(counting.observation, parts=parts)
    return Sitter(photo=photo, observation=seen, fit=counting.fit)


def in_colors(avatar, part, color):
    colors = avatar.canonical.colors.clone()
    colors[avatar.parts == int(part)] = torch.tensor(color)
    return replace(avatar, canonical=replace(avatar.canonical, colors=colors))


def film_with(counting, planted, faces=None):
    avatar = counting.avatar
    sitter = sitter_of(counting, avatar)
    film = PerfectFilm(sitter, avatar, planted)
    return DiffusionFrames(
        name="perfect",
        film=film,
        motion=driving_motion(COUNT),
        width=WIDTH,
        height=HEIGHT,
        every=EVERY,
        draw=lambda _, h, w: np.zeros((3, h, w), np.uint8),
        labels=film.eyes,
        faces=faces,
    )(sitter)


def trust_by_frame(made):
    return {picture.frame: picture.trust for picture in made.clips[0].pictures}


@pytest.fixture(scope="module")
def good(plain_avatar):
    return trust_by_frame(film_with(CountingStages(plain_avatar), {}))


def test_every_frame_of_a_good_film_counts(good):
    assert sorted(good) == list(range(0, COUNT, EVERY))
    assert min(good.values()) > 0.7


def planted(counting, kind):
    me = counting.avatar
    return {
        "other clothes": (Shown(in_colors(me, Part.UPPER, (0.8, 0.2, 0.1)), PLANTED), "upper"),
        "other skin": (Shown(in_colors(me, Part.SKIN, (0.1, 0.3, 0.1)), PLANTED), "skin"),
        "other pose": (Shown(me, PLANTED, hands_up=True), "where it was asked for"),
        "broader person": (Shown(me, PLANTED, wider=1.6), "covers|far from"),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "doubt"),
    [
        ("other clothes", "identity"),
        ("other skin", "identity"),
        ("other pose", "pose"),
        ("broader person", "silhouette"),
    ],
)
def test_a_planted_frame_alone_loses_trust_and_is_named(good, counting, kind, doubt):
    what, words = planted(counting, kind)
    made = film_with(counting, {PLANTED: what})
    found = trust_by_frame(made)
    others = {frame: trust for frame, trust in found.items() if frame != PLANTED}
    # All the others are believed as they were without it.
    assert others.keys() == good.keys() - {PLANTED}
    assert all(others[frame] == pytest.approx(good[frame], abs=0.02) for frame in others)
    assert found.get(PLANTED, 0.0) < min(0.6, good[PLANTED] - 0.2)
    (note,) = [note for note in made.notes if note.startswith("Frame ")]
    assert note.startswith(f"Frame {PLANTED} ")
    assert f"{doubt} is" in note
    assert re.search(words, note)


def test_colors_of_a_half_are_colors_of_the_whole():
    """A jacket that is open in front covers the whole back: that is no other person."""
    rows = torch.linspace(0, 1, 40)
    front = torch.where((rows > 0.5)[:, None, None], torch.tensor([1.0, 1, 1]), torch.zeros(3))
    front = front.expand(40, 40, 3).contiguous()
    parts = torch.full((40, 40), int(Part.UPPER))
    mask = torch.ones(40, 40)
    photo = part_looks(front, parts, mask)
    back = part_looks(torch.zeros(40, 40, 3), parts, mask)
    red = part_looks(torch.tensor([1.0, 0, 0]).expand(40, 40, 3).contiguous(), parts, mask)

    def steady(one, other):
        trusts = [Trust(frame=k, silhouette=1.0, pose=1.0, identity=1.0) for k in range(2)]
        return judge_steadiness(trusts, [other, one])[1].steadiness

    assert steady(back, photo) == 1
    assert steady(red, photo) == 0


def test_a_flash_is_unsteady_and_its_neighbors_are_not():
    mask, parts = torch.ones(20, 20), torch.full((20, 20), int(Part.UPPER))
    looks = [part_looks(torch.full((20, 20, 3), c), parts, mask) for c in (0.3, 0.3, 0.9, 0.3, 0.3)]
    trusts = [Trust(frame=k, silhouette=1.0, pose=1.0, identity=1.0) for k in range(5)]
    judged = judge_steadiness(trusts, looks)
    assert [trust.steadiness for trust in judged] == [1, 1, 0, 1, 1]
    assert "upper has other colours than in the frames beside it" in judged[2].why
    assert judged[2].value < LEAST_TRUST
    assert math.isclose(judge_steadiness(trusts[:1], looks[:1])[0].steadiness, 1.0)


class Faces:
    """Stands in for a model: every face is the photo's, but one."""

    key = "faces"

    def __init__(self, other):
        self.count, self.other = 0, other

    def __call__(self, photo, observation):
        return self.compare

    def compare(self, picture, face):
        self.count += 1
        return 0.2 if self.count - 1 == self.other // EVERY else 0.95


def test_another_face_makes_its_frame_count_least_and_is_named(good, counting):
    made = film_with(counting, {}, faces=Faces(PLANTED))
    found = trust_by_frame(made)
    assert found.pop(PLANTED) == pytest.approx(LEAST_TRUST)
    assert all(found[frame] == pytest.approx(good[frame], abs=0.02) for frame in found)
    (note,) = [note for note in made.notes if note.startswith("Frame ")]
    assert "face is 0.30, it looks like another's" in note
    assert any(note.startswith("Faces were compared in 6 of 6 frames") for note in made.notes)


def test_that_faces_were_not_compared_is_said(counting):
    notes = " ".join(film_with(counting, {}).notes)
    assert "No face was compared" in notes
    assert "persona weights fetch siglip-base-patch16-224" in notes
