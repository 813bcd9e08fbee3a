"""How far to believe a generated frame: is it this person, in the pose that was asked for."""

from dataclasses import dataclass, field
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.records.frame_labels import FrameLabels
from persona.records.observation import Observation, Part
from persona.records.photo import Photo

LEAST_TRUST: Final = 0.3
"""Frames trusted less are left out."""
CLOTHES_REACH: Final = 0.06
"""How far clothes and hair may reach beyond the naked body, share of the person's height."""
POSE_SLACK: Final = 0.1
"""At this mean distance of joints, share of the height, a pose is another one."""
COLOR_SLACK: Final = 0.3
"""At this distance of mean colours, sRGB, a part is somebody else's."""
FLICKER_SLACK: Final = 0.15
"""The same between neighbouring frames."""
SMALLEST_PART: Final = 0.005
"""Parts of a smaller share of the person are not compared."""
JOINTS: Final = (11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""MediaPipe's shoulders to ankles."""
PARTS: Final = (Part.SKIN, Part.HAIR, Part.UPPER, Part.LOWER, Part.SHOES)

PartColors = dict[Part, Float[Tensor, " 3"]]
"""Mean sRGB of each part that is large enough."""


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What was measured of one frame; every number is a share, 1 is best."""

    frame: int
    """Which."""
    silhouette: float
    """How well the person covers the body that was asked for, and nothing far from it."""
    pose: float
    """How near the joints are to those asked for."""
    identity: float
    """How near the colours of all parts are to the photo's, by their size."""
    steadiness: float
    """How little they differ from the frame before."""
    parts: dict[str, float] = field(default_factory=dict)
    """Part -> how near its colour is to the photo's."""

    @property
    def value(self) -> float:
        """The least of the four: a frame is as good as what is worst about it."""
        return min(self.silhouette, self.pose, self.identity, self.steadiness)

    @property
    def worst(self) -> str:
        """Which of the four that is."""
        return min(("silhouette", "pose", "identity", "steadiness"), key=lambda n: getattr(self, n))


def photo_colors(photo: Photo, observation: Observation) -> PartColors:
    """Give the colours that the photo shows the person in."""
    return part_colors(photo.rgb, observation.parts, observation.mask)


def part_colors(
    rgb: Float[Tensor, "h w 3"], parts: Tensor, mask: Float[Tensor, "h w"]
) -> PartColors:
    """Average the colours of every part of a picture."""
    person = (mask > 0.5).sum().clamp(min=1)
    found = {}
    for part in PARTS:
        where = (parts == int(part)) & (mask > 0.5)
        if float(where.sum() / person) >= SMALLEST_PART:
            found[part] = rgb[where].mean(0)
    return found


def judge(
    frame: int,
    labels: FrameLabels,
    colors: PartColors,
    *,
    asked_body: Bool[Tensor, "h w"],
    asked_joints: Float[Tensor, "12 2"],
    wanted: PartColors,
    before: PartColors | None,
) -> Trust:
    """Judge one frame.

    Args:
        frame: Which.
        labels: What was seen in it.
        colors: Of it, see `part_colors`.
        asked_body: Where the naked body in the asked-for pose is.
        asked_joints: Where its `JOINTS` are [px].
        wanted: Colours of the photo.
        before: Colours of the frame before; None for the first.
    """
    rows = asked_body.any(1).nonzero()[:, 0]
    height = float(rows[-1] - rows[0] + 1) if len(rows) else 1.0
    sizes = {part: int((labels.parts == int(part)).sum()) for part in colors}
    parts = {
        part: _share(float((colors[part] - wanted[part]).norm()) / COLOR_SLACK)
        for part in colors
        if part in wanted
    }
    # A person none of whose parts is known again is not known again.
    total = sum(sizes[part] for part in parts)
    identity = sum(parts[p] * sizes[p] for p in parts) / total if total else 0.0
    shared = [part for part in colors if before is not None and part in before]
    flicker = (
        max(float((colors[p] - before[p]).norm()) for p in shared) if before and shared else 0.0
    )
    away = (labels.body[list(JOINTS)] - asked_joints).norm(dim=1).mean() / height
    return Trust(
        frame=frame,
        silhouette=_agreement(labels.mask > 0.5, asked_body, round(CLOTHES_REACH * height)),
        pose=_share(float(away) / POSE_SLACK),
        identity=identity,
        steadiness=_share(flicker / FLICKER_SLACK),
        parts={part.name.lower(): value for part, value in parts.items()},
    )


def told(trusts: list[Trust], unseen: list[int]) -> tuple[str, ...]:
    """Say in sentences how many frames were believed, and which were not and why."""
    kept = [t for t in trusts if t.value >= LEAST_TRUST]
    count = len(trusts) + len(unseen)
    lines = [f"{len(kept)} of {count} generated frames that were looked at are used."]
    if kept:
        mean = sum(t.value for t in kept) / len(kept)
        lines[0] += f" Each counts by its trust, {mean:.2f} in the mean."
    lines += [
        f"Frame {t.frame} was left out: {t.worst} is {getattr(t, t.worst):.2f}."
        for t in trusts
        if t.value < LEAST_TRUST
    ]
    lines += [f"Frame {frame} was left out: nobody was seen in it." for frame in unseen]
    for part in sorted({name for t in kept for name in t.parts}):
        values = [t.parts[part] for t in kept if part in t.parts]
        lines.append(f"Colour of {part}: {sum(values) / len(values):.2f} like the photo's.")
    return tuple(lines)


def _agreement(found: Tensor, body: Tensor, reach: int) -> float:
    """Multiply the covered share of the body by the share of the person that is near it."""
    size = 2 * max(reach, 1) + 1
    near = torch.nn.functional.max_pool2d(
        body[None, None].float(), size, stride=1, padding=size // 2
    )[0, 0]
    inside = float((found & body).sum() / body.sum().clamp(min=1))
    beside = float((found & (near < 0.5)).sum() / found.sum().clamp(min=1))
    return inside * (1 - beside)


def _share(excess: float) -> float:
    return min(max(1 - excess, 0.0), 1.0)
