"""Observation to BodyFit: the body and camera that explain what was seen."""
