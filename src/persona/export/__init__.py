"""Avatars as files that other programs open: video, pictures, Gaussian PLY."""
