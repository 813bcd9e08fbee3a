"""Frames by video diffusion: a person in a photo moves as a skeleton does."""
