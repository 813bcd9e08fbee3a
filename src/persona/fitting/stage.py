"""Observation to BodyFit: search, refine, measure, judge."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from persona.body import SmplxBody
from persona.fitting.evidence import gather_evidence
from persona.fitting.kinematics import joint_offsets
from persona.fitting.measure import check_fit, measure_fit
from persona.fitting.points import joint_points
from persona.fitting.refine import refine_body
from persona.fitting.search import search_body
from persona.geometry.cameras import photo_camera
from persona.records.body_fit import BodyFit, Identity
from persona.records.observation import Observation


@dataclass(frozen=True, kw_only=True)
class FitBody:
    """Observation -> BodyFit.

    The body stands naked inside its clothes, in front of the photo's camera, at a distance that
    follows from an assumed focal length when the file names none.
    """

    body: SmplxBody
    """The body to fit."""
    allow_partial: bool = False
    """Turn the gates into warnings."""

    def __call__(self, observation: Observation, *, focal_px: float | None = None) -> BodyFit:
        """Explain ``observation`` by a posed body and a camera.

        Args:
            observation: What perception saw.
            focal_px: Focal length from the photo's file [px], when known.

        Raises:
            FitError: No body explains the landmarks and the mask well enough.
        """
        with one_thread(), torch.no_grad():
            return self._fit(observation, focal_px)

    def _fit(self, observation: Observation, focal_px: float | None) -> BodyFit:
        height, width = observation.mask.shape
        evidence = gather_evidence(observation, image_size=(width, height), focal_px=focal_px)
        start, _ = search_body(self.body, evidence)
        refined = refine_body(self.body, evidence, start)
        skeleton = joint_points(self.body).model
        params = skeleton.layout.to_params(refined.unknowns[0])
        offsets = joint_offsets(skeleton, refined.unknowns)[0]
        identity = Identity(
            betas=params.betas,
            joint_offsets=offsets,
            vertex_offsets=torch.zeros_like(self.body.v_template),
            body_digest=self.body.digest,
        )
        posed = self.body.forward(
            params, joint_offsets=offsets, vertex_offsets=identity.vertex_offsets
        )
        photo_focal = evidence.focal_px / evidence.scale
        camera = photo_camera(width, height, photo_focal)
        numbers = measure_fit(self.body, posed, camera, observation)
        warnings = check_fit(numbers, allow_partial=self.allow_partial)
        return BodyFit(
            identity=identity,
            params=params,
            focal_px=photo_focal,
            image_size=(width, height),
            keypoint_error_px=numbers.keypoint_error_px,
            body_iou=numbers.body_iou,
            lean_m=numbers.lean_m,
            standing=evidence.stance.standing,
            left_hand_seen=refined.hands["left"],
            right_hand_seen=refined.hands["right"],
            warnings=warnings,
        )


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch on one thread: on matrices this small a second one costs more than it gives."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
