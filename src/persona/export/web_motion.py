"""A motion as the page plays it: float32 arrays in a safetensors file."""

import json

import numpy as np
from safetensors.numpy import save

from persona.records.motion import Motion


def web_motion(motion: Motion) -> bytes:
    """Pack a motion for the page.

    Returns:
        A safetensors file of ``rotations`` (frames x 55 x 3, axis-angle [rad]), ``transl``
        (frames x 3 [m]) and ``expression`` (frames x coefficients), float32; name, frame rate and
        whether it loops stand in its metadata.
    """
    params = motion.params
    arrays = {
        "rotations": params.full_pose.numpy(),
        "transl": params.transl.numpy(),
        "expression": params.expression.numpy(),
    }
    packed = {name: np.ascontiguousarray(a, dtype=np.float32) for name, a in arrays.items()}
    head = {"name": motion.name, "fps": motion.fps, "loops": motion.loops}
    return save(packed, metadata={"head": json.dumps(head)})
