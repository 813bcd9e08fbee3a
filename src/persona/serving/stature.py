"""Measure of an avatar what other programs' poses need to become its own."""

import numpy as np
import torch

from persona.animation.clips import clip
from persona.animation.performance import perform
from persona.avatar.avatar import Avatar
from persona.body.arkit import arkit_matrix
from persona.serving.vmc import Stature


def stature_of(avatar: Avatar) -> Stature:
    """Give pelvis, standing height and face of an avatar."""
    with torch.no_grad():
        standing = perform(avatar, clip("idle")).params.transl[0]
        pelvis = avatar.puppet.rest_joints[0]
        return Stature(
            pelvis=pelvis.numpy().astype(np.float64),
            standing=float(standing[1] + pelvis[1]),
            face=avatar.photo_params.expression.numpy().astype(np.float64),
            arkit=avatar.body.face_units.names,
            matrix=arkit_matrix(avatar.body).numpy().astype(np.float64),
        )
