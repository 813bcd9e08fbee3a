"""From simulated frames to clothes that move: the whole way, on a small person in a skirt."""

from dataclasses import replace

import pytest
import torch

from persona.animation import program
from persona.animation.framing import frame_motion
from persona.animation.player import baked_offsets, draw
from persona.avatar import Avatar
from persona.avatar.avatar import neutral_vertices
from persona.optimization.deformer import DeformerConfig
from persona.optimization.joint import JointConfig
from persona.optimization.offsets import OffsetsConfig
from persona.pipeline.ablate import FULL, VARIANTS, ablate_cloth, table_of
from persona.pipeline.create import create
from persona.pipeline.dressed_motion import LearnCloth, SynthesizeFrames, _motions
from persona.pipeline.refined import RefineJointly
from persona.pipeline.simulated import led_in
from persona.records.observation import Part
from persona.records.outfit import Outfit
from persona.synthesis.physics.frames import GeneratePhysics, PhysicsConfig
from persona.synthesis.physics.patterns import cut_skirt
from persona.synthesis.physics.pictures import PictureConfig
from persona.synthesis.physics.worn_motion import settle_worn, simulate_worn

SMALL = OffsetsConfig(
    network=DeformerConfig(channels=4, resolution=16, width=32, depth=2),
    steps=30,
    frames=8,
    nodes=64,
)


@pytest.fixture(scope="module")
def short():
    """A second of a kick is taught, and half a second of a faster one is held out."""
    piece = program.Piece(name="kick", speed=1.0, start=1.0, seconds=0.6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "TAUGHT", (piece,))
        patch.setattr(program, "JUDGED", (replace(piece, speed=1.3, seconds=0.4),))
        patch.setattr(program, "WANDER_SECONDS", 0.3)
        yield


@pytest.fixture(scope="module")
def outfit(plain_avatar) -> Outfit:
    rest = neutral_vertices(plain_avatar.body, plain_avatar.identity)
    return Outfit(garments=(cut_skirt(plain_avatar.body, rest, around=40, rows=12),))


@pytest.fixture(scope="module")
def stage() -> SynthesizeFrames:
    pictures = PictureConfig(every=10, height=96)
    return SynthesizeFrames(
        physics=GeneratePhysics(config=PhysicsConfig(nodes=100, repeated=0.5, pictures=pictures))
    )


@pytest.fixture(scope="module")
def frames(short, plain_avatar, outfit, stage):
    steps = []
    made = stage(plain_avatar, outfit, tick=steps.append)
    assert steps == list(range(1, stage.steps(plain_avatar) + 1))
    return made


def test_frames_know_offsets_noise_and_begin_with_the_photo(frames, plain_avatar):
    *taught, held = frames.clips
    assert held.held_out
    assert len(taught) == 2
    assert all(clip.noise is not None and not clip.held_out for clip in taught)
    assert held.noise is None
    for clip in frames.clips:
        assert clip.offsets is not None
        assert float(clip.offsets[0].abs().max()) < 1e-3
        assert 1e-3 < float(clip.offsets.norm(dim=-1).max()) < 0.5
        torch.testing.assert_close(
            clip.motion.params.body_pose[0], plain_avatar.photo_params.body_pose
        )
    assert 0.3 < frames.predictable_share <= 1


def test_pictures_show_the_person_from_all_sides(frames):
    for picture in frames.clips[0].pictures:
        assert 0.05 < float(picture.mask.mean()) < 0.6
        solid = picture.mask > 0.9
        assert picture.depth_m is not None
        assert picture.parts is not None
        assert float(picture.depth_m[solid].min()) > 0.5
        assert bool((picture.parts[solid] != Part.BACKGROUND).all())
        torch.testing.assert_close(
            picture.normal[solid].norm(dim=-1), torch.ones(int(solid.sum())), atol=0.02, rtol=0
        )
    turns = {tuple(p.camera.T_camera_world[0].tolist()) for p in frames.clips[0].pictures}
    assert len(turns) > 1


def test_the_learned_avatar_moves_its_cloth_alone_and_comes_back_from_disk(
    frames, plain_avatar, tmp_path
):
    avatar = LearnCloth(config=SMALL)(plain_avatar, frames)
    assert {"cloth_ratio", "cloth_predictable"} <= set(avatar.numbers)
    avatar.save(tmp_path)
    again = Avatar.load(tmp_path)
    params = frames.clips[0].motion.params.frame(20)
    stiff, moved = plain_avatar.pose(params).means, again.pose(params).means
    torch.testing.assert_close(moved, avatar.pose(params).means)
    away = (moved - stiff).norm(dim=1)
    assert float(away[plain_avatar.parts == Part.SKIN].max()) == 0
    assert float(away.max()) > 1e-3
    photo = plain_avatar.photo_params
    torch.testing.assert_close(again.pose(photo).means, plain_avatar.pose(photo).means)
    given = torch.zeros(avatar.count, 3)
    torch.testing.assert_close(again.pose(params, gaussian_offsets=given).means, stiff)


