"""Generated people, every method, one table: pictures in the person's box, and surfaces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from persona.core.types import Image, Mask
from persona.evaluation.methods import Drawer, Method
from persona.evaluation.subjects import Subject, SubjectFrame, over_plain
from persona.evaluation.surface_metrics import SurfaceErrors, surface_errors
from persona.images.masks import overlap

MARGIN: Final = 0.05
"""The box is the true mask's, larger on every side by this share of its height."""
PLAIN: Final = 1.0
"""Grey of the background that both stand before: white."""
GOAL_DB: Final = 2.0
"""Least gain of our default over the rigid body [dB]."""
GOAL_SURFACE: Final = 0.25
"""Least share of the rigid body's vertex error that our default avoids [-]."""


@dataclass(frozen=True, kw_only=True)
class TruthRow:
    """What one method came to on one person, means over frames."""

    subject: str
    """Who."""
    method: str
    """How."""
    frames: int
    """Frames whose pictures were compared."""
    psnr_db: float
    """In the person's box, before white, everything outside the mask counted [dB]."""
    iou: float
    """Overlap of the outlines."""
    surfaces: int
    """Frames whose surfaces were compared."""
    vertex_mm: float | None
    """Mean of both directions, see `surface_metrics`; None where a method has no surface."""
    accuracy_mm: float | None
    """From the drawn surface to the true one."""
    completeness_mm: float | None
    """From the true surface to the drawn one."""
    normal_deg: float | None
    """Between normals."""


def measure_truth(
    methods: Sequence[Method],
    subjects: Sequence[Subject],
    *,
    every: int = 1,
    surface_every: int = 1,
    heard: Callable[[TruthRow], None] = lambda _: None,
) -> list[TruthRow]:
    """Draw one frame in ``every`` of all subjects by all methods, unfitted, and compare.

    Args:
        methods: Who draws.
        subjects: Generated people.
        every: Which frames.
        surface_every: Of the frames that have a surface, which are compared.
        heard: Called with every row.
    """
    rows = []
    for subject in subjects:
        drawers = {method.name: method.prepare(subject) for method in methods}
        for row in _measured(subject, drawers, every, surface_every):
            heard(row)
            rows.append(row)
    return rows


def _measured(
    subject: Subject, drawers: Mapping[str, Drawer], every: int, surface_every: int
) -> list[TruthRow]:
    pictures: dict[str, list[tuple[float, float]]] = {name: [] for name in drawers}
    surfaces: dict[str, list[SurfaceErrors]] = {name: [] for name in drawers}
    known = 0
    for frame in subject.frames():
        shaped = frame.surface is not None and known % surface_every == 0
        known += frame.surface is not None
        for name, drawer in drawers.items():
            if frame.index % every == 0:
                drawn = drawer.draw(frame)
                psnr = box_psnr(drawn.over(PLAIN), frame)
                pictures[name].append((psnr, overlap(drawn.alpha, frame.mask)))
            found = surface_errors(drawer, frame) if shaped else None
            if found is not None:
                surfaces[name].append(found)
    return [_row(subject, name, pictures[name], surfaces[name]) for name in drawers]


def _row(
    subject: Subject,
    method: str,
    pictures: list[tuple[float, float]],
    surfaces: list[SurfaceErrors],
) -> TruthRow:
    psnr, iou = np.mean(pictures, 0)

    def mean(read: Callable[[SurfaceErrors], float]) -> float | None:
        return float(np.mean([read(found) for found in surfaces])) if surfaces else None

    return TruthRow(
        subject=subject.name,
        method=method,
        frames=len(pictures),
        psnr_db=float(psnr),
        iou=float(iou),
        surfaces=len(surfaces),
        vertex_mm=mean(lambda found: found.vertex_mm),
        accuracy_mm=mean(lambda found: found.accuracy_mm),
        completeness_mm=mean(lambda found: found.completeness_mm),
        normal_deg=mean(lambda found: found.normal_deg),
    )


def box_psnr(picture: Image, frame: SubjectFrame) -> float:
    """Compare a picture before white with the truth inside the person's box [dB]."""
    top, bottom, left, right = _box(frame.mask)
    true = over_plain(frame.picture, frame.mask, PLAIN)
    away: Tensor = (picture - true)[top:bottom, left:right]
    return float(-10 * torch.log10(away.square().mean()))


def _box(mask: Mask) -> tuple[int, int, int, int]:
    rows, columns = (mask > 0.5).nonzero().unbind(1)
    margin = round(MARGIN * float(rows.max() - rows.min() + 1))
    return (
        max(0, int(rows.min()) - margin),
        min(mask.shape[0], int(rows.max()) + 1 + margin),
        max(0, int(columns.min()) - margin),
        min(mask.shape[1], int(columns.max()) + 1 + margin),
    )


@dataclass(frozen=True, kw_only=True)
class Margin:
    """By how much our default beats the rigid body, means over people."""

    gain_db: float
    """Picture [dB]."""
    avoided: float
    """Share of the vertex error that is avoided [-]."""

    @property
    def reached(self) -> bool:
        """Whether both goals are reached."""
        return self.gain_db >= GOAL_DB and self.avoided >= GOAL_SURFACE


def margin_over_rigid(
    rows: Sequence[TruthRow], *, ours: str = "ours", rigid: str = "rigid"
) -> Margin:
    """Compare two methods person by person, and average: every person counts alike."""
    table = {(row.subject, row.method): row for row in rows}
    people = sorted({row.subject for row in rows})
    gains, avoided = [], []
    for person in people:
        mine, other = table[person, ours], table[person, rigid]
        gains.append(mine.psnr_db - other.psnr_db)
        if mine.vertex_mm is not None and other.vertex_mm is not None:
            avoided.append(1 - mine.vertex_mm / other.vertex_mm)
    return Margin(gain_db=float(np.mean(gains)), avoided=float(np.mean(avoided)))


def table_of(rows: Sequence[TruthRow]) -> str:
    """Write rows as a Markdown table, and means over people below."""
    lines = [
        "| person | method | PSNR box [dB] | IoU | vertex [mm] | drawn to true | true to drawn | "
        "normal [deg] |",
        "|---|---|---|---|---|---|---|---|",
    ]
    methods = list(dict.fromkeys(row.method for row in rows))
    lines += [_line(row.subject, row.method, asdict(row)) for row in rows]
    for method in methods:
        chosen = [asdict(row) for row in rows if row.method == method]
        means = {name: _mean([row[name] for row in chosen]) for name in NUMBERS}
        lines.append(_line("mean", method, means))
    return "\n".join(lines) + "\n"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


NUMBERS: Final = ("psnr_db", "iou", "vertex_mm", "accuracy_mm", "completeness_mm", "normal_deg")
"""Columns of the table."""
_DIGITS: Final = (2, 3, 1, 1, 1, 1)


def _line(subject: str, method: str, numbers: Mapping[str, float | None]) -> str:
    cells = [
        "" if numbers[name] is None else f"{numbers[name]:.{digits}f}"
        for name, digits in zip(NUMBERS, _DIGITS, strict=True)
    ]
    return f"| {subject} | {method} | " + " | ".join(cells) + " |"
