"""Sapiens2: joints, parts, normals and coverage of one person, each by a model of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from persona.core.config import read_json
from persona.core.errors import FileFormatError
from persona.core.optional import require
from persona.core.pretrained import read_pretrained
from persona.perception.detectors import Picture, Plane
from persona.perception.models.pictures import Cutout, as_planes, mask_box, normalized
from persona.perception.models.topdown import Box, Joints, find_joints
from persona.records.observation import Part

POSE: Final = "sapiens2-pose-0.4b"
SEG: Final = "sapiens2-seg-0.4b"
NORMAL: Final = "sapiens2-normal-0.4b"
MATTING: Final = "sapiens2-matting-1b"
SETTINGS: Final = "preprocessor_config.json"
"""How large the model's pictures are."""
MAX_SETTINGS_BYTES: Final = 1 << 20
MARGIN: Final = 0.1
"""Free space around the person in what the models see, share of their box."""
TO_CAMERA: Final = (1.0, -1.0, -1.0)
"""The model's axes are right, up and to the viewer; a camera's right, down and forward."""
LEAST_COVERAGE: Final = 0.05
"""Where the mask that is refined covers less, somebody else may be meant."""
REACH: Final = 0.03
"""How far from there the model is still believed, share of the person's height."""

JOINTS: Final = {
    11: 5, 12: 6, 13: 7, 14: 8, 15: 62, 16: 41, 23: 9, 24: 10, 25: 11, 26: 12, 27: 13, 28: 14,
    17: 61, 18: 40, 19: 49, 20: 28, 29: 17, 30: 20, 31: 15, 32: 18,
}  # fmt: skip
"""MediaPipe Pose index -> which of the 308 keypoints: shoulders to ankles, then the knuckles of
small and index fingers, heels and big toes."""
KEYPOINTS: Final = 308
"""How many there are."""

_SKIN, _NONE = Part.SKIN, Part.BACKGROUND
CLASSES: Final = (
    _NONE, _NONE, _SKIN, _SKIN, Part.HAIR, _SKIN, _SKIN, _SKIN, _SKIN, Part.SHOES,
    Part.SHOES, _SKIN, _SKIN, Part.LOWER, _SKIN, _SKIN, _SKIN, _SKIN, Part.SHOES, Part.SHOES,
    _SKIN, _SKIN, _SKIN, Part.UPPER, _SKIN, _SKIN, _SKIN, _SKIN, _SKIN,
)  # fmt: skip
"""What each of the 29 classes is here. Background and apparel (hats, bags, belts) say nothing;
socks go with shoes, glasses with the face."""


@dataclass(frozen=True, kw_only=True)
class _Sapiens2:
    """One of the models, and how large its pictures are.

    References:
        Khirodkar et al., "Sapiens2", ICLR 2026.
    """

    model: Any
    """A model of transformers' sapiens2."""
    height: int
    """Rows of its pictures [px]."""
    width: int
    """Columns [px]."""
    device: torch.device
    """Where to compute, in float32."""

    kind: ClassVar[str]
    """The class."""
    weights: ClassVar[str]
    """Name among `core.weights_table.ENTRIES`."""
    outputs: ClassVar[int]
    """Channels that are known by name here."""

    @classmethod
    def load(cls, folder: Path, *, device: torch.device) -> Any:
        """Read the published folder.

        Raises:
            MissingPartError: The extra or a part is missing.
            FileFormatError: A part is damaged, or another model's.
        """
        transformers = require("transformers", extra="diffusion", purpose="label frames")
        model = read_pretrained(
            getattr(transformers, cls.kind), folder, torch.float32, weights=cls.weights
        )
        size = read_json(folder / SETTINGS, max_bytes=MAX_SETTINGS_BYTES).get("size")
        sides = [size.get(k, 0) if isinstance(size, dict) else 0 for k in ("height", "width")]
        patch = model.config.patch_size
        if not all(type(side) is int and side > 0 and side % patch == 0 for side in sides):
            raise FileFormatError(
                f"{folder / SETTINGS} states pictures of size {size}",
                why=f"rows and columns are cut into patches of {patch} px",
                fix=f"persona weights verify {cls.weights}",
            )
        if model.config.num_labels != cls.outputs:
            raise FileFormatError(
                f"the model in {folder} has {model.config.num_labels} outputs",
                why=f"{cls.outputs} are known by name here",
                fix=f"persona weights fetch {cls.weights}",
            )
        return cls(model=model.to(device), height=sides[0], width=sides[1], device=device)

    def _around(self, mask: Plane) -> Cutout:
        """Cut the person out in the model's own aspect."""
        box = mask_box(mask)
        return Cutout.around(box, height=self.height, width=self.width, margin=MARGIN)

    @torch.no_grad()
    def _seen(self, picture: Picture, cutout: Cutout) -> Any:
        """Let the model look."""
        pixels = as_planes(cutout.cut(picture)).to(self.device, torch.float32)
        return self.model(normalized(pixels))


