"""What a clip says of the body in every frame: pixels, directions in space, and trust in both."""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from persona.fitting.evidence import remove_lean
from persona.fitting.terms_landmarks import BONES, KEYPOINT_WEIGHTS, KNUCKLES
from persona.geometry.rotations import rotation_between
from persona.tracking.middles import CUTS
from persona.tracking.rig import FACE
from persona.tracking.sightings import Sightings

FOCAL_PER_SIDE: Final = 1.0
"""Focal length over the longer side when nothing is known: phones filming have 0.7 to 1.0, and the
two calibrated clips we know 0.87."""
UNSURE: Final = 0.05
"""Least trust in a landmark that the detector itself takes for hidden."""
OUTSIDE: Final = 0.2
"""Share of trust that landmarks keep beyond the border of the picture, where they are guesses."""
MENDED: Final = 0.1
"""Share of trust in directions in space where left and right had to be exchanged: whoever took the
back for the front knows little about depth. Agreement of two cameras on one take: 91 -> 83 mm."""
LIMB_ENDS: Final = (
    (29, 31, 0.7), (30, 32, 0.7), (8, 7, 0.5), (8, 0, 0.5), (7, 0, 0.5),
    (15, 17, 0.3), (15, 19, 0.3), (16, 18, 0.3), (16, 20, 0.3),
)  # fmt: skip
"""Feet, head and hands as directions between Pose landmarks, with trust."""
PALMS: Final = ((15, 17, 17), (15, 19, 5), (16, 18, 17), (16, 20, 5))
"""Wrist and knuckle of Pose, and the knuckle's number in the hand model: the palm's directions."""
LOOKS: Final = ((FACE.start, FACE.start + 1, 3.0), (FACE.start + 3, FACE.start + 2, 2.0))
"""Across the face and up it, with trust: the mesh is the best compass of the head."""
LOOSE: Final = 0.04
"""What a limb is wider than naked, in heights of the person, at which its middle counts half."""
DIRECTIONS: Final = (*BONES, *LIMB_ENDS, *LOOKS)
"""Pairs of rows of the rig whose direction in space is compared."""


@dataclass(frozen=True)
class Scene:
    """The camera of a clip."""

    focal_px: float
    """Focal length."""
    center_px: tuple[float, float]
    """Where its axis meets the picture."""
    turn: Float[Tensor, "t 3 3"]
    """Takes the world's directions to the camera's (x right, y up, z to the viewer)."""

    def pixels(self, points: Float[Tensor, "t n 3"]) -> Float[Tensor, "t n 2"]:
        """Project points of the world [m]; the camera stands at its origin."""
        local = points @ self.turn.mT
        away = (-local[..., 2]).clamp(min=0.1)
        x = self.center_px[0] + self.focal_px * local[..., 0] / away
        y = self.center_px[1] - self.focal_px * local[..., 1] / away
        return torch.stack([x, y], -1)

    def pixel_slopes(self, points: Float[Tensor, "t n 3"]) -> Float[Tensor, "t n 2 3"]:
        """Differentiate `pixels` by the points."""
        local = points @ self.turn.mT
        away = (-local[..., 2]).clamp(min=0.1)
        scale = self.focal_px / away
        zero = torch.zeros_like(scale)
        rows = [scale, zero, scale * local[..., 0] / away]
        rows += [zero, -scale, -scale * local[..., 1] / away]
        return torch.stack(rows, -1).unflatten(-1, (2, 3)) @ self.turn[:, None]

    def pick(self, frames: slice | Tensor) -> "Scene":
        """Keep some frames."""
        return Scene(self.focal_px, self.center_px, self.turn[frames])


