"""Cylinders of the body along which clothes repeat: limbs, their axes, and who mirrors whom."""

import enum

import numpy as np


class Limb(enum.IntEnum):
    """Groups of joints whose surface runs along one axis of the rest pose."""

    TORSO = 0
    LEFT_LEG = 1
    RIGHT_LEG = 2
    LEFT_ARM = 3
    RIGHT_ARM = 4
    LEFT_HAND = 5
    RIGHT_HAND = 6
    LEFT_FOOT = 7
    RIGHT_FOOT = 8
    HEAD = 9
    NECK = 10
    SKIRT = 11
    """Cloth that hangs as one tube around both legs; no joint is its own."""


MIRROR = {
    Limb.TORSO: Limb.TORSO,
    Limb.LEFT_LEG: Limb.RIGHT_LEG,
    Limb.RIGHT_LEG: Limb.LEFT_LEG,
    Limb.LEFT_ARM: Limb.RIGHT_ARM,
    Limb.RIGHT_ARM: Limb.LEFT_ARM,
    Limb.LEFT_HAND: Limb.RIGHT_HAND,
    Limb.RIGHT_HAND: Limb.LEFT_HAND,
    Limb.LEFT_FOOT: Limb.RIGHT_FOOT,
    Limb.RIGHT_FOOT: Limb.LEFT_FOOT,
    Limb.HEAD: Limb.HEAD,
    Limb.NECK: Limb.NECK,
    Limb.SKIRT: Limb.SKIRT,
}
"""The limb on the other side."""

_JOINTS = {
    Limb.TORSO: (0, 3, 6, 9, 13, 14),
    Limb.LEFT_LEG: (1, 4),
    Limb.RIGHT_LEG: (2, 5),
    Limb.LEFT_ARM: (16, 18),
    Limb.RIGHT_ARM: (17, 19),
    Limb.LEFT_HAND: (20, *range(25, 40)),
    Limb.RIGHT_HAND: (21, *range(40, 55)),
    Limb.LEFT_FOOT: (7, 10),
    Limb.RIGHT_FOOT: (8, 11),
    Limb.HEAD: (15, 22, 23, 24),
    Limb.NECK: (12,),
}

LIMB_OF_JOINT = np.zeros(55, np.int64)
"""The limb each SMPL-X joint belongs to."""
for _limb, _joints in _JOINTS.items():
    LIMB_OF_JOINT[list(_joints)] = _limb

_ARMS = (Limb.LEFT_ARM, Limb.RIGHT_ARM, Limb.LEFT_HAND, Limb.RIGHT_HAND)


def along(limb: Limb, rest: np.ndarray) -> np.ndarray:
    """Measure how far along its limb each rest-pose point lies [m], alike on both sides."""
    if limb in _ARMS:
        return np.abs(rest[:, 0])
    return rest[:, 1]


def front_plane(limb: Limb, rest: np.ndarray) -> np.ndarray:
    """Lay rest-pose points onto the plane one sees from the front, alike on both sides; (n, 2)."""
    if limb in (Limb.TORSO, Limb.HEAD, Limb.NECK, Limb.SKIRT):
        return rest[:, :2]
    return np.stack([np.abs(rest[:, 0]), rest[:, 1]], 1)
