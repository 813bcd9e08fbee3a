"""Splat files of other programs, read with care or refused with the reason."""