@dataclass(frozen=True)
class ClipEvidence:
    """Measurements of every frame, in the world of its shot."""

    times: Float[Tensor, " t"]
    """[s]"""
    shots: Int[Tensor, " t"]
    """Number of the shot."""
    scene: Scene
    """The camera."""
    body: Float[Tensor, "t 33 2"]
    """MediaPipe Pose landmarks; knuckles from the hand model where it saw the hand [px]."""
    trust: Float[Tensor, "t 33"]
    """How much each counts; 0 in frames without the person."""
    height_px: Float[Tensor, " t"]
    """How tall the person would stand in the picture [px]: the unit of a miss."""
    directions: Float[Tensor, "t d 3"]
    """Unit vectors along `DIRECTIONS`, in the world."""
    direction_trust: Float[Tensor, "t d"]
    """How much each counts."""
    middles: Float[Tensor, "t c 2"]
    """Middles of limbs in the person's mask [px]."""
    across: Float[Tensor, "t c 2"]
    """Unit vectors across these limbs in the picture: along them a middle says nothing."""
    middle_trust: Float[Tensor, "t c"]
    """How much each counts."""
    world: Float[Tensor, "t 33 3"]
    """Landmarks in space about the hips [m], mean lean removed, in the axes of the world."""

    def pick(self, frames: slice | Tensor) -> "ClipEvidence":
        """Keep some frames."""
        kept = {
            name: value[frames] for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return ClipEvidence(scene=self.scene.pick(frames), **kept)

    @classmethod
    def joined(cls, parts: "list[ClipEvidence]") -> "ClipEvidence":
        """Put pieces of one camera's film behind each other."""
        names = [name for name, value in vars(parts[0]).items() if isinstance(value, Tensor)]
        scene = parts[0].scene
        turn = torch.cat([part.scene.turn for part in parts])
        return cls(
            scene=Scene(scene.focal_px, scene.center_px, turn),
            **{name: torch.cat([getattr(part, name) for part in parts]) for name in names},
        )


def gather_evidence(
    sightings: Sightings,
    *,
    swapped: Bool[Tensor, " t"] | None = None,
    focal_px: float | None = None,
) -> ClipEvidence:
    """Turn landmarks into what the fit compares with.

    Args:
        sightings: What was seen.
        swapped: Frames in which left and right were exchanged; see `mending.mend_swaps`.
        focal_px: Focal length [px]; None takes `FOCAL_PER_SIDE` times the longer side.
    """
    width, height = sightings.size
    turn = sightings.camera_turn.double()
    focal = focal_px or FOCAL_PER_SIDE * max(width, height)
    scene = Scene(focal, (width / 2, height / 2), turn)
    body = sightings.body.double().clone()
    to_world = turn.mT @ _ray_turns(body, scene)
    world = remove_lean(sightings.world.double())
    trust = _trust(sightings)
    starts, ends, shares = (list(column) for column in zip(*DIRECTIONS, strict=True))
    known = torch.cat([world, torch.zeros(len(world), FACE.stop - 33, 3, dtype=world.dtype)], 1)
    seen = torch.cat([trust[:, :33], torch.zeros(len(world), FACE.stop - 33).double()], 1)
    bones = known[:, ends] - known[:, starts]
    sure = torch.minimum(seen[:, starts], seen[:, ends]) * torch.tensor(shares).double()
    _look_at_hands(sightings, body, bones, sure)
    _look_at_face(sightings, bones, sure)
    if swapped is not None:
        sure[swapped] *= MENDED
    weights = torch.zeros(33, dtype=torch.float64)
    for place, weight in {**KEYPOINT_WEIGHTS, **KNUCKLES}.items():
        weights[place] = weight
    unit = torch.nn.functional.normalize(bones, dim=-1)
    across, middle_trust = _middles(sightings)
    return ClipEvidence(
        times=sightings.times.double(),
        shots=sightings.shots,
        scene=scene,
        body=body,
        trust=trust * weights,
        height_px=sightings.person_height().double(),
        directions=unit @ to_world.mT,
        direction_trust=sure,
        middles=sightings.middles.double(),
        across=across,
        middle_trust=middle_trust,
        world=world @ to_world.mT,
    )


def _ray_turns(body: Float[Tensor, "t 33 2"], scene: Scene) -> Float[Tensor, "t 3 3"]:
    """Turn the axes of a crop about the person into the camera's.

    The detector sees a window around the person and speaks of space as if the camera looked
    straight at it; beside the middle of the picture that is off by the angle of the ray.
    """
    flat = (body[:, [11, 12, 23, 24]].mean(1) - body.new_tensor(scene.center_px)) / scene.focal_px
    ray = torch.stack([flat[:, 0], -flat[:, 1], -torch.ones(len(flat)).double()], -1)
    return rotation_between(ray.new_tensor([0.0, 0.0, -1.0]).expand_as(ray), ray)


def _trust(sightings: Sightings) -> Float[Tensor, "t 33"]:
    """Trust what the detector takes for visible, inside the picture."""
    x, y = sightings.body.unbind(-1)
    width, height = sightings.size
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    trust = sightings.visibility.double().clamp(UNSURE, 1.0)
    trust = torch.where(inside, trust, trust * OUTSIDE)
    return trust * sightings.seen[:, None]


def _middles(sightings: Sightings) -> tuple[Float[Tensor, "t c 2"], Float[Tensor, "t c"]]:
    """Say which way is across each limb, and how much its middle counts.

    What is much wider than a limb is cloth, which hangs down from it on one side.
    """
    body, height = sightings.body.double(), sightings.person_height().double()[:, None]
    ends = [[list(cut.ends[end]) for cut in CUTS] for end in (0, 1)]
    first, last = (torch.stack([body[:, rows].mean(1) for rows in side], 1) for side in ends)
    along = torch.nn.functional.normalize(last - first, dim=-1)
    visible = sightings.visibility.double()
    sure = torch.stack([visible[:, cut.ends[0] + cut.ends[1]].amin(1) for cut in CUTS], 1)
    naked = torch.tensor([cut.width for cut in CUTS], dtype=torch.float64)
    more = (sightings.widths.double() / height - naked).clamp(min=0) / LOOSE
    known = (sightings.widths > 0) & sightings.seen[:, None]
    trust = sure.clamp(0, 1) / (1 + more.square()) * known
    return torch.stack([-along[..., 1], along[..., 0]], -1), trust


def _look_at_hands(sightings: Sightings, body: Tensor, bones: Tensor, sure: Tensor) -> None:
    """Let the hand model speak of palms, where it saw them."""
    pairs = [pair[:2] for pair in DIRECTIONS]
    for wrist, knuckle, place in PALMS:
        left = wrist == 15
        hand = (sightings.left_hand if left else sightings.right_hand).double()
        seen = (sightings.left_seen if left else sightings.right_seen) & sightings.seen
        way = (hand[:, place] - hand[:, 0]) * hand.new_tensor([1.0, -1.0, -1.0])
        row = pairs.index((wrist, knuckle))
        bones[seen, row] = way[seen]
        sure[seen, row] = 1.0
        body[seen, knuckle] = hand[seen, place, :2]


def _look_at_face(sightings: Sightings, bones: Tensor, sure: Tensor) -> None:
    """Let the face mesh speak of the head, where it was seen."""
    seen = sightings.face_seen & sightings.seen
    right, left, brow, chin = (sightings.face[:, k].double() for k in (234, 454, 10, 152))
    flip = bones.new_tensor([1.0, -1.0, -1.0])
    for row, way in ((-2, left - right), (-1, brow - chin)):
        bones[seen, row] = (way * flip)[seen]
        sure[seen, row] = LOOKS[row][2]
