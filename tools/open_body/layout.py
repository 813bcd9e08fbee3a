"""Put the vertices in the order in which `smplx` finds its 21 hard-coded keypoints."""

import numpy as np

from open_body.anny_source import Ints

SMPLX_FROM_SOURCE = {
    9120: 201,  # nose
    9929: 1082,  # right eye
    9448: 7758,  # left eye
    616: 5516,  # right ear
    6: 12099,  # left ear
    5770: 11574,  # left big toe
    5780: 13178,  # left small toe
    8846: 12893,  # left heel
    8463: 4972,  # right big toe
    8474: 6598,  # right small toe
    8635: 6312,  # right heel
    5361: 9316,  # left thumb
    4933: 8563,  # left index
    5058: 8755,  # left middle
    5169: 8947,  # left ring
    5286: 9139,  # left pinky
    8079: 2664,  # right thumb
    7669: 1911,  # right index
    7794: 2103,  # right middle
    7905: 2295,  # right ring
    8022: 2487,  # right pinky
}
"""SMPL-X vertex id that `smplx` reads -> vertex of ours that belongs there."""


def vertex_order(vertex_count: int) -> Ints:
    """Give the source vertex that stands at each place of the file."""
    order = np.arange(vertex_count)
    for place, vertex in SMPLX_FROM_SOURCE.items():
        at = int(np.flatnonzero(order == vertex)[0])
        order[at], order[place] = order[place], order[at]
    return order
