"""Generated people: six, clothed outside their skin, moving, made again bit for bit, resumable."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from persona.body import load_body
from persona.core.errors import FileFormatError, InputError
from persona.evaluation.subjects import over_plain
from persona.evaluation.truth.actor import Actor
from persona.evaluation.truth.dataset import folder_of, read_subject, truth_subjects
from persona.evaluation.truth.generate import (
    TruthManifest,
    TruthSettings,
    frame_file,
    generate,
    pose_at,
)
from persona.evaluation.truth.motions import SIMULATED_FPS, compose
from persona.evaluation.truth.people import PEOPLE
from persona.images.files import read_image
from persona.records.storage import load_record, save_record
from persona.rendering.body_maps import draw_body_maps
from persona.synthesis.physics.soundness import crossing

SMALL = TruthSettings(frames=2, height=128, photo_height=256, surface_every=2)


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def made(tmp_path_factory, body):
    folder = tmp_path_factory.mktemp("truth") / "tight"
    generate("tight", folder, SMALL, body=body)
    return folder


def test_there_are_six_of_different_build_clothes_and_light():
    assert set(PEOPLE) == {"trousers", "shorts", "skirt", "dress", "coat", "tight"}
    for read in (lambda p: p.look.betas, lambda p: p.light, lambda p: p.acts):
        assert len({read(person) for person in PEOPLE.values()}) == 6


@pytest.mark.parametrize("name", sorted(PEOPLE))
def test_clothes_are_cut_outside_the_skin_and_hold_together(name, body):
    actor = Actor.of(PEOPLE[name], body)
    assert len(actor.garments) == len(PEOPLE[name].cuts)
    skin = cKDTree(actor.form.vertices)
    for garment in actor.garments:
        points, faces = garment.rest_vertices.double().numpy(), garment.faces.numpy()
        assert crossing(points, faces).mean() < 0.06
        directed = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
        assert len(np.unique(directed, axis=0)) == len(directed), "an edge of three triangles"
        near = skin.query(points)[1]
        out = ((points - actor.form.vertices[near]) * actor.form.normals[near]).sum(1)
        assert (out > -0.002).mean() > 0.99
        assert float(garment.attachment.max()) == 1.0, "it would fall off"
        assert 2_000 < garment.vertex_count < 8_000


def test_nobody_is_told_by_a_wrong_name(tmp_path):
    with pytest.raises(InputError, match="called 'nobody'"):
        generate("nobody", tmp_path, SMALL)
    with pytest.raises(InputError, match="height"):
        TruthSettings(height=10)


def test_a_motion_begins_in_the_photo_and_stands_on_a_level_floor(body):
    actor = Actor.of(PEOPLE["tight"], body)
    motion, lead = compose(actor.person, body, actor.identity, actor.photo_params, seconds=8.0)
    assert motion.frame_count - lead == 8 * SIMULATED_FPS
    first = motion.params.frame(0)
    torch.testing.assert_close(first.full_pose, actor.photo_params.full_pose, atol=1e-4, rtol=0)
    shown = range(lead, motion.frame_count, 6)
    low = [float(pose_at(body, motion.params.frame(k)).vertices[:, 1].min()) for k in shown]
    # From one act to the next feet may leave it; the floor is at the lowest they come.
    assert np.mean(np.abs(np.array(low) - np.median(low)) < 0.01) > 0.8
    steps = motion.params.transl[lead:].diff(dim=0).norm(dim=1) * motion.fps
    assert float(steps.max()) < 3.0, "nobody jumps from place to place"


def test_what_is_read_is_what_was_drawn(made, body):
    subject = read_subject(made)
    frames = list(subject.frames())
    assert [frame.index for frame in frames] == [0, 1]
    assert frames[0].surface is not None
    assert frames[1].surface is None
    for frame in frames:
        posed = pose_at(body, frame.params)
        torch.testing.assert_close(posed.joints, frame.joints, atol=1e-4, rtol=1e-4)
        drawn = draw_body_maps(posed.vertices, body.faces, frame.camera).mask
        # Tight clothes, short hair: the naked body fills nearly all of the mask.
        assert float((drawn & (frame.mask > 0.5)).sum() / drawn.sum()) > 0.97
        assert float(drawn.sum() / (frame.mask > 0.5).sum()) > 0.85
    assert subject.still.joints.shape == (55, 3)
    assert subject.photo.rgb.shape == (256, 192, 3)


def test_the_true_surface_lies_in_the_mask(made):
    frame = next(read_subject(made).frames())
    maps = draw_body_maps(frame.surface.vertices, frame.surface.faces, frame.camera)
    solid = frame.mask > 0.5
    assert float((maps.mask & solid).sum() / (maps.mask | solid).sum()) > 0.93


def test_the_photo_shows_the_person_of_the_still(made):
    subject = read_subject(made)
    inside = subject.still.mask > 0.99
    away = (subject.photo.rgb - subject.still.picture)[inside].abs()
    assert float(away.mean()) < 0.01, "grain alone is between them"


def test_a_run_that_was_cut_off_goes_on_and_gives_the_same(made, tmp_path, body):
    other = tmp_path / "again"
    generate("tight", other, SMALL, body=body)
    before = frame_file(other, 1).read_bytes()
    assert before == frame_file(made, 1).read_bytes()
    frame_file(other, 1).unlink()
    (other / "subject.json").unlink()
    kept = frame_file(other, 0).stat().st_mtime_ns
    told = []
    generate("tight", other, SMALL, body=body, tick=told.append)
    assert told == [1, 2]
    assert frame_file(other, 1).read_bytes() == before
    assert frame_file(other, 0).stat().st_mtime_ns == kept


def test_a_folder_of_another_version_is_refused(made, tmp_path):
    manifest = load_record(made / "subject", TruthManifest)
    save_record(tmp_path / "subject", replace(manifest, version=manifest.version + 1))
    with pytest.raises(FileFormatError, match="version"):
        read_subject(tmp_path)


def test_people_are_made_on_demand_in_a_folder_of_their_settings(tmp_path):
    small = replace(SMALL, frames=2, height=64)
    ticks = []
    (subject,) = truth_subjects(
        tmp_path, ["tight"], small, tick=lambda name, done: ticks.append((name, done))
    )
    assert ticks == [("tight", 1), ("tight", 2)]
    assert folder_of(tmp_path, "tight", small) != folder_of(tmp_path, "tight", SMALL)
    assert subject.frame_count == 2
    (again,) = truth_subjects(tmp_path, ["tight"], small, tick=lambda *_: pytest.fail("made twice"))
    assert again.photo.digest == subject.photo.digest


def test_a_picture_before_white_shows_skin_and_cloth_in_its_colour(made):
    frame = next(read_subject(made).frames())
    white = over_plain(frame.picture, frame.mask)
    albedo = read_image(made / "surfaces" / "000000_albedo.png").rgb
    solid = frame.mask > 0.99
    assert np.allclose(white[frame.mask == 0], 1)
    # Lit colours stay in the family of the paint: hue goes along, brightness by the light.
    lit, paint = white[solid].mean(0), albedo[solid].mean(0)
    assert float((lit / lit.sum() - paint / paint.sum()).abs().max()) < 0.05
