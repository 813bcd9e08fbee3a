"""A synthetic film: a body in a known motion before a known camera, as a noisy detector sees it."""

from dataclasses import dataclass

import pytest
import torch

from persona.animation.clips import clip
from persona.animation.resampling import trim
from persona.body import SmplxBody, load_body
from persona.fitting.evidence import remove_lean
from persona.fitting.points import pose_landmarks
from persona.records.motion import Motion
from persona.tracking.middles import CUTS
from persona.tracking.sightings import Sightings

WIDTH, HEIGHT, FOCAL = 720, 1280, 1280.0
DISTANCE, EYE = 4.0, 1.0
"""Where the camera stands: in front of the origin, this high over the floor [m]."""


@dataclass(frozen=True)
class Film:
    """What happened, and what was seen of it."""

    motion: Motion
    sightings: Sightings
    joints: torch.Tensor
    """True joints as the camera's world has them [m]."""


def filmed(
    body: SmplxBody, motion: Motion, *, noise: float = 0.006, deep: float = 0.03, seed: int = 0
) -> Film:
    """See a motion through a detector with errors of ``noise`` heights and ``deep`` metres."""
    draw = torch.Generator().manual_seed(seed)
    count = motion.frame_count
    frames = [
        body.forward(motion.params.frame(k), with_pose_correctives=False) for k in range(count)
    ]
    marks = torch.stack([pose_landmarks(body, posed) for posed in frames])
    joints = torch.stack([posed.joints[:22] for posed in frames])
    local = marks - torch.tensor([0.0, EYE, DISTANCE])
    pixels = torch.stack(
        [
            WIDTH / 2 - FOCAL * local[..., 0] / local[..., 2],
            HEIGHT / 2 + FOCAL * local[..., 1] / local[..., 2],
        ],
        -1,
    )
    tall = FOCAL * 1.7 / DISTANCE
    pixels = pixels + noise * tall * torch.randn(pixels.shape, generator=draw)
    world = marks - marks[:, [23, 24]].mean(1, keepdim=True)
    world = world + deep * torch.randn(world.shape, generator=draw)
    # The detector leans people by what remove_lean undoes.
    world = 2 * world - remove_lean(world)
    no_hand, nobody = torch.zeros(count, 21, 3), torch.zeros(count, dtype=torch.bool)
    sightings = Sightings(
        times=torch.arange(count).double() / motion.fps,
        shots=torch.zeros(count, dtype=torch.int64),
        seen=torch.ones(count, dtype=torch.bool),
        body=pixels,
        visibility=torch.ones(count, 33),
        world=world,
        left_seen=nobody,
        right_seen=nobody,
        left_hand=no_hand,
        right_hand=no_hand,
        face_seen=nobody,
        face=torch.zeros(count, 478, 3),
        middles=torch.zeros(count, len(CUTS), 2),
        widths=torch.zeros(count, len(CUTS)),
        camera_turn=torch.eye(3, dtype=torch.float64).repeat(count, 1, 1),
        size=(WIDTH, HEIGHT),
    )
    return Film(motion, sightings, (joints - torch.tensor([0.0, EYE, DISTANCE])).double())


@pytest.fixture(scope="session")
def body() -> SmplxBody:
    """The open body."""
    return load_body()


@pytest.fixture(scope="session")
def squat(body) -> Film:
    """Two seconds of a squat, feet on the floor."""
    return filmed(body, trim(clip("squat", fps=30.0), end=2.0))


@pytest.fixture(scope="session")
def walk(body) -> Film:
    """Two seconds of a walk towards the camera."""
    return filmed(body, trim(clip("walk", fps=30.0), end=2.0))
