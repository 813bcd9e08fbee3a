"""Find the floor of every shot: which way is up, how high it lies, and when feet stand on it."""

from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.animation.contacts import GAP, lasting
from persona.body.skeleton import JOINT_IDS
from persona.tracking.evidence import ClipEvidence
from persona.tracking.rig import SOLES, Posed
from persona.tracking.smoothness import LONGEST_STEP, Ground

SLOW: Final = 0.30
"""A sole point that moves less across the line of sight may stand [m/s]."""
LOW: Final = 0.12
"""A standing sole point is this near the floor [m]: the floor itself is not known better."""
SURE: Final = 0.15
"""Least trust in a heel or toe from which it may be said to stand."""
LEVEL_SIGMA: Final = 0.20
"""How far cameras are held from level [-]."""
UPRIGHT_SIGMA: Final = 0.10
"""How far the mean of a shot's bodies leans [-]."""
STAND_ERROR: Final = 0.04
"""Error of the place of one stand, as a share of its distance: mostly along the line of sight."""
STRAIGHT: Final = 0.90
"""Share of their length to which legs that carry an upright person are stretched."""


def find_ground(evidence: ClipEvidence, posed: Posed) -> Ground:
    """Find floor and stands of all shots.

    Upwards is a compromise: cameras are nearly level, people are upright on average, and the
    places where feet stand lie in one plane; each is believed as far as it is known.
    """
    count = len(posed.points)
    up = torch.zeros(count, 3, dtype=torch.float64)
    height = torch.zeros(count, dtype=torch.float64)
    standing = torch.zeros(count, 2, 3, dtype=torch.bool)
    slow = _slow(evidence, posed)
    for shot in evidence.shots.unique().tolist():
        frames = evidence.shots == shot
        soles = posed.points[frames][:, SOLES]
        bodies = _upright(posed, frames, evidence.trust.sum(1) > 0)
        way = _level(bodies)
        for _ in range(2):
            floor, stands = _stands(soles, slow[frames], way, evidence.times[frames])
            way, floor = _tilted(bodies, way, floor, soles, stands)
        up[frames], height[frames] = way, floor
        standing[frames] = stands.unflatten(1, (2, 3))
    return Ground(standing, up, height)


def _slow(evidence: ClipEvidence, posed: Posed) -> Bool[Tensor, "t 6"]:
    """Say which sole points rest in the picture, the camera's own turning taken out."""
    count = len(posed.points)
    still = torch.zeros(count, 6, dtype=torch.bool)
    if count < 2:
        return still
    soles = posed.points[:, SOLES]
    way = torch.nn.functional.normalize(soles, dim=-1)
    # Across the line of sight only: along it the fit knows little.
    across = (way[1:] - way[:-1]).norm(dim=-1) * soles[1:].norm(dim=-1)
    steps = (evidence.times[1:] - evidence.times[:-1]).clamp(1e-3, LONGEST_STEP)
    speed = across / steps[:, None]
    linked = (evidence.shots[1:] == evidence.shots[:-1])[:, None]
    speed = torch.where(linked, speed, torch.inf)
    slower = torch.minimum(torch.cat([speed[:1], speed]), torch.cat([speed, speed[-1:]]))
    heels, toes = evidence.trust[:, [29, 30]], evidence.trust[:, [31, 32]]
    sure = torch.stack([heels, torch.maximum(heels, toes), toes], -1).flatten(1)
    return (slower < SLOW) & (sure > SURE)


