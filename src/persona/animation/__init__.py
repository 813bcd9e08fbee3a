"""Motions of our own, motions on the floor, and avatars that play them."""
