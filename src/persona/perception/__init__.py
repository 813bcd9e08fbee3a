"""Perception: one photo in, what it shows of one person out."""
