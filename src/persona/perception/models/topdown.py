"""Find joints top-down: cut a box out of the picture, and read peaks of heat."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from persona.perception.detectors import Picture

Box = tuple[float, float, float, float]
"""Left, top, right, bottom [px]."""
Joints = tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"]]
"""Joints [px], and how sure each is, about 0 to 1."""


def find_joints(
    model: Any, processor: Any, picture: Picture, box: Box, *, device: torch.device, **told: Any
) -> Joints:
    """Find the joints of whoever fills a box.

    Args:
        model: Gives ``heatmaps``, one for each joint.
        processor: VitPoseImageProcessorPil, which cuts out a quarter more than the box and finds
            peaks between pixels.
        picture: The whole picture.
        box: Of the person.
        device: Where to compute.
        told: What else the model is told.
    """
    left, top, right, bottom = box
    # Pixel centres lie at half integers here and at integers there.
    boxes = [[[left - 0.5, top - 0.5, right - left, bottom - top]]]
    cut = processor(picture, boxes=boxes, return_tensors="pt")
    with torch.no_grad():
        seen = model(cut["pixel_values"].to(device, torch.float32), **told)
    found = processor.post_process_pose_estimation(seen, boxes=boxes)[0][0]
    return found["keypoints"].numpy() + 0.5, found["scores"].numpy()
