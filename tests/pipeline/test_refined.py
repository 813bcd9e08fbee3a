"""Joint training in the pipeline: photo and pictures in; avatar, curves and previews out."""

import csv

import pytest

from persona.core.errors import InputError
from persona.optimization.joint import JointConfig
from persona.pipeline.refined import RefineJointly
from persona.pipeline.report_training import training_section
from persona.pipeline.watching import CURVES, WatchFolder
from persona.records.frame_set import FrameSet
from tests.optimization.joint_truth import around, clip_of, moving, shown

STEPS = 6
HEIGHT = 96


@pytest.fixture
def frames(plain_avatar):
    motion = moving(plain_avatar, 1.0, fps=3, seed=5)
    pictures = [
        shown(plain_avatar, motion.params.frame(f), around(0.4 * f, height=HEIGHT), frame=f)
        for f in range(motion.frame_count)
    ]
    return FrameSet(clips=(clip_of(plain_avatar, motion, pictures),))


def stage(**settings) -> RefineJointly:
    config = JointConfig(steps=STEPS, offsets=False, preview_every=3)
    return RefineJointly(config=config, person_height=HEIGHT, **settings)


def refined_by(stage, counting, frames):
    inputs = (counting.avatar, frames, counting.photo, counting.observation, counting.fit)
    return stage(*inputs)


def test_it_refines_says_what_was_left_out_and_can_be_watched(counting, frames, tmp_path):
    made = refined_by(stage(onlooker=WatchFolder(tmp_path)), counting, frames)
    assert made.avatar.count == counting.avatar.count
    assert any("LPIPS" in note for note in made.notes)
    with (tmp_path / CURVES).open() as file:
        rows = list(csv.DictReader(file))
    assert {int(row["step"]) for row in rows} == set(range(STEPS))
    assert {row["term"] for row in rows} >= {"image", "mask", "smooth_shift"}
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        "step_000000.png",
        "step_000003.png",
    ]
    # Watching changes nothing.
    alone = refined_by(stage(), counting, frames)
    assert alone.history == made.history


def test_the_report_names_every_term_that_was_at_work(counting, frames):
    made = refined_by(stage(), counting, frames)
    page = training_section(made)
    for name in {name for entry in made.history for name in entry} - {"step"}:
        assert f"<td>{name}</td>" in page
    assert "MS-SSIM" in page
    assert "--refine" in training_section(None)


def test_tensorboard_is_asked_for_where_it_is_not(tmp_path):
    with pytest.raises(InputError, match="TensorBoard was asked for"):
        WatchFolder(tmp_path, tensorboard=True)
