"""Middles of limbs in a mask: right whatever is worn, silent where nothing can be told."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from persona.animation.clips import clip
from persona.animation.resampling import resample, trim
from persona.geometry.cameras import Camera
from persona.rendering.body_maps import draw_body_maps, vertex_normals
from persona.tracking.clip_fit import fit_clip
from persona.tracking.mending import mend_swaps
from persona.tracking.middles import CUTS, EXCHANGED, limb_middles
from persona.tracking.rig import identity_from, shape_size
from tests.tracking.conftest import DISTANCE, EYE, FOCAL, HEIGHT, WIDTH, filmed

TALL = 200.0
"""Height of the drawn person [px]."""
ARM = [k for k, cut in enumerate(CUTS) if cut.joint == "left_elbow"]


def landmarks():
    """Somebody with their left forearm stretched out level to the right of the picture."""
    body = np.zeros((33, 2))
    body[[11, 12]] = [(120, 60), (80, 60)]
    body[[13, 14, 15, 16]] = [(160, 60), (70, 90), (200, 60), (70, 120)]
    body[[23, 24, 25, 26]] = [(110, 120), (90, 120), (112, 170), (88, 170)]
    body[[27, 28]] = [(112, 220), (88, 220)]
    return body


def drawn(*boxes):
    """A mask of boxes: left, top, right, bottom."""
    mask = np.zeros((260, 260), np.float32)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = 1
    return mask


def test_the_middle_is_between_both_edges():
    middles, widths = limb_middles(landmarks(), TALL, drawn((150, 57, 230, 67)))
    assert np.allclose(widths[ARM], 10, atol=0.3)
    assert np.allclose(middles[ARM, 1], 62, atol=0.2)
    assert np.allclose(middles[ARM, 0], [168, 180, 192], atol=1e-6)


def test_clothes_do_not_move_it():
    naked, _ = limb_middles(landmarks(), TALL, drawn((150, 57, 230, 67)))
    dressed, widths = limb_middles(landmarks(), TALL, drawn((150, 52, 230, 72)))
    assert np.allclose(dressed[ARM], naked[ARM], atol=0.2)
    assert (widths[ARM] > 19).all()


@pytest.mark.parametrize(
    "mask",
    [
        drawn((150, 0, 230, 67)),
        drawn((150, 80, 230, 90)),
        drawn((150, 57, 230, 67))[:62],
        drawn(),
    ],
    ids=["one edge is out of reach", "limb is elsewhere", "picture ends", "nobody"],
)
def test_nothing_is_said_where_nothing_can_be_told(mask):
    middles, widths = limb_middles(landmarks(), TALL, mask)
    assert not widths[ARM].any()
    assert not middles[ARM].any()


def test_another_limb_in_the_way_silences_a_cut():
    body = landmarks()
    body[[14, 16]] = [(184, 40), (176, 90)]  # the right forearm crosses the left one's middle
    _, widths = limb_middles(body, TALL, drawn((150, 57, 230, 67)))
    assert widths[ARM[0]] > 0
    assert widths[ARM[1]] == 0


def test_a_limb_that_points_at_the_camera_has_no_across():
    body = landmarks()
    body[15] = body[13] + (4, 0)
    _, widths = limb_middles(body, TALL, drawn((150, 57, 230, 67)))
    assert not widths[ARM].any()


def test_mended_frames_exchange_middles(walk):
    sightings = walk.sightings
    count = len(CUTS)
    widths = torch.arange(1.0, count + 1).expand(sightings.count, count).clone()
    frames = slice(20, 26)
    world = sightings.world.clone()
    order = [*range(11), *(k + 1 if k % 2 else k - 1 for k in range(11, 33))]
    world[frames] = world[frames][:, order] * torch.tensor([1.0, 1.0, -1.0])
    mended, swap = mend_swaps(replace(sightings, world=world, widths=widths))
    assert bool(swap[frames].all())
    assert torch.equal(mended.widths[22], widths[22, list(EXCHANGED)])
    assert torch.equal(mended.widths[10], widths[10])


@pytest.fixture(scope="module")
def dressed(body):
    """A wave whose detector puts elbows, wrists, knees and ankles 2 % too far out."""
    motion = trim(resample(clip("wave", fps=30.0), fps=10.0), end=2.4)
    film = filmed(body, motion, noise=0.001, deep=0.01)
    pixels = film.sightings.body.clone()
    wrong = 0.02 * FOCAL * 1.7 / DISTANCE
    for rows, way in (((13, 15, 25, 27), 1), ((14, 16, 26, 28), -1)):
        pixels[:, list(rows), 0] += way * wrong
    sightings = replace(film.sightings, body=pixels)
    place = torch.eye(4)
    place[:3, :3] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    place[:3, 3] = place[:3, :3] @ -torch.tensor([0.0, EYE, DISTANCE])
    shrunk = 0.25
    camera = Camera(
        width=WIDTH,
        height=HEIGHT,
        focal_px=FOCAL,
        center_px=(WIDTH / 2, HEIGHT / 2),
        T_camera_world=place,
    ).scaled(shrunk)
    tall = sightings.person_height().numpy()
    found = []
    for k in range(motion.frame_count):
        skin = body.forward(motion.params.frame(k), with_pose_correctives=False).vertices
        cloth = skin + 0.02 * vertex_normals(skin, body.faces)
        mask = draw_body_maps(cloth, body.faces, camera).mask.float().numpy()
        found.append(limb_middles(pixels[k].numpy() * shrunk, tall[k] * shrunk, mask))
    middles = torch.from_numpy(np.stack([m for m, _ in found])).float() / shrunk
    widths = torch.from_numpy(np.stack([w for _, w in found])).float() / shrunk
    return film, sightings, replace(sightings, middles=middles, widths=widths)


def test_a_mask_puts_right_what_the_detector_has_wrong(body, dressed):
    film, blind, seeing = dressed
    identity = identity_from(body, torch.zeros(shape_size(body)).double())

    def miss(sightings):
        fit = fit_clip(body, sightings, identity=identity)
        there = fit.evidence.scene.pixels(fit.posed().centers[:, [4, 5, 7, 8, 18, 19, 20, 21]])
        true = fit.evidence.scene.pixels(film.joints[:, [4, 5, 7, 8, 18, 19, 20, 21]])
        return float((there - true).norm(dim=-1).mean() / (FOCAL * 1.7 / DISTANCE))

    without, with_mask = miss(blind), miss(seeing)
    assert without > 0.012
    assert with_mask < 0.6 * without
