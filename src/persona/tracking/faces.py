"""Expression, jaw and gaze from the face mesh, against the person's own resting face."""

from dataclasses import dataclass, replace
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from persona.body import SmplxBody
from persona.fitting.face import EYE_CONTOURS, IRISES, MAX_GAZE
from persona.records.body_params import rest_params
from persona.tracking.hands import kabsch
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
UNIT_NOISE: Final = 0.25
"""Error of an expression coefficient in one frame [-]."""
GAZE_SPREAD, GAZE_NOISE = 0.2, 0.06
"""How far people look aside, and error of that in one frame [rad]."""
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


class FaceReader:
    """Reads expressions off face meshes; made once for a body."""

    def __init__(self, body: SmplxBody) -> None:
        marks = body.landmarks.mediapipe_face
        self.width = body.exprdirs.shape[2]
        """Expression coefficients."""
        self._ids = marks.ids
        self._rest = marks.on(body.v_template).double()
        self._firm = [int((marks.ids == k).nonzero()[0, 0]) for k in FIRM]
        self._place = {int(k): row for row, k in enumerate(marks.ids)}
        smiles = (body.exprdirs[marks.triangles] * marks.barycentric[..., None, None]).sum(1)
        opened = replace(rest_params(), jaw_pose=torch.tensor([JAW_UNIT, 0.0, 0.0]))
        posed = body.forward(opened, with_pose_correctives=False)
        drop = marks.on(posed.vertices) - marks.on(body.v_template)
        ways = torch.cat([smiles, drop[..., None]], -1).double()
        self._weights = torch.tensor(SIGHT, dtype=torch.float64) / SKIN_ERROR
        matrix = (ways * self._weights[:, None]).flatten(0, 1)
        price = torch.full((matrix.shape[1],), SPREAD**-2, dtype=torch.float64)
        # What of an open mouth the expressions could do as well is the jaw's.
        price[-1] /= 4
        self._solve = torch.linalg.solve(matrix.mT @ matrix + torch.diag(price), matrix.mT)

    def in_head(self, faces: Float[Tensor, "t 478 3"]) -> Float[Tensor, "t n 3"]:
        """Undo turn, size and place of heads, so that only expression and build are left [m].

        Args:
            faces: Face meshes [px], z away.
        """
        rest, firm = self._rest, self._firm
        points = faces[:, self._ids].double() * rest.new_tensor([1.0, -1.0, -1.0])
        turn = kabsch(rest[firm], points[:, firm])
        middle, home = points[:, firm].mean(1, keepdim=True), rest[firm].mean(0)
        flat = (points - middle) @ turn
        size = (rest[firm] - home).norm() / flat[:, firm].flatten(1).norm(dim=1)
        return flat * size[:, None, None] + home

    def units(self, moved: Float[Tensor, "t n 3"]) -> Float[Tensor, "t u"]:
        """Find expression coefficients, then the jaw in `JAW_UNIT`, by ridge regression.

        Args:
            moved: How far the landmarks are from the person's resting face, in the head [m].
        """
        return (moved * self._weights).flatten(1) @ self._solve.mT

    def gaze(self, moved: Float[Tensor, "t n 3"]) -> Float[Tensor, "t 2"]:
        """Turn both eyes as the irises moved between the lids [rad]."""
        turns = []
        for side, contour in EYE_CONTOURS.items():
            lids = moved[:, [self._place[k] for k in contour]].mean(1)
            shift = (moved[:, self._place[IRISES[side]]] - lids) / EYE_RADIUS
            turns.append(torch.stack([-shift[:, 1], shift[:, 0]], 1))
        return torch.stack(turns).mean(0)

    def motion(self, units: Float[Tensor, "t u"], gaze: Float[Tensor, "t 2"]) -> FaceMotion:
        """Bring numbers into the form and the bounds of a face."""
        jaw = units.new_zeros(len(units), 3)
        jaw[:, 0] = (units[:, -1] * JAW_UNIT).clamp(0.0, WIDEST_JAW)
        level = gaze.new_zeros(len(gaze), 1)
        both = torch.cat([gaze.clamp(-MAX_GAZE, MAX_GAZE), level], 1)
        return FaceMotion(units[:, :-1], jaw, both)


def fit_face_motion(body: SmplxBody, sightings: Sightings, smoothness: Smoothness) -> FaceMotion:
    """Explain how the face mesh differs from its median over the clip.

    The median stands for the resting face, so that what is the person's own and what our face
    cannot form is no expression. Where no face is seen it rests.
    """
    reader, count = FaceReader(body), sightings.count
    seen = sightings.face_seen & sightings.seen
    units = torch.zeros(count, reader.width + 1, dtype=torch.float64)
    gaze = torch.zeros(count, 2, dtype=torch.float64)
    if int(seen.sum()) > 1:
        own = reader.in_head(sightings.face[seen])
        moved = own - own.median(0).values
        units[seen], gaze[seen] = reader.units(moved), reader.gaze(moved)
    trust = seen.double()
    zeros = units.new_zeros(reader.width + 1)
    expressions = Habit(zeros, SPREAD, UNIT_NOISE, ACCELERATION)
    looks = Habit(zeros[:2], GAZE_SPREAD, GAZE_NOISE, ACCELERATION)
    return reader.motion(
        smooth_series(units, trust, expressions, smoothness),
        smooth_series(gaze, trust, looks, smoothness),
    )
