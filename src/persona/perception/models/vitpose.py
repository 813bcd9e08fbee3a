"""ViTPose: seventeen joints of the person in a box."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float

from persona.core.errors import FileFormatError
from persona.core.optional import require
from persona.core.pretrained import read_pretrained, read_settings
from persona.perception.detectors import Picture

WEIGHTS: Final = "vitpose-plus-huge"
MARKS: Final = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""COCO's joints, nose to ankles, by MediaPipe Pose index."""
COCO: Final = 0
"""Which of the data sets that ViTPose++ was trained on, for its experts."""


@dataclass(frozen=True, kw_only=True)
class VitPose:
    """Picture, box -> joints.

    References:
        Xu et al., "ViTPose++: Vision Transformer for Generic Body Pose Estimation", TPAMI 2023.
    """

    model: Any
    """VitPoseForPoseEstimation."""
    processor: Any
    """VitPoseImageProcessorPil, which cuts the box out and reads the maps of heat."""
    device: torch.device
    """Where to compute, in float32."""

    @staticmethod
    def load(folder: Path, *, device: torch.device) -> "VitPose":
        """Read the published folder.

        Raises:
            MissingPartError: The extra or a part is missing.
            FileFormatError: A part is damaged, or another model's.
        """
        transformers = require("transformers", extra="diffusion", purpose="label frames")
        kind = transformers.VitPoseForPoseEstimation
        model = read_pretrained(kind, folder, torch.float32, weights=WEIGHTS)
        cutting = transformers.VitPoseImageProcessorPil
        processor = read_settings(cutting, folder, weights=WEIGHTS)
        if model.config.num_labels != len(MARKS):
            raise FileFormatError(
                f"the model in {folder} finds {model.config.num_labels} joints",
                why=f"COCO's {len(MARKS)} are known by name here",
                fix=f"persona weights fetch {WEIGHTS}",
            )
        return VitPose(model=model.to(device), processor=processor, device=device)

    @torch.no_grad()
    def __call__(
        self, picture: Picture, box: tuple[float, float, float, float]
    ) -> tuple[Float[np.ndarray, "17 2"], Float[np.ndarray, " 17"]]:
        """Find the joints of whoever fills a box.

        Args:
            picture: The whole picture.
            box: Left, top, right, bottom [px].

        Returns:
            Joints in the order of `MARKS` [px], and how sure each is, about 0 to 1.
        """
        left, top, right, bottom = box
        # Pixel centres lie at half integers here and at integers there.
        boxes = [[[left - 0.5, top - 0.5, right - left, bottom - top]]]
        cut = self.processor(picture, boxes=boxes, return_tensors="pt")
        told = {}
        if self.model.config.backbone_config.num_experts > 1:
            told["dataset_index"] = torch.tensor([COCO], device=self.device)
        seen = self.model(cut["pixel_values"].to(self.device, torch.float32), **told)
        found = self.processor.post_process_pose_estimation(seen, boxes=boxes)[0][0]
        return found["keypoints"].numpy() + 0.5, found["scores"].numpy()
