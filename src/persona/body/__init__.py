"""Parametric bodies in SMPL-X terms: the shipped open body, or the user's own model file."""
