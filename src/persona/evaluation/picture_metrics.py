"""What is measured in a frame: as papers do it, and where nothing can hide.

*Published*: the true mask is applied to both pictures, both stand before white, and the whole frame
counts. What is drawn outside the mask costs nothing, and every white pixel helps. *Box*: both stand
before white as they are, and only the person's box counts, with everything in it. Face and hands
are compared in boxes of their own in the same way as the box.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
import torch

from persona.core.types import Image, Mask
from persona.evaluation.methods import Drawn
from persona.evaluation.metrics import Metric
from persona.evaluation.regions import Box, face_region, hand_regions, person_region
from persona.evaluation.subjects import SubjectFrame, over_plain
from persona.images.lpips import Lpips
from persona.images.masks import INSIDE, overlap
from persona.images.similarity import WINDOW, gmsd, ms_ssim, person_box, psnr
from persona.kernels.similarity import ssim_planes

PLAIN: Final = 1.0
"""Grey of the background that both stand before: white."""
MS_SSIM_SIDE: Final = WINDOW * 2**4
"""Five scales need so many pixels: the box is widened to them inside the frame."""


def _metric(
    name: str, label: str, unit: str, because: str, *, digits: int, tolerance: float | None
) -> Metric:
    higher = unit in ("dB", "share", "SSIM", "1/s")
    return Metric(
        name=name,
        label=label,
        unit=unit,
        better="higher" if higher else "lower",
        gate=None,
        because=because,
        digits=digits,
        tolerance=tolerance,
    )


PICTURE_METRICS: Final[dict[str, Metric]] = {
    metric.name: metric
    for metric in (
        _metric(
            "psnr_published", "PSNR as published", "dB", "what papers compare",
            digits=2, tolerance=0.3,
        ),
        _metric(
            "ssim_published", "SSIM as published", "SSIM", "what papers compare",
            digits=4, tolerance=0.003,
        ),
        _metric(
            "lpips_alex_published", "LPIPS-Alex as published", "LPIPS", "what papers compare",
            digits=4, tolerance=0.003,
        ),
        _metric(
            "lpips_vgg_published", "LPIPS-VGG as published", "LPIPS", "what papers compare",
            digits=4, tolerance=0.003,
        ),
        _metric(
            "psnr_box", "PSNR in the box", "dB", "colours off, or in the wrong place",
            digits=2, tolerance=0.3,
        ),
        _metric(
            "ssim_box", "SSIM in the box", "SSIM", "structure off, or in the wrong place",
            digits=3, tolerance=0.01,
        ),
        _metric(
            "ms_ssim_box", "MS-SSIM in the box", "SSIM", "the same at five scales",
            digits=3, tolerance=0.01,
        ),
        _metric(
            "gmsd_box", "GMSD in the box", "GMSD", "edges damaged here and there",
            digits=3, tolerance=0.01,
        ),
        _metric(
            "lpips_alex_box", "LPIPS-Alex in the box", "LPIPS", "unlike to people",
            digits=3, tolerance=0.01,
        ),
        _metric(
            "lpips_vgg_box", "LPIPS-VGG in the box", "LPIPS", "unlike to people",
            digits=3, tolerance=0.01,
        ),
        _metric(
            "iou", "mask overlap", "share", "an outline of another shape or place",
            digits=3, tolerance=0.01,
        ),
        _metric(
            "boundary_px", "outline error", "px", "how far off the outline is",
            digits=2, tolerance=0.5,
        ),
        _metric(
            "psnr_face", "PSNR of the face", "dB", "another face", digits=2, tolerance=0.5
        ),
        _metric(
            "ssim_face", "SSIM of the face", "SSIM", "another face", digits=3, tolerance=0.02
        ),
        _metric(
            "psnr_hands", "PSNR of the hands", "dB", "lost or stiff hands",
            digits=2, tolerance=0.5,
        ),
        _metric(
            "ssim_hands", "SSIM of the hands", "SSIM", "lost or stiff hands",
            digits=3, tolerance=0.02,
        ),
        _metric(
            "flicker", "flicker", "1/255", "changes from frame to frame that are not there",
            digits=2, tolerance=0.5,
        ),
        _metric(
            "jitter_px", "jitter", "px", "a trembling outline", digits=2, tolerance=0.3
        ),
        _metric(
            "vertex_mm", "surface error", "mm", "a body of another shape", digits=1, tolerance=0.5
        ),
        _metric(
            "accuracy_mm", "drawn to true", "mm", "drawn where nothing is",
            digits=1, tolerance=1.0,
        ),
        _metric(
            "completeness_mm", "true to drawn", "mm", "missing parts", digits=1, tolerance=1.0
        ),
        _metric(
            "normal_deg", "normal error", "deg", "a rough or wrongly turned surface",
            digits=1, tolerance=1.5,
        ),
        _metric(
            "frames_per_second", "frames drawn a second", "1/s", "too slow to watch",
            digits=1, tolerance=None,
        ),
        _metric(
            "create_seconds", "to make the avatar", "s", "too slow to wait for",
            digits=0, tolerance=None,
        ),
    )
}  # fmt: skip
"""Name -> metric, in the order they are shown. Those of time have no tolerance: machines differ."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PictureMeter:
    """Measures single frames."""

    lpips: Mapping[str, Lpips] = field(default_factory=dict)
    """"alex" and "vgg", those whose weights are there."""

    def measure(self, drawn: Drawn, frame: SubjectFrame) -> dict[str, float]:
        """Compare what was drawn with a frame; what cannot be measured is left out.

        Returns:
            Keys of `PICTURE_METRICS`. Empty where nobody is in the frame: nothing can be compared.
        """
        region = person_region(frame.mask)
        if region is None:
            return {}
        true = over_plain(frame.picture, frame.mask, PLAIN)
        found = drawn.over(PLAIN)
        numbers = published(drawn, frame)
        numbers |= self._lpips("published", masked(found, frame.mask), masked(true, frame.mask))
        numbers |= _box_numbers(found, true, region)
        numbers |= self._lpips("box", region.of(found), region.of(true))
        numbers["iou"] = overlap(drawn.alpha, frame.mask)
        numbers["boundary_px"] = boundary_error(drawn.alpha, frame.mask)
        face = face_region(frame)
        numbers |= _part_numbers("face", found, true, [] if face is None else [face])
        return numbers | _part_numbers("hands", found, true, hand_regions(frame))

    def _lpips(self, where: str, found: Image, true: Image) -> dict[str, float]:
        pair = [picture.clamp(0, 1).permute(2, 0, 1).contiguous() for picture in (found, true)]
        with torch.no_grad():
            return {
                f"lpips_{name}_{where}": float(model(*pair))
                for name, model in self.lpips.items()
                if min(pair[0].shape[1:]) >= model.trunk.least_side
            }