def _pasted(cutout: Cutout, values: Float[Tensor, "1 c sh sw"], picture: Picture) -> np.ndarray:
    height, width = picture.shape[:2]
    planes = values[0].permute(1, 2, 0).cpu().numpy()
    return cutout.paste(planes, height=height, width=width)


@dataclass(frozen=True, kw_only=True)
class Sapiens2Pose(_Sapiens2):
    """Picture, box -> joints, feet and knuckles among them."""

    kind = "Sapiens2ForPoseEstimation"
    weights = POSE
    outputs = KEYPOINTS
    marks: ClassVar = tuple(JOINTS)
    """What is found, by MediaPipe Pose index."""

    def __call__(self, picture: Picture, box: Box) -> Joints:
        """Find the joints of whoever fills a box, in the order of `JOINTS`.

        The cut is ViTPose's, as both come from one framework.
        """
        transformers = require("transformers", extra="diffusion", purpose="label frames")
        size = {"height": self.height, "width": self.width}
        processor = transformers.VitPoseImageProcessorPil(size=size)
        joints, scores = find_joints(self.model, processor, picture, box, device=self.device)
        chosen = list(JOINTS.values())
        return joints[chosen], scores[chosen]


@dataclass(frozen=True, kw_only=True)
class Sapiens2Parts(_Sapiens2):
    """Picture, parts -> better parts."""

    kind = "Sapiens2ForSemanticSegmentation"
    weights = SEG
    outputs = len(CLASSES)

    def __call__(self, picture: Picture, parts: Int[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
        """Tell what each pixel of the person shows.

        Where the model sees apparel or nobody, what was known stays.

        Args:
            picture: The whole picture.
            parts: A `Part` for each pixel; the person is where it is not BACKGROUND.
        """
        inside = parts != Part.BACKGROUND
        cutout = self._around(inside.astype(np.float32))
        sure = torch.softmax(self._seen(picture, cutout).logits, 1)
        table = torch.tensor(CLASSES, device=sure.device)
        # Left and right arm in doubt are one arm for certain.
        by_part = torch.stack([sure[:, table == part].sum(1) for part in Part], 1)
        found = _pasted(cutout, by_part, picture).argmax(-1)
        return np.where(inside & (found != Part.BACKGROUND), found, parts)


@dataclass(frozen=True, kw_only=True)
class Sapiens2Normals(_Sapiens2):
    """Picture -> normals."""

    kind = "Sapiens2ForNormalEstimation"
    weights = NORMAL
    outputs = 3

    def __call__(self, picture: UInt8[Tensor, "h w 3"]) -> Float[Tensor, "h w 3"]:
        """Give a unit normal for every pixel, in the camera's frame: x right, y down, z forward.

        Args:
            picture: sRGB bytes.
        """
        pixels = picture.numpy()
        box = 0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0])
        whole = Cutout.around(box, height=self.height, width=self.width, margin=0.0)
        units = torch.nn.functional.normalize(self._seen(pixels, whole).normals, dim=1)
        towards = torch.from_numpy(_pasted(whole, units, pixels)) * torch.tensor(TO_CAMERA)
        return torch.nn.functional.normalize(towards, dim=-1)


@dataclass(frozen=True, kw_only=True)
class Sapiens2Matting(_Sapiens2):
    """Picture, mask -> mask with soft edges."""

    kind = "Sapiens2ForImageMatting"
    weights = MATTING
    outputs = 4

    def __call__(self, picture: Picture, mask: Plane) -> Plane:
        """Give coverage by the person; people far from the mask are left out.

        Args:
            picture: The whole picture.
            mask: Coverage as known by now.
        """
        cutout = self._around(mask)
        alpha = _pasted(cutout, self._seen(picture, cutout).alphas, picture)[..., 0]
        box = mask_box(mask)
        reach = 2 * max(1, round(REACH * (box[3] - box[1]))) + 1
        near = cv2.dilate((mask > LEAST_COVERAGE).astype(np.uint8), np.ones((reach, reach)))
        return np.where(near > 0, alpha, 0).clip(0, 1)