def _upright(posed: Posed, frames: Tensor, seen: Tensor) -> Float[Tensor, "n 3"]:
    """Give the direction from feet over hips to neck of frames in which the person stands."""
    centers = posed.centers[frames & seen]

    def at(*names: str) -> Tensor:
        return centers[:, [JOINT_IDS[name] for name in names]].mean(1)

    hips, neck = at("left_hip", "right_hip"), at("neck")
    stretched = []
    for side in ("left", "right"):
        hip, knee, ankle = (at(f"{side}_{name}") for name in ("hip", "knee", "ankle"))
        bones = (hip - knee).norm(dim=-1) + (knee - ankle).norm(dim=-1)
        stretched.append((hip - ankle).norm(dim=-1) / bones)
    both = torch.minimum(*stretched) > STRAIGHT
    chosen = both if int(both.sum()) >= 3 else torch.ones_like(both)
    ankles = at("left_ankle", "right_ankle")
    legs = torch.nn.functional.normalize(hips - ankles, dim=-1)
    trunk = torch.nn.functional.normalize(neck - hips, dim=-1)
    return torch.nn.functional.normalize(legs + trunk, dim=-1)[chosen]


def _level(bodies: Float[Tensor, "n 3"]) -> Float[Tensor, " 3"]:
    """Weigh a level camera against upright people."""
    level = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64) / LEVEL_SIGMA**2
    upright = bodies.median(0).values / UPRIGHT_SIGMA**2 if len(bodies) else 0.0 * level
    return torch.nn.functional.normalize(level + upright, dim=0)


def _stands(
    soles: Float[Tensor, "t 6 3"],
    slow: Bool[Tensor, "t 6"],
    up: Float[Tensor, " 3"],
    times: Float[Tensor, " t"],
) -> tuple[float, Bool[Tensor, "t 6"]]:
    """Find the height of the floor, and who stands on it."""
    heights = soles @ up
    lowest = heights.amin(1)
    level = heights[slow & (heights < lowest[:, None] + LOW / 2)]
    floor = float(level.median()) if len(level) else float(lowest.median())
    standing = slow & (heights < floor + LOW)
    steps = (times[1:] - times[:-1]).clamp(1e-3, LONGEST_STEP)
    rate = 1 / float(steps.median()) if len(steps) else 1 / GAP
    for point in range(6):
        standing[:, point] = lasting(standing[:, point], rate)
    return floor, standing


def _tilted(
    bodies: Float[Tensor, "n 3"],
    up: Float[Tensor, " 3"],
    floor: float,
    soles: Float[Tensor, "t 6 3"],
    stands: Bool[Tensor, "t 6"],
) -> tuple[Float[Tensor, " 3"], float]:
    """Tilt the floor towards the plane of the places where feet stood."""
    places = _places(soles, stands)
    if len(places) < 3:
        return up, floor
    start = _level(bodies)
    side = torch.linalg.cross(start, torch.tensor([0.0, 0.0, 1.0]).double())
    side = torch.nn.functional.normalize(side, dim=0)
    front = torch.linalg.cross(side, start)
    sure = 1 / (STAND_ERROR * places.norm(dim=1)).square()
    middle = (places * sure[:, None]).sum(0) / sure.sum()
    spread = places - middle
    # up = start + a side + b front; (a, b) and the height that the places and the start agree on.
    matrix = torch.stack([spread @ side, spread @ front], 1)
    known = 1 / (1 / LEVEL_SIGMA**2 + 1 / UPRIGHT_SIGMA**2)  # variance of the start
    weighted = matrix.mT * sure
    normal = weighted @ matrix + torch.eye(2).double() / known
    tilt = torch.linalg.solve(normal, -weighted @ (spread @ start))
    way = torch.nn.functional.normalize(start + tilt[0] * side + tilt[1] * front, dim=0)
    return way, float((places @ way).median())


def _places(soles: Float[Tensor, "t 6 3"], stands: Bool[Tensor, "t 6"]) -> Float[Tensor, "n 3"]:
    """Give the mean place of every stand of every sole point [m]."""
    places = []
    for point in range(6):
        flags = stands[:, point].long()
        ends = torch.diff(flags, prepend=flags.new_zeros(1), append=flags.new_zeros(1))
        starts, stops = torch.nonzero(ends == 1)[:, 0], torch.nonzero(ends == -1)[:, 0]
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            places.append(soles[start:stop, point].mean(0))
    return torch.stack(places) if places else soles.new_zeros(0, 3)
