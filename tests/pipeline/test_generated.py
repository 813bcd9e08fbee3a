"""Photo -> skeletons -> film by tiny random weights -> labels and trust -> joint training."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from persona.animation.program import driving_motion
from persona.core.errors import InputError, MissingPartError, OptimizationError
from persona.core.fingerprint import fingerprint
from persona.core.weights import entry
from persona.optimization.joint import JointConfig
from persona.pipeline.create import create
from persona.pipeline.generate import generate
from persona.pipeline.generated import DiffusionFrames
from persona.pipeline.generators import (
    DiffusionOptions,
    Together,
    by_diffusion,
    frame_generator,
    parse_generators,
)
from persona.pipeline.refined import RefineJointly
from persona.records.frame_labels import EnlargedFace, FrameLabels
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

    def __call__(self, photo, skeletons, *, face, folder=None, tick=lambda: None):
        assert 0 <= face[0] < face[2] <= 128
        assert 0 <= face[1] < face[3] <= 192
        self.skeletons = skeletons
        return self.made(photo, skeletons, folder=folder, tick=tick)


def seeing(where, normal=None):
    """Stand in for eyes, which see nobody in the noise that random weights make.

    Who sees normals also sees a face: all that the person's mask encloses.
    """

    @contextmanager
    def labels():
        def label(picture):
            mask = where(picture)
            if mask is None:
                return None
            marks = torch.zeros(33, 2)
            rows, columns = mask.nonzero().float().mean(0)
            top, left = mask.nonzero()[0].tolist()
            large = picture[top : top + 40, left : left + 30]
            large = large.repeat_interleave(2, 0).repeat_interleave(2, 1)
            face = EnlargedFace(left=left, top=top, scale=2, image_8=large)
            marks[:] = torch.stack([columns, rows])
            return FrameLabels(
                mask=mask.float(),
                parts=(mask * int(Part.UPPER)).to(torch.uint8),
                body=marks,
                normal=None if normal is None else mask[..., None] * torch.tensor(normal),
                face=None if normal is None else face,
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


@pytest.fixture
def believing(monkeypatch):
    """Believe poses and outlines of noise."""
    monkeypatch.setattr("persona.synthesis.diffusion.trust.BULK_RANGE", 100.0)
    monkeypatch.setattr("persona.synthesis.diffusion.trust.POSE_SLACK", 10.0)


def sitter_of(counting):
    # What the random weights paint is noise: a photo of mean grey is what it resembles.
    grey = replace(counting.photo, rgb=torch.full_like(counting.photo.rgb, 0.5))
    seen = replace(counting.observation, parts=counting.observation.parts * int(Part.UPPER))
    return Sitter(photo=grey, observation=seen, fit=counting.fit)


@pytest.mark.usefixtures("believing")
def test_frames_come_back_labelled_and_judged(frames, counting):
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
    assert all(picture.normal is None for picture in clip.pictures)
    towards = (0.0, 0.6, -0.8)
    looked = replace(frames, labels=seeing(body_of_skeletons(frames.film), towards))
    for picture in looked(sitter_of(counting)).clips[0].pictures:
        shown = picture.normal[picture.mask > 0.5]
        torch.testing.assert_close(shown, torch.tensor(towards).expand_as(shown), atol=4e-3, rtol=0)
        near = picture.face
        assert near.camera.focal_px == 2 * picture.camera.focal_px
        assert torch.equal(near.mask_8[::2, ::2] > 127, near.mask_8[1::2, 1::2] > 127)


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


@pytest.mark.usefixtures("believing")
@pytest.mark.parametrize("normal", [None, (0.0, 0.6, -0.8)])
def test_an_avatar_is_refined_by_generated_pictures(
    normal, frames, counting, monkeypatch, tmp_path
):
    frames = replace(frames, labels=seeing(body_of_skeletons(frames.film), normal))
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
    assert ("folds catch the light where the frame says" in report) == (normal is not None)
    assert "trust 0." in report


def generated(counting, frames, out, rank=0):
    sitter = sitter_of(counting)
    return generate(
        sitter.photo,
        frames,
        out=out,
        perceive=lambda _: sitter.observation,
        fit=lambda _, *, focal_px=None: sitter.fit,
        body_digest="",
        rank=rank,
    )


@pytest.mark.usefixtures("believing")
def test_frames_alone_are_written_and_a_stopped_call_goes_on(frames, counting, tmp_path):
    whole = generated(counting, frames, tmp_path / "whole")
    files = sorted(p.name for p in (tmp_path / "whole").iterdir())
    assert "frames.json" in files
    assert sum(name.endswith(".png") for name in files) == len(whole.clips[0].pictures) > 0
    film = frames.film
    made, calls = film.made, []

    def stopped(photo, skeletons, *, folder=None, tick=lambda: None):
        def stop():
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            tick()

        return made(photo, skeletons, folder=folder, tick=stop)

    film.made = stopped
    with pytest.raises(KeyboardInterrupt):
        generated(counting, frames, tmp_path / "again")
    assert (tmp_path / ".again.run").is_dir()
    again = generated(
        counting, replace(frames, labels=seeing(body_of_skeletons(film))), tmp_path / "again"
    )
    assert not (tmp_path / ".again.run").exists()
    for one, other in zip(whole.clips[0].pictures, again.clips[0].pictures, strict=True):
        assert torch.equal(one.image_8, other.image_8)
    (tmp_path / "mine").mkdir()
    with pytest.raises(InputError, match="holds no frames"):
        generated(counting, frames, tmp_path / "mine")


@pytest.mark.usefixtures("believing")
def test_a_motion_of_one_frame_is_one_picture(frames, counting):
    one = replace(frames, motion=driving_motion(1))
    made = one(sitter_of(counting))
    assert made.clips[0].frame_count == 1
    assert len(made.clips[0].pictures) == 1


@pytest.mark.usefixtures("believing")
@pytest.mark.parametrize("pad", [(0, 0, 301, 17), (40, 333, 0, 0)])
def test_photos_of_any_aspect_will_do(frames, counting, pad):
    sitter = sitter_of(counting)
    left, top, right, bottom = pad
    grown = {"rgb": sitter.photo.rgb, "mask": sitter.observation.mask}

    def around(picture, value):
        last = picture if picture.ndim == 3 else picture[..., None]
        padded = torch.nn.functional.pad(
            last.permute(2, 0, 1).float(), (left, right, top, bottom), value=value
        ).permute(1, 2, 0)
        return padded if picture.ndim == 3 else padded[..., 0]

    box = sitter.observation.box
    seen = replace(
        sitter.observation,
        mask=around(grown["mask"], 0.0),
        parts=around(sitter.observation.parts, 0.0).long(),
        box=(box[0] + left, box[1] + top, box[2] + left, box[3] + top),
        body=sitter.observation.body + torch.tensor([left, top]),
    )
    photo = replace(sitter.photo, rgb=around(grown["rgb"], 1.0))
    made = frames(Sitter(photo=photo, observation=seen, fit=sitter.fit))
    assert len(made.clips[0].pictures) > 0


def test_missing_weights_name_the_command_that_gets_them(monkeypatch, tmp_path):
    monkeypatch.setenv("PERSONA_WEIGHTS", str(tmp_path))
    for name, weights in (("mimicmotion", "mimicmotion-1.1"), ("wan-animate", "wan2.2-animate")):
        with pytest.raises(MissingPartError) as caught:
            by_diffusion((name,), DiffusionOptions(device="cpu"))
        assert f"persona weights fetch {weights}" in caught.value.fix


def test_frames_are_looked_at_by_models_that_were_asked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("PERSONA_WEIGHTS", str(tmp_path))

    def whole(name):
        for file in entry(name).needed:
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).touch()

    def made(labels):
        return by_diffusion(("wan-animate",), DiffusionOptions(device="cpu", labels=labels))

    whole("wan2.2-animate-14b")
    plain = made("embedded")
    for name in ("sam2.1-hiera-large", "vitpose-plus-huge"):
        with pytest.raises(MissingPartError) as caught:
            made("models")
        assert f"persona weights fetch {name}" in caught.value.fix
        whole(name)
    for name in ("marigold-normals-v0-1", "depth-anything-v2-metric-indoor-small"):
        with pytest.raises(MissingPartError) as caught:
            made("models+geometry")
        assert f"persona weights fetch {name}" in caught.value.fix
        whole(name)
    assert fingerprint(made("models+geometry").key) != fingerprint(made("models").key)
    looked = made("models")
    with pytest.raises(InputError, match="nobody makes any"):
        by_diffusion(("physics",), DiffusionOptions(labels="models"))
    assert by_diffusion(("physics",), DiffusionOptions()) is None
    assert looked.labels.folders == {
        "sam2": tmp_path / "sam2.1-hiera-large",
        "vitpose": tmp_path / "vitpose-plus-huge",
    }
    assert fingerprint(looked.key) != fingerprint(plain.key)
    own = {"sam2": tmp_path / "vitpose-plus-huge"}
    options = DiffusionOptions(device="cpu", labels="models", label_folders=own)
    mine = by_diffusion(("wan-animate",), options)
    assert mine.labels.folders["sam2"] == own["sam2"]
    with pytest.raises(InputError, match="does not use it") as caught:
        by_diffusion(("wan-animate",), replace(options, labels="vitpose"))
    assert "--labels vitpose+sam2" in caught.value.fix
    with pytest.raises(InputError, match="were both asked"):
        made("models+sapiens2")


@pytest.mark.usefixtures("believing")
def test_generators_are_put_together(frames, counting, tmp_path):
    both = Together((frames, replace(frames, name="other")))
    ticks = []
    sitter = sitter_of(counting)
    eyes = iter((body_of_skeletons(frames.film), body_of_skeletons(frames.film)))
    both = Together(tuple(replace(one, labels=seeing(next(eyes))) for one in both.generators))
    made = both(sitter, folder=tmp_path, tick=ticks.append)
    assert [clip.source for clip in made.clips] == ["mimicmotion", "other"]
    assert ticks == list(range(1, both.steps(sitter) + 1))
    assert {p.name for p in tmp_path.iterdir()} == {"mimicmotion", "other"}


def test_physics_wants_an_avatar(counting):
    with pytest.raises(InputError, match="without avatar"):
        frame_generator(("physics",))(sitter_of(counting))
    with pytest.raises(InputError, match="no generator"):
        frame_generator(())


def test_generators_are_asked_for_by_name():
    assert parse_generators("physics+mimicmotion") == ("physics", "mimicmotion")
    assert parse_generators("wan-animate") == ("wan-animate",)
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