def test_films_show_what_was_learned_and_what_was_baked(frames, plain_avatar):
    avatar = LearnCloth(config=SMALL)(plain_avatar, frames)
    motion = frames.clips[-1].motion
    cameras = frame_motion(avatar, motion, "front", height=96)
    white = torch.ones(3)
    learned = torch.stack(list(draw(avatar, motion, cameras, background=white)))
    stiff = torch.stack(list(draw(plain_avatar, motion, cameras, background=white)))
    shapes = baked_offsets(avatar, motion)
    baked = torch.stack(list(draw(avatar, motion, cameras, background=white, offsets=shapes)))
    assert torch.equal(learned[0], stiff[0])  # the photo's pose, at rest
    moved = float((learned - stiff).abs().mean())
    assert moved > 0
    assert float((learned - baked).abs().mean()) < moved
    assert list(baked_offsets(plain_avatar, motion)) == [None] * motion.frame_count


def test_creating_an_avatar_teaches_it(short, counting, outfit, stage, tmp_path):
    stages = replace(
        counting.stages(),
        sew=lambda observation, fit, wardrobe: outfit,
        synthesize=stage,
        learn=LearnCloth(config=SMALL),
        refine=RefineJointly(config=JointConfig(steps=6), person_height=96),
    )
    avatar = create(counting.photo, out=tmp_path / "ada.persona", stages=stages)
    assert avatar.cloth is not None
    assert not torch.equal(avatar.canonical.colors, counting.avatar.canonical.colors)
    page = (tmp_path / "ada.persona" / "report.html").read_text()
    assert "simulated" in page
    assert "<td>ms_ssim_gmsd</td>" in page or "smaller than 176 pixels" in page


def test_who_wears_nothing_is_left_as_it_is(counting, stage):
    avatar = create(counting.photo, stages=replace(counting.stages(), synthesize=stage))
    assert avatar.cloth is None
    assert any("follow the skin" in warning for warning in avatar.warnings)


def test_every_technique_is_left_away_once(frames, plain_avatar):
    rows = ablate_cloth(plain_avatar, frames, replace(SMALL, steps=5))
    table = table_of(rows)
    assert [row.name for row in rows] == [variant.name for variant in VARIANTS]
    assert all(f"| {variant.name} |" in table for variant in VARIANTS)
    assert f"| {FULL} |" in table
    assert "| stiff |" in table


def test_any_number_of_cores_gives_the_same_frames(
    short, frames, plain_avatar, outfit, stage, monkeypatch
):
    monkeypatch.setattr("persona.synthesis.physics.frames.core_count", lambda: 1)
    again = stage(plain_avatar, outfit)
    for one, other in zip(frames.clips, again.clips, strict=True):
        assert torch.equal(one.offsets, other.offsets)
        if one.noise is not None:
            assert torch.equal(one.noise, other.noise)


def test_a_fault_in_one_simulation_ends_them_all(short, plain_avatar, outfit, stage):
    done = []

    def fail() -> None:
        done.append(1)
        if len(done) == 5:
            raise RuntimeError("the listener has gone")

    *taught, judged = (led_in(plain_avatar, m)[0] for m in _motions(plain_avatar))
    with pytest.raises(RuntimeError, match="has gone"):
        stage.physics(plain_avatar, outfit, taught, judged, tick=fail)
    assert len(done) < stage.physics.frame_count(taught, judged) / 2


def test_clothes_that_settled_elsewhere_hang_as_they_would_have_here(short, plain_avatar, outfit):
    motion = led_in(plain_avatar, _motions(plain_avatar)[0])[0]
    settled = settle_worn(plain_avatar, outfit)
    here = next(simulate_worn(plain_avatar, outfit, motion))
    there = next(simulate_worn(plain_avatar, outfit, motion, settled=settled))
    assert float(here.abs().max()) == float(there.abs().max()) == 0
    moved = motion.params.transl[0]
    still = replace(motion, params=replace(motion.params, transl=motion.params.transl - moved))
    torch.testing.assert_close(
        settled, settle_worn(plain_avatar, outfit), rtol=0, atol=0
    )  # the same bits each time
    for first, second in zip(
        simulate_worn(plain_avatar, outfit, motion, settled=settled),
        simulate_worn(plain_avatar, outfit, still, settled=settled),
        strict=True,
    ):
        # Rounding differs from place to place, and cloth makes a little more of it.
        assert float((first - second).norm(dim=1).mean()) < 2e-3
