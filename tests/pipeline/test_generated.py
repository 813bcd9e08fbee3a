"""Photo -> skeletons -> film by tiny random weights -> labels and trust -> joint training."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from persona.animation.program import driving_motion
from persona.core.errors import InputError, OptimizationError
from persona.optimization.joint import JointConfig
from persona.pipeline.create import create
from persona.pipeline.generated import DiffusionFrames
from persona.pipeline.generators import parse_generators
from persona.pipeline.refined import RefineJointly
from persona.records.frame_labels import FrameLabels
from persona.records.observation import Part
from persona.synthesis.diffusion.mimicmotion import MimicMotion
from persona.synthesis.diffusion.settings import MimicMotionSettings, for_memory
from persona.synthesis.generator import FrameGenerator, Sitter
from tests.synthesis.diffusion.conftest import random_parts

SIZE = {"width": 128, "height": 192, "window": 4, "overlap": 1, "steps": 2, "decode_chunk": 4}


class Film:
    """MimicMotion with a key, as `MimicMotionFilm` has it."""

    key = "tiny"

    def __init__(self):
        settings = MimicMotionSettings(**SIZE)
        self.made = MimicMotion.from_components(**random_parts(), settings=settings)
        self.steps = self.made.steps

    def __call__(self, photo, skeletons, *, folder=None, tick=lambda: None):
        self.skeletons = skeletons
        return self.made(photo, skeletons, folder=folder, tick=tick)


def seeing(where):
    """Stand in for eyes, which see nobody in the noise that random weights make."""

    @contextmanager
    def labels():
        def label(picture):
            mask = where(picture)
            if mask is None:
                return None
            marks = torch.zeros(33, 2)
            rows, columns = mask.nonzero().float().mean(0)
            marks[:] = torch.stack([columns, rows])
            return FrameLabels(
                mask=mask.float(), parts=(mask * int(Part.UPPER)).to(torch.uint8), body=marks
            )

        yield label

    return labels


def body_of_skeletons(film):
    """See the person where the skeleton of the frame is: a box around all that is drawn."""
    frames = iter(range(10_000))

    def where(picture):
        drawn = film.skeletons[1 + next(frames)].amax(0) > 0
        rows, columns = drawn.any(1).nonzero()[:, 0], drawn.any(0).nonzero()[:, 0]
        mask = torch.zeros(picture.shape[:2], dtype=torch.bool)
        mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
        return mask

    return where


@pytest.fixture
def frames():
    film = Film()
    return DiffusionFrames(
        name="mimicmotion",
        film=film,
        motion=driving_motion(5),
        width=128,
        height=192,
        every=1,
        labels=seeing(body_of_skeletons(film)),
    )


def sitter_of(counting):
    # What the random weights paint is noise: a photo of mean grey is what it resembles.
    grey = replace(counting.photo, rgb=torch.full_like(counting.photo.rgb, 0.5))
    seen = replace(counting.observation, parts=counting.observation.parts * int(Part.UPPER))
    return Sitter(photo=grey, observation=seen, fit=counting.fit)


def test_frames_come_back_labelled_and_judged(frames, counting, monkeypatch):
    monkeypatch.setattr("persona.synthesis.diffusion.trust.POSE_SLACK", 10.0)
    assert isinstance(frames, FrameGenerator)
    ticks = []
    made = frames(sitter_of(counting), tick=ticks.append)
    assert ticks[-1] == frames.steps(sitter_of(counting))
    (clip,) = made.clips
    assert clip.source == "mimicmotion"
    assert clip.frame_count == 5
    assert 0 < len(clip.pictures) <= 5
    assert all(0.3 <= picture.trust < 1 for picture in clip.pictures)
    assert f"{len(clip.pictures)} of 5" in made.notes[0]


def test_frames_that_show_nobody_or_another_pose_are_left_out(frames, counting):
    def nobody(_):
        return None

    with pytest.raises(OptimizationError, match="none of 5 frames") as caught:
        replace(frames, labels=seeing(nobody))(sitter_of(counting))
    assert "nobody was seen" in caught.value.why

    def corner(picture):
        mask = torch.zeros(picture.shape[:2], dtype=torch.bool)
        mask[:20, :20] = True
        return mask

    with pytest.raises(OptimizationError, match="can be believed") as caught:
        replace(frames, labels=seeing(corner))(sitter_of(counting))
    assert "silhouette is 0.00" in caught.value.why


def test_an_avatar_is_refined_by_generated_pictures(frames, counting, monkeypatch, tmp_path):
    monkeypatch.setattr("persona.synthesis.diffusion.trust.POSE_SLACK", 10.0)
    monkeypatch.setattr("persona.synthesis.diffusion.trust.COLOR_SLACK", 10.0)
    seen = counting.observation
    counting.observation = replace(seen, parts=seen.parts * int(Part.UPPER))
    config = JointConfig(steps=2)
    stages = replace(
        counting.stages(),
        generate=frames,
        refine=RefineJointly(config=config, person_height=128),
    )
    made = create(counting.photo, stages=stages, out=tmp_path / "who.persona")
    assert not torch.equal(made.canonical.colors, counting.avatar.canonical.colors)
    report = (tmp_path / "who.persona" / "report.html").read_text()
    assert "of 5 generated frames" in report
    assert "trust 0." in report


def test_generators_are_asked_for_by_name():
    assert parse_generators("physics+mimicmotion") == ("physics", "mimicmotion")
    assert parse_generators("none") == ()
    for wrong in ("dall-e", "physics+physics", "none+physics", ""):
        with pytest.raises(InputError, match="was asked for"):
            parse_generators(wrong)


def test_settings_fit_the_card():
    plain = MimicMotionSettings()
    assert for_memory(plain, 24.0) == plain
    assert for_memory(plain, 16.0).offload
    assert for_memory(plain, 12.0).chunked_feed_forward
    assert for_memory(plain, 8.0).window == 16