def masked(picture: Image, mask: Mask) -> Image:
    """Show a picture only where a mask is, before white: all or nothing, as masks of papers are."""
    return torch.where((mask > INSIDE)[..., None], picture, torch.tensor(PLAIN))


def structural_similarity(picture: Image, target: Image) -> float:
    """Give SSIM of whole pictures as torchmetrics does, the rim counted by its mirror image."""
    planes = [x.permute(2, 0, 1).contiguous() for x in (picture, target)]
    return float(ssim_planes(planes[0], planes[1], reflect=True))


def published(drawn: Drawn, frame: SubjectFrame) -> dict[str, float]:
    """Give PSNR and SSIM as papers do: the true mask on both, before white, the whole frame.

    Outside the mask both are white, where the error is 0 and SSIM 1: only what a window that
    touches the mask sees is looked at, and the rest is counted in.
    """
    rows, columns = person_box(frame.mask)
    mask = frame.mask[rows, columns]
    true = masked(over_plain(frame.picture[rows, columns], mask, PLAIN), mask)
    found = masked(drawn.over(PLAIN)[rows, columns], mask)
    share = mask.numel() / frame.mask.numel()
    numbers = {"psnr_published": float(psnr(found, true)) - 10 * math.log10(share)}
    if min(mask.shape) >= WINDOW:
        numbers["ssim_published"] = 1 - (1 - structural_similarity(found, true)) * share
    return numbers


def boundary_error(first: Mask, second: Mask) -> float:
    """Give the mean distance between two outlines, both ways [px].

    Where one of them is empty, that is the picture's diagonal.
    """
    rims = [_outline(first), _outline(second)]
    if not all(rim.any() for rim in rims):
        same = rims[0].any() == rims[1].any()
        return 0.0 if same else math.hypot(*first.shape)
    one, other = rims
    return float((_distance(other)[one].mean() + _distance(one)[other].mean()) / 2)


def _outline(mask: Mask) -> np.ndarray:
    solid = (mask.numpy() > INSIDE).astype(np.uint8)
    # The frame's own edge is no outline: there a person is cut off.
    return (solid - cv2.erode(solid, np.ones((3, 3), np.uint8))) > 0


def _distance(outline: np.ndarray) -> np.ndarray:
    away = (~outline).astype(np.uint8)
    return cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def _box_numbers(found: Image, true: Image, region: Box) -> dict[str, float]:
    one, other = region.of(found), region.of(true)
    numbers = {"psnr_box": float(psnr(one, other))}
    if region.least >= WINDOW:
        numbers["ssim_box"] = structural_similarity(one, other)
        numbers["gmsd_box"] = float(gmsd(one, other))
    wide = region.widened(MS_SSIM_SIDE, *true.shape[:2])
    if wide.least >= MS_SSIM_SIDE:
        numbers["ms_ssim_box"] = float(ms_ssim(wide.of(found), wide.of(true)))
    return numbers


def _part_numbers(name: str, found: Image, true: Image, boxes: list[Box]) -> dict[str, float]:
    """Compare small boxes together: one mean error, mean similarity."""
    if not boxes:
        return {}
    errors = torch.cat([(box.of(found) - box.of(true)).square().reshape(-1) for box in boxes])
    alike = [structural_similarity(box.of(found), box.of(true)) for box in boxes]
    return {
        f"psnr_{name}": float(-10 * torch.log10(errors.mean())),
        f"ssim_{name}": float(np.mean(alike)),
    }
