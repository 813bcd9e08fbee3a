"""Observation to BodyFit: search, refine, measure, judge."""

from dataclasses import dataclass, replace

import torch

from persona.body import SmplxBody
from persona.core.threads import one_thread
from persona.fitting.evidence import Evidence, gather_evidence
from persona.fitting.face import fit_face, fit_gaze
from persona.fitting.kinematics import joint_offsets
from persona.fitting.measure import check_fit, measure_fit
from persona.fitting.parameters import Unknowns
from persona.fitting.points import joint_points
from persona.fitting.refine import refine_body
from persona.fitting.search import search_body
from persona.geometry.cameras import photo_camera
from persona.records.body_fit import BodyFit, Identity
from persona.records.body_params import BodyParams
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
        identity, params = self._person(evidence, refined.unknowns)
        posed = self.body.forward(
            params,
            joint_offsets=identity.joint_offsets,
            vertex_offsets=identity.vertex_offsets,
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

    def _person(self, evidence: Evidence, unknowns: Unknowns) -> tuple[Identity, BodyParams]:
        """Split the unknowns into who and how, and give the person their own face."""
        skeleton = joint_points(self.body).model
        params = skeleton.layout.to_params(unknowns[0])
        joints = joint_offsets(skeleton, unknowns)[0]
        vertices = torch.zeros_like(self.body.v_template)
        if evidence.face is not None and len(self.body.landmarks.mediapipe_face.ids):
            average = self.body.forward(params, joint_offsets=joints)
            face = fit_face(self.body, average, evidence)
            joints, vertices = joints + face.joint_offsets, face.vertex_offsets
            own = self.body.forward(params, joint_offsets=joints, vertex_offsets=vertices)
            gaze = fit_gaze(self.body, own, evidence)
            params = replace(params, leye_pose=gaze, reye_pose=gaze.clone())
        identity = Identity(
            betas=params.betas,
            joint_offsets=joints,
            vertex_offsets=vertices,
            body_name=self.body.name,
            body_digest=self.body.digest,
        )
        return identity, params
