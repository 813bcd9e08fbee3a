"""Hands the photo does not show: tuck them away as in the photo, and paint them as skin."""

import itertools
from dataclasses import replace

import numpy as np
import torch

from persona.body import SmplxBody
from persona.kernels import rasterize_mesh
from persona.optimization.limbs import LIMB_OF_JOINT, Limb
from persona.optimization.view import WorkingView
from persona.records.body_fit import BodyFit
from persona.records.observation import Part

WRISTS = {Limb.LEFT_HAND: 20, Limb.RIGHT_HAND: 21}
"""SMPL-X joint that turns each hand."""
TURNS = (-1.3, -0.85, -0.4, 0.0, 0.4, 0.85, 1.3)
"""Wrist turns that are tried about two axes [rad]."""
MIN_SKIN_SHARE = 0.15
"""Below this share of skin among its pixels a hand was not seen, whatever the detector says."""
MISSED_SKIN_SHARE = 0.4
"""From this share on it is shown although the detector missed it."""
TURN_PRICE = 20.0
"""Visible pixels of a hidden hand that a radian of turning is worth [px/rad]."""
OVER_BODY_SHARE = 0.5
"""A hidden hand of which more than this share lies before the body is in a pocket or behind it."""


def hidden_hands(body: SmplxBody, fit: BodyFit, view: WorkingView) -> frozenset[Limb]:
    """Name the hands that the photo does not show.

    The detector misses hands that hang half before the hip. Such a hand is shown all the same if
    it lies on skin that no bare limb behind it explains; hidden, it would be turned away, and its
    picture would go with the hip and stay there when the arm is lifted.
    """
    limbs = LIMB_OF_JOINT[body.weights.argmax(1).numpy()][body.faces.numpy()]
    posed = _forward(body, fit)
    hidden = set()
    for limb, seen in (
        (Limb.LEFT_HAND, fit.left_hand_seen),
        (Limb.RIGHT_HAND, fit.right_hand_seen),
    ):
        hand = (limbs == limb).all(1)
        over = _draw(posed, body.faces[torch.from_numpy(hand)], view) >= 0
        over &= view.mask.numpy() > 0.5
        skin = view.parts.numpy() == Part.SKIN
        if not seen:
            skin &= ~_bare_limbs(posed, body, view, limbs, ~hand)
        share = float(skin[over].mean()) if over.any() else 0.0
        if share < (MIN_SKIN_SHARE if seen else MISSED_SKIN_SHARE):
            hidden.add(limb)
    return frozenset(hidden)


def _bare_limbs(
    vertices: torch.Tensor, body: SmplxBody, view: WorkingView, limbs: np.ndarray, rest: np.ndarray
) -> np.ndarray:
    """Draw the limbs among some triangles that show skin for the most part, bool (h, w)."""
    ids = _draw(vertices, body.faces[torch.from_numpy(rest)], view)
    shown = np.where(ids >= 0, limbs[rest][np.maximum(ids, 0), 0], -1)
    skin = view.parts.numpy() == Part.SKIN
    bare = [limb for limb in np.unique(shown[shown >= 0]) if skin[shown == limb].mean() > 0.5]
    return np.isin(shown, bare)


def tuck_hands(
    body: SmplxBody, fit: BodyFit, view: WorkingView, hidden: frozenset[Limb]
) -> BodyFit:
    """Turn the wrists of hidden hands so that as little of them as possible shows in the photo.

    A hand in a pocket was only guessed by the fit, and a guess that lies on top of the trousers
    would have to be painted like trousers. A hand in a long sleeve hangs free and stays.
    """
    limbs = LIMB_OF_JOINT[body.weights.argmax(1).numpy()]
    for limb in sorted(hidden):
        hand_face = (limbs[body.faces.numpy()] == limb).all(1)
        wrist = WRISTS[limb] - 1
        if _share_before_body(_forward(body, fit), body, view, hand_face) < OVER_BODY_SHARE:
            continue
        best, best_price = fit, np.inf
        for first, second in itertools.product(TURNS, TURNS):
            pose = fit.params.body_pose.clone()
            pose[wrist, 1] += first
            pose[wrist, 2] += second
            tried = replace(fit, params=replace(fit.params, body_pose=pose))
            ids = _draw(_forward(body, tried), body.faces, view)
            visible = int((hand_face[np.maximum(ids, 0)] & (ids >= 0)).sum())
            price = visible + TURN_PRICE * (abs(first) + abs(second))
            if price < best_price:
                best, best_price = tried, price
        fit = best
    return fit


def _share_before_body(
    vertices: torch.Tensor, body: SmplxBody, view: WorkingView, hand_face: np.ndarray
) -> float:
    """Measure how much of the visible hand lies in front of the rest of the body."""
    ids = _draw(vertices, body.faces, view)
    visible = hand_face[np.maximum(ids, 0)] & (ids >= 0)
    behind = _draw(vertices, body.faces[torch.from_numpy(~hand_face)], view) >= 0
    return float((visible & behind).sum() / max(1, visible.sum()))


def _draw(vertices: torch.Tensor, faces: torch.Tensor, view: WorkingView) -> np.ndarray:
    pixels, depth = view.camera.project(vertices)
    ids, _, _ = rasterize_mesh(
        pixels, depth, faces, width=view.camera.width, height=view.camera.height
    )
    return ids.numpy()


def _forward(body: SmplxBody, fit: BodyFit) -> torch.Tensor:
    return body.forward(
        fit.params,
        joint_offsets=fit.identity.joint_offsets,
        vertex_offsets=fit.identity.vertex_offsets,
        with_pose_correctives=False,
    ).vertices
