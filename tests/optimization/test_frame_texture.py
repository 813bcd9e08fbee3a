"""Frames colour what the photo does not show before training, and nothing else."""

from dataclasses import replace

import pytest
import torch

from persona.optimization.frame_texture import average_texture, fill_unseen, told_of_fill
from persona.optimization.joint import JointConfig, train_jointly
from persona.optimization.joint_frames import gather_frames
from persona.optimization.ownership import photo_owns
from persona.records.frame_set import FrameSet
from tests.optimization.joint_truth import (
    around,
    clip_of,
    moving,
    patterned,
    photo_of,
    recolored,
    shown,
)


@pytest.fixture(scope="module")
def person():
    return patterned()


@pytest.fixture(scope="module")
def photo(person):
    return photo_of(person)


@pytest.fixture(scope="module")
def owned(person, photo):
    (frame,) = gather_frames(person, FrameSet(clips=(photo,)), with_seams=False, threads=1)
    return photo_owns(person, frame, threads=1)


@pytest.fixture(scope="module")
def guessed(person, owned):
    """The person with a back of one grey: what is invented where nothing was seen."""
    colors = person.canonical.colors
    return recolored(person, torch.where(owned[:, None], colors, torch.tensor(0.45)))


def clip_by(person, painted, *, seed=3, trust=1.0):
    motion = moving(person, 4.0, fps=3, seed=seed)
    pictures = [
        shown(painted, motion.params.frame(f), around(1.1 * f), frame=f, trust=trust)
        for f in range(motion.frame_count)
    ]
    return clip_of(person, motion, pictures)


def filled(avatar, owned, *clips):
    frames = FrameSet(clips=clips)
    lessons = gather_frames(avatar, frames, with_seams=False, threads=1)
    texture = average_texture(avatar, lessons, threads=1)
    return texture, *fill_unseen(avatar, texture, owned)


def error(avatar, person, where):
    apart = (avatar.canonical.colors - person.canonical.colors)[where]
    return float(apart.abs().mean())


def test_the_unseen_side_gets_the_frames_colors_and_the_photos_side_stays(
    person, guessed, owned, photo
):
    texture, after, _ = filled(guessed, owned, photo, clip_by(person, person))
    assert torch.equal(after.canonical.colors[owned], guessed.canonical.colors[owned])
    assert error(after, person, ~owned) < 0.45 * error(guessed, person, ~owned)
    # Where frames look squarely, next to nothing is left.
    sure = ~owned & (texture.weights > 1)
    assert float(sure.float().mean()) > 0.2
    assert error(after, person, sure) < 0.3 * error(guessed, person, sure)
    (note,) = told_of_fill(texture, owned)
    assert "average colour" in note


def test_drift_of_the_hue_is_taken_back_and_remembered(person, guessed, owned, photo):
    # Skin and cloth drift otherwise: the hands of both sides tell how.
    colors = 0.8 * person.canonical.colors + torch.tensor([0.12, 0.0, 0.03])
    drifted = recolored(person, colors)
    texture, after, as_seen = filled(guessed, owned, photo, clip_by(person, drifted))
    sure = ~owned & (texture.weights > 1)
    assert error(after, person, sure) < 0.6 * error(recolored(person, as_seen), person, sure)
    assert error(recolored(person, as_seen), drifted, sure) < 0.04


def test_frames_count_by_their_trust(person, guessed, owned, photo):
    red = recolored(person, torch.tensor([0.9, 0.1, 0.1]).expand(person.count, 3))
    honest = clip_by(person, person)
    liar = clip_by(person, red, trust=0.05)
    _, good, _ = filled(guessed, owned, photo, honest)
    _, mixed, _ = filled(guessed, owned, photo, honest, liar)
    _, equal, _ = filled(guessed, owned, photo, honest, clip_by(person, red))
    assert error(mixed, good, ~owned) < 0.25 * error(equal, good, ~owned)


def test_frames_of_known_offsets_and_pixels_of_other_parts_say_nothing(
    person, guessed, owned, photo
):
    lessons = gather_frames(
        guessed, FrameSet(clips=(photo, clip_by(person, person))), with_seams=False, threads=1
    )
    known = [replace(one, offsets=torch.zeros(1, 3)) for one in lessons]
    assert float(average_texture(guessed, known, threads=1).weights.sum()) == 0
    assert told_of_fill(average_texture(guessed, known, threads=1), owned) == ()
    other = [
        replace(one, picture=replace(one.picture, parts=torch.full_like(one.picture.mask_8, 5)))
        for one in lessons
    ]
    assert float(average_texture(guessed, other, threads=1).weights.sum()) == 0


def test_training_begins_there_and_says_so(person, guessed, owned, photo):
    frames = FrameSet(clips=(photo, clip_by(person, person)))
    settings = {"steps": 2, "offsets": False, "perceptual": False, "face_patch": False}
    plain = train_jointly(guessed, frames, JointConfig(**settings, fill=False))
    begun = train_jointly(guessed, frames, JointConfig(**settings))
    assert error(begun.avatar, person, ~owned) < 0.5 * error(plain.avatar, person, ~owned)
    assert any("average colour" in note for note in begun.notes)
    assert not any("average colour" in note for note in plain.notes)
