"""ViTPose: seventeen joints of the person in a box."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import torch

from persona.core.errors import FileFormatError
from persona.core.optional import require
from persona.core.pretrained import read_pretrained, read_settings
from persona.perception.detectors import Picture
from persona.perception.models.topdown import Box, Joints, find_joints

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
    marks: ClassVar = MARKS
    """What is found, by MediaPipe Pose index."""

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

    def __call__(self, picture: Picture, box: Box) -> Joints:
        """Find the joints of whoever fills a box, in the order of `MARKS`."""
        told = {}
        if self.model.config.backbone_config.num_experts > 1:
            told["dataset_index"] = torch.tensor([COCO], device=self.device)
        return find_joints(self.model, self.processor, picture, box, device=self.device, **told)
