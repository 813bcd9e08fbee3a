"""Parametric bodies in SMPL-X terms: the shipped open body, or the user's own model file."""

from persona.body.loading import load_body
from persona.body.smplx import Articulation, BodyPose, SmplxBody

__all__ = ["Articulation", "BodyPose", "SmplxBody", "load_body"]
