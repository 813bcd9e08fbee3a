"""Expression, jaw and gaze from the face mesh, against the person's own resting face."""

from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.body import SmplxBody
from persona.fitting.face import EYE_CONTOURS, IRISES, MAX_GAZE
from persona.records.body_params import rest_params
from persona.tracking.hands import palm_turns
from persona.tracking.series import Habit, smooth_series
from persona.tracking.sightings import Sightings
from persona.tracking.smoothness import Smoothness

FIRM: Final = (
    10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 127, 356, 234, 454, 33, 133, 362, 263, 67, 297, 109,
    338, 103, 332,
)  # fmt: skip
"""Points of the face that expressions hardly move: forehead, bridge and corners of the eyes."""
SIGHT: Final = (1.0, 1.0, 0.3)
"""Trust in the three axes of the head: depth is the mesh's own guess."""
SKIN_ERROR: Final = 0.010
"""Error of a landmark [m], neighbours err together."""
SPREAD: Final = 0.7
"""How far expressions go [-]; the jaw's tenth of a radian counts as one."""
JAW_UNIT: Final = 0.15
"""Turn of the jaw that counts as one expression unit [rad]."""
WIDEST_JAW: Final = 0.5
"""Widest open mouth [rad]."""
EYE_RADIUS: Final = 0.012
"""[m]"""
ACCELERATION: Final = 120.0
"""Ordinary acceleration of expressions [1/s^2], of blinks most of all."""


@dataclass(frozen=True)
class FaceMotion:
    """A face over time, relative to how it mostly is in the clip."""

    expression: Float[Tensor, "t e"]
    """Expression coefficients [-]."""
    jaw: Float[Tensor, "t 3"]
    """Axis-angle [rad]."""
    gaze: Float[Tensor, "t 3"]
    """Turn of both eyes [rad]."""


def fit_face_motion(body: SmplxBody, sightings: Sightings, smoothness: Smoothness) -> FaceMotion:
    """Explain how the face mesh differs from its median over the clip.

    The median stands for the resting face, so that what is the person's own and what our face
    cannot form is no expression. Where no face is seen it rests.
    """
    count, width = sightings.count, body.exprdirs.shape[2]
    seen = sightings.face_seen & sightings.seen
    units = torch.zeros(count, width + 1, dtype=torch.float64)
    gaze = torch.zeros(count, 2, dtype=torch.float64)
    if int(seen.sum()) > 1:
        marks = body.landmarks.mediapipe_face
        rest = marks.on(body.v_template).double()
        flat = sightings.face[seen][:, marks.ids].double() * rest.new_tensor([1.0, -1.0, -1.0])
        own = _in_head(rest, flat, [int((marks.ids == k).nonzero()[0, 0]) for k in FIRM])
        moved = own - own.median(0).values
        units[seen] = _units(body, moved)
        gaze[seen] = _gaze(marks.ids, own)
    trust = seen.double()
    zeros = units.new_zeros(width + 1)
    units = smooth_series(units, trust, Habit(zeros, SPREAD, 0.25, ACCELERATION), smoothness)
    gaze = smooth_series(gaze, trust, Habit(zeros[:2], 0.2, 0.06, ACCELERATION), smoothness)
    jaw = units.new_zeros(count, 3)
    jaw[:, 0] = (units[:, -1] * JAW_UNIT).clamp(0.0, WIDEST_JAW)
    both = torch.cat([gaze.clamp(-MAX_GAZE, MAX_GAZE), gaze.new_zeros(count, 1)], 1)
    return FaceMotion(units[:, :-1], jaw, both)


def _in_head(
    rest: Float[Tensor, "n 3"], points: Float[Tensor, "t n 3"], firm: list[int]
) -> Float[Tensor, "t n 3"]:
    """Undo turn, size and place of the head, so that only its expression is left [m]."""
    turn = palm_turns(rest, points, tuple(firm))
    middle, home = points[:, firm].mean(1, keepdim=True), rest[firm].mean(0)
    flat = (points - middle) @ turn
    size = (rest[firm] - home).norm() / flat[:, firm].flatten(1).norm(dim=1)
    return flat * size[:, None, None] + home


def _units(body: SmplxBody, moved: Float[Tensor, "t n 3"]) -> Float[Tensor, "t u"]:
    """Find expression coefficients, then the jaw in `JAW_UNIT`, by ridge regression."""
    marks = body.landmarks.mediapipe_face
    shares = marks.barycentric[..., None, None]
    smiles = (body.exprdirs[marks.triangles] * shares).sum(1)
    opened = replace(rest_params(), jaw_pose=torch.tensor([JAW_UNIT, 0.0, 0.0]))
    posed = body.forward(opened, with_pose_correctives=False)
    drop = marks.on(posed.vertices) - marks.on(body.v_template)
    # The jaw opens by turning; what of it the expressions can do as well is the jaw's.
    ways = torch.cat([smiles, drop[..., None]], -1).double()
    weights = torch.tensor(SIGHT, dtype=torch.float64)[:, None] / SKIN_ERROR
    matrix = (ways * weights).flatten(0, 1)
    target = (moved * weights[:, 0]).flatten(1)
    price = torch.full((matrix.shape[1],), SPREAD**-2, dtype=torch.float64)
    price[-1] /= 4
    normal = matrix.mT @ matrix + torch.diag(price)
    return torch.linalg.solve(normal, matrix.mT @ target.mT).mT


def _gaze(ids: Tensor, own: Float[Tensor, "t n 3"]) -> Float[Tensor, "t 2"]:
    """Turn both eyes as the irises moved between the lids, relative to the median [rad]."""
    place = {int(k): row for row, k in enumerate(ids)}
    turns = []
    for side, contour in EYE_CONTOURS.items():
        shift = own[:, place[IRISES[side]]] - own[:, [place[k] for k in contour]].mean(1)
        shift = (shift - shift.median(0).values) / EYE_RADIUS
        turns.append(torch.stack([-shift[:, 1], shift[:, 0]], 1))
    return torch.stack(turns).mean(0)
