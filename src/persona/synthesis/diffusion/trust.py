"""How far to believe a generated frame: is it this person, in the pose that was asked for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.records.frame_labels import FrameLabels
from persona.records.observation import Observation, Part
from persona.records.photo import Photo

LEAST_TRUST: Final = 0.3
"""Frames trusted less are left out."""
LOW_TRUST: Final = 0.6
"""Frames trusted less are named, as they count for little."""
CLOTHES_REACH: Final = 0.06
"""How far clothes and hair may reach beyond the naked body, share of the person's height."""
BULK_SLACK: Final = 0.15
"""How much more or less of the picture the person may cover than clothes that hang otherwise
explain, next to the naked body and to the photo, as a natural logarithm."""
BULK_RANGE: Final = 0.4
"""So much beyond that is another person."""
POSE_SLACK: Final = 0.1
"""At this mean distance of joints, share of the height, a pose is another one."""
COLOR_SLACK: Final = 0.25
"""At this distance from all that the photo shows of a part, sRGB, a colour is somebody else's."""
FLICKER_SLACK: Final = 0.25
"""The same between frames that are looked at one after the other."""
NEIGHBORS: Final = 2
"""So many frames before and after are compared; the likest counts, so that a bad frame does not
take its neighbours with it."""
STRAY_SHARE: Final = 0.06
"""A colour of so few of a part's pixels may be a pixel of another part."""
SAMPLES: Final = 400
"""Pixels of a part that are compared, evenly taken."""
SMALLEST_PART: Final = 0.005
"""Parts of a smaller share of the person are not compared."""
LARGE_PART: Final = 0.08
"""Parts of a larger share can condemn a frame alone."""
SAME_FACE, OTHER_FACE = 0.85, 0.6
"""Cosine of embeddings from which on faces are the same, and below which another's. Guesses: no
published weights were at hand. So that a wrong guess costs no film, a face alone makes a frame
count least, and does not leave it out."""
JOINTS: Final = (11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""MediaPipe's shoulders to ankles."""
JOINT_NAMES: Final = tuple(
    f"{side} {name}"
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)
"""What people call them."""
PARTS: Final = (Part.SKIN, Part.HAIR, Part.UPPER, Part.LOWER, Part.SHOES)


@dataclass(frozen=True, kw_only=True)
class PartLook:
    """What a picture shows of a part."""

    share: float
    """Of the person's pixels."""
    colors: Float[Tensor, "k 3"]
    """Some of them, sRGB."""


PartLooks = dict[Part, PartLook]
"""Parts that are large enough."""


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What was measured of one frame; every number is a share, 1 is best."""

    frame: int
    """Which."""
    silhouette: float
    """How well the person covers the body that was asked for, nothing far from it, and as much
    around it as in the photo."""
    pose: float
    """How near the joints are to those asked for."""
    identity: float
    """How near the colours are to the photo's: the mean of all parts, or the worst large one."""
    steadiness: float = 1.0
    """How near they are to those of the frames beside it, likewise."""
    face: float | None = None
    """How near the face is to the photo's, from `LEAST_TRUST` on; None where none was compared."""
    parts: Mapping[str, float] = field(default_factory=dict)
    """Part -> how near its colours are to the photo's."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Which of them -> what is worst about it, in words."""

    @property
    def value(self) -> float:
        """The least of all: a frame is as good as what is worst about it."""
        return min(self._judged.values())

    @property
    def worst(self) -> str:
        """Which of them that is; of equals the first, which explains the others."""
        judged = self._judged
        return min(judged, key=lambda name: judged[name])

    @property
    def why(self) -> str:
        """Say in words what is worst."""
        reason = self.reasons.get(self.worst)
        said = f"{self.worst} is {getattr(self, self.worst):.2f}"
        return f"{said}, {reason}" if reason else said

    @property
    def _judged(self) -> dict[str, float]:
        names = ("silhouette", "pose", "identity", "face", "steadiness")
        known = {name: getattr(self, name) for name in names}
        return {name: value for name, value in known.items() if value is not None}


def photo_looks(photo: Photo, observation: Observation) -> PartLooks:
    """Give what the photo shows of every part."""
    return part_looks(photo.rgb, observation.parts, observation.mask)


def part_looks(rgb: Float[Tensor, "h w 3"], parts: Tensor, mask: Float[Tensor, "h w"]) -> PartLooks:
    """Take some pixels of every part of a picture."""
    person = (mask > 0.5).sum().clamp(min=1)
    found = {}
    for part in PARTS:
        where = (parts == int(part)) & (mask > 0.5)
        share = float(where.sum() / person)
        if share >= SMALLEST_PART:
            colors = rgb[where]
            found[part] = PartLook(share=share, colors=colors[:: -(-len(colors) // SAMPLES)])
    return found


def judge(
    frame: int,
    labels: FrameLabels,
    looks: PartLooks,
    *,
    asked_body: Bool[Tensor, "h w"],
    asked_joints: Float[Tensor, "12 2"],
    wanted: PartLooks,
    bulk: float,
    face: float | None = None,
) -> Trust:
    """Judge one frame by itself; `judge_steadiness` compares frames.

    Args:
        frame: Which.
        labels: What was seen in it.
        looks: Of it, see `part_looks`.
        asked_body: Where the naked body in the asked-for pose is.
        asked_joints: Where its `JOINTS` are [px].
        wanted: Looks of the photo.
        bulk: Pixels of the person over pixels of their naked body in the photo.
        face: Cosine of the face's embedding and the photo's; None where not both are seen.
    """
    rows = asked_body.any(1).nonzero()[:, 0]
    height = float(rows[-1] - rows[0] + 1) if len(rows) else 1.0
    known = {p: _likeness(looks[p], wanted[p], COLOR_SLACK) for p in looks if p in wanted}
    # A person none of whose parts is known again is not known again.
    identity, odd = _together(looks, known) if known else (0.0, None)
    away = (labels.body[list(JOINTS)] - asked_joints).norm(dim=1) / height
    farthest = int(away.argmax())
    silhouette, outline = _agreement(labels.mask > 0.5, asked_body, height, bulk)
    reasons = {
        "silhouette": outline,
        "pose": f"the {JOINT_NAMES[farthest]} is {float(away[farthest]):.0%} of the height "
        "from where it was asked for",
        "face": "it looks like another's",
        "identity": "no part of the photo is seen"
        if odd is None
        else f"{_called(odd)} has other colours than in the photo",
    }
    return Trust(
        frame=frame,
        silhouette=silhouette,
        pose=_share(float(away.mean()) / POSE_SLACK),
        identity=identity,
        face=None if face is None else _face_share(face),
        parts={_called(part): value for part, value in known.items()},
        reasons=reasons,
    )


def judge_steadiness(trusts: Sequence[Trust], looks: Sequence[PartLooks]) -> tuple[Trust, ...]:
    """Compare every frame with those beside it; the likest of them counts.

    Args:
        trusts: Frames in their order.
        looks: Of each.
    """
    judged = []
    for k, trust in enumerate(trusts):
        near = range(max(k - NEIGHBORS, 0), min(k + NEIGHBORS + 1, len(trusts)))
        steadiness, odd = max(
            (_flicker(looks[k], looks[other]) for other in near if other != k),
            key=lambda found: found[0],
            default=(1.0, None),
        )
        reasons = dict(trust.reasons)
        if odd is not None:
            reasons["steadiness"] = f"{_called(odd)} has other colours than in the frames beside it"
        judged.append(replace(trust, steadiness=steadiness, reasons=reasons))
    return tuple(judged)


def told(
    trusts: Sequence[Trust], unseen: Sequence[int], *, no_faces: str | None = None
) -> tuple[str, ...]:
    """Say in sentences how many frames were believed, and which were not and why.

    Args:
        trusts: Frames in their order.
        unseen: Frames that show nobody.
        no_faces: Why no face was compared; None where faces were to be.
    """
    kept = [t for t in trusts if t.value >= LEAST_TRUST]
    count = len(trusts) + len(unseen)
    lines = [f"{len(kept)} of {count} generated frames that were looked at are used."]
    if kept:
        mean = sum(t.value for t in kept) / len(kept)
        lines[0] += f" Each counts by its trust, {mean:.2f} in the mean."
    lines += [f"Frame {t.frame} was left out: {t.why}." for t in trusts if t.value < LEAST_TRUST]
    lines += [f"Frame {frame} was left out: nobody was seen in it." for frame in unseen]
    lines += [
        f"Frame {t.frame} counts {t.value:.2f}: {t.why}." for t in kept if t.value < LOW_TRUST
    ]
    faces = [t.face for t in trusts if t.face is not None]
    if no_faces is not None:
        lines.append(f"No face was compared, so that another of like colours passes: {no_faces}.")
    else:
        lines.append(
            f"Faces were compared in {len(faces)} of {len(trusts)} frames"
            + (f", {sum(faces) / len(faces):.2f} like the photo's." if faces else ".")
        )
    for part in sorted({name for t in kept for name in t.parts}):
        values = [t.parts[part] for t in kept if part in t.parts]
        lines.append(f"Colours of {part}: {sum(values) / len(values):.2f} like the photo's.")
    return tuple(lines)


def _likeness(found: PartLook, known: PartLook, slack: float) -> float:
    """Say how near the colours of one picture are to any of another's.

    Not how near their means are: a jacket that is open in front covers the whole back.
    """
    away = torch.cdist(found.colors, known.colors)
    few = max(round(STRAY_SHARE * away.shape[1]), 1)
    nearest = away.kthvalue(few, dim=1).values
    return 1 - float((nearest / slack).clamp(max=1).mean())


def _together(looks: PartLooks, shares: Mapping[Part, float]) -> tuple[float, Part]:
    """Give the mean of parts by their size, or the worst large part, and which is worst."""
    total = sum(looks[part].share for part in shares)
    mean = sum(value * looks[part].share for part, value in shares.items()) / total
    large = [part for part in shares if looks[part].share >= LARGE_PART] or list(shares)
    worst = min(large, key=lambda part: shares[part])
    return min(mean, shares[worst]), worst


def _flicker(looks: PartLooks, beside: PartLooks) -> tuple[float, Part | None]:
    shared = {p: _likeness(looks[p], beside[p], FLICKER_SLACK) for p in looks if p in beside}
    return _together(looks, shared) if shared else (0.0, None)


def _agreement(found: Tensor, body: Tensor, height: float, bulk: float) -> tuple[float, str]:
    """Multiply three shares: body covered, person near it, and as broad as they are; say which."""
    size = 2 * max(round(CLOTHES_REACH * height), 1) + 1
    near = torch.nn.functional.max_pool2d(
        body[None, None].float(), size, stride=1, padding=size // 2
    )[0, 0]
    inside = float((found & body).sum() / body.sum().clamp(min=1))
    close = 1 - float((found & (near < 0.5)).sum() / found.sum().clamp(min=1))
    broader = float(found.sum().clamp(min=1) / body.sum().clamp(min=1)) / bulk
    kept = _share(max(abs(math.log(broader)) - BULK_SLACK, 0.0) / BULK_RANGE)
    said = {
        inside: f"only {inside:.0%} of the body that was asked for is covered",
        close: f"{1 - close:.0%} of the person is far from where they were asked for",
        kept: f"the person covers {broader:.2f} times what they do in the photo",
    }
    return inside * close * kept, said[min(inside, close, kept)]


def _face_share(cosine: float) -> float:
    alike = min(max((cosine - OTHER_FACE) / (SAME_FACE - OTHER_FACE), 0.0), 1.0)
    return LEAST_TRUST + (1 - LEAST_TRUST) * alike


def _called(part: Part) -> str:
    return part.name.lower()


def _share(excess: float) -> float:
    return min(max(1 - excess, 0.0), 1.0)
