"""Parametric bodies in SMPL-X terms: the shipped open body, or the user's own model file."""

from persona.body.smplx import BodyPose, SmplxBody, load_body

__all__ = ["BodyPose", "SmplxBody", "load_body"]
