"""Skeletons of the photo's own person in other poses: their bones, as a detector would see them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from persona.body import BodyPose, SmplxBody
from persona.geometry.cameras import Camera
from persona.records.body_fit import Identity
from persona.records.body_params import BodyParams
from persona.rendering.body_maps import BodyMaps, draw_body_maps
from persona.synthesis.diffusion.dwpose import DwposeSkeleton

MEDIAPIPE_OF_BODY: Final = (0, None, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7)
"""MediaPipe Pose's number of each of DWPose's 18 points; the neck is between the shoulders."""
SHOULDERS: Final = (11, 12)
TOES: Final = (31, 32)
"""MediaPipe Pose's left and right."""
DEPTH_OF_BODY_M: Final = (0.02, 0.1, *(0.1, 0.06, 0.05) * 2, *(0.14, 0.08, 0.06) * 2, *(0.02,) * 4)
"""How far each point lies beneath the skin that shows it [m]."""
DEPTH_OF_HAND_M, DEPTH_OF_FACE_M, DEPTH_OF_TOES_M = 0.03, 0.015, 0.04
"""Likewise."""
FADING_M: Final = 0.1
"""So much farther behind whatever hides it a point is lost [m]."""
SURE: Final = 0.95
"""Confidence of a point in plain view."""
GUESSED: Final = 0.4
"""Confidence that detectors keep in the joints of limbs hidden by the person's own body."""
LIMB_POINTS: Final = range(1, 14)
"""Those joints among the 18 points; heads turned away, hands and faces are not guessed."""
SHRUNK: Final = 0.5
"""Size at which the body is drawn to see what hides what, share of the picture's."""


@dataclass(frozen=True, kw_only=True)
class SkeletonOfPerson:
    """Draws nothing; says where the keypoints of one person are in any pose."""

    body: SmplxBody
    """The body that the identity belongs to."""
    identity: Identity
    """Shape and bone lengths of the photo's person, never of whoever moved first."""
    camera: Camera
    """Who looks; the size of the picture."""

    def __call__(self, params: BodyParams) -> tuple[DwposeSkeleton, BodyMaps]:
        """Find the keypoints of one pose.

        Args:
            params: A pose without batch axes; its betas are ignored.

        Returns:
            The skeleton, and the naked body as half as large a picture shows it.
        """
        with torch.no_grad():
            posed = self.body.forward(
                _of(params, self.identity),
                joint_offsets=self.identity.joint_offsets,
                vertex_offsets=self.identity.vertex_offsets,
            )
            small = self.camera.scaled(SHRUNK)
            maps = draw_body_maps(posed.vertices, self.body.faces, small)
            return self._seen(posed, maps, small), maps

    def _seen(self, posed: BodyPose, maps: BodyMaps, small: Camera) -> DwposeSkeleton:
        marks = self.body.landmarks
        found = marks.pose33(posed.vertices, posed.joints)
        neck = found[list(SHOULDERS)].mean(0)
        body = torch.stack([neck if k is None else found[k] for k in MEDIAPIPE_OF_BODY])
        hands = torch.stack(
            [marks.hand21(side, posed.vertices, posed.joints) for side in ("left", "right")]
        )
        face = torch.cat([marks.contour17.on(posed.vertices), marks.face51.on(posed.vertices)])

        def confidence(points: Tensor, beneath: Tensor | float) -> Tensor:
            return _confidence(points, beneath, maps, small)

        of_body = confidence(body, torch.tensor(DEPTH_OF_BODY_M))
        limbs = torch.zeros(len(of_body), dtype=torch.bool)
        limbs[list(LIMB_POINTS)] = True
        of_body = torch.where(limbs, of_body.clamp(min=GUESSED), of_body)
        of_hands = confidence(hands.flatten(0, 1), DEPTH_OF_HAND_M).unflatten(0, (2, 21))
        of_face = confidence(face, DEPTH_OF_FACE_M)
        toes = found[list(TOES)]
        of_toes = confidence(toes, DEPTH_OF_TOES_M).clamp(min=GUESSED)
        return DwposeSkeleton(
            toes=self._shares(toes, torch.ones(2)),
            toes_confidence=of_toes.double().numpy(),
            body=self._shares(body, torch.ones(18)),
            body_confidence=of_body.double().numpy(),
            hands=self._shares(hands, of_hands),
            hands_confidence=of_hands.double().numpy(),
            face=self._shares(face, of_face),
            face_confidence=of_face.double().numpy(),
        )

    def _shares(
        self, points: Float[Tensor, "*n 3"], confidence: Float[Tensor, "*n"]
    ) -> Float[np.ndarray, "*n 2"]:
        """Project into [0, 1]; lost points go to the corner, where they are not drawn."""
        pixels, _ = self.camera.project(points)
        size = torch.tensor([self.camera.width, self.camera.height])
        shown = torch.where(confidence[..., None] > 0, pixels / size, 0.0)
        return shown.double().numpy()


def _of(params: BodyParams, identity: Identity) -> BodyParams:
    return BodyParams(**{**vars(params), "betas": identity.betas})


def _confidence(
    points: Float[Tensor, "n 3"], beneath: Tensor | float, maps: BodyMaps, camera: Camera
) -> Float[Tensor, " n"]:
    """Say how sure a detector would be of points: less, the farther behind skin that hides them."""
    pixels, depth = camera.project(points)
    inside = (depth > 0) & (pixels >= 0).all(1)
    inside &= (pixels[:, 0] < camera.width) & (pixels[:, 1] < camera.height)
    place = torch.where(inside[:, None], pixels, 0.0).long()
    x = place[:, 0].clamp(max=camera.width - 1)
    y = place[:, 1].clamp(max=camera.height - 1)
    skin = torch.where(maps.mask, maps.depth, torch.inf)[y, x]
    hidden = (depth - skin - beneath).clamp(min=0) / FADING_M
    return torch.where(inside, SURE * (1 - hidden).clamp(0, 1), 0.0)
