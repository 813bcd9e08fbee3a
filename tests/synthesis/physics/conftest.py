"""A body that stands or moves, and clothes cut for it; small, so that tests are quick."""

from dataclasses import fields, replace

import pytest
import torch

from persona.animation.clips import clip
from persona.body import load_body
from persona.records.body_params import rest_params
from persona.synthesis.physics.collider import collider_of
from persona.synthesis.physics.patterns import cut_shirt, cut_skirt


@pytest.fixture(scope="session")
def body():
    return load_body()


@pytest.fixture(scope="session")
def collider(body):
    return collider_of(body)


@pytest.fixture(scope="session")
def wardrobe(body):
    rest = body.forward(rest_params()).rest_vertices
    return {
        "skirt": cut_skirt(body, rest, around=70, rows=30),
        "shirt": cut_shirt(body, rest, levels=0, layer=1),
    }


@pytest.fixture(scope="session")
def film(body):
    """Give the skin and the bones of a built-in motion's frames."""

    def make(name, frames, *, speed=1.0, first=0):
        motion = clip(name, fps=30 / speed)
        ids = (first + torch.arange(frames)) % motion.frame_count
        picked = {}
        for field in fields(motion.params):
            value = getattr(motion.params, field.name)
            picked[field.name] = value[ids] if len(value) == motion.frame_count else value
        with torch.no_grad():
            pose = body.forward(replace(motion.params, **picked))
        return pose.vertices, pose.T_posed_rest

    return make
