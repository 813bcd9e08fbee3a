"""Parametric bodies in SMPL-X terms: the shipped open body, or the user's own model file."""

from persona.body.loading import body_license, body_of, load_body
from persona.body.smplx import Articulation, BodyPose, SmplxBody

__all__ = ["Articulation", "BodyPose", "SmplxBody", "body_license", "body_of", "load_body"]
