"""Frames by video diffusion: the person's own skeletons in, pictures with labels and trust out."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from persona.animation.grounding import ground_motion
from persona.avatar.rates import joint_rates
from persona.body import SmplxBody, body_of
from persona.core.errors import OptimizationError
from persona.core.types import Image
from persona.fitting.points import pose_landmarks
from persona.geometry.cameras import Camera, photo_camera
from persona.perception.frame_labels import LabelFrame, embedded_labels
from persona.perception.models.face_likeness import WEIGHTS as FACE_WEIGHTS
from persona.records.frame_labels import FrameLabels
from persona.records.frame_set import Clip, FrameSet, Picture, picture_from
from persona.records.motion import Motion
from persona.records.observation import Observation
from persona.records.photo import Photo
from persona.rendering.body_maps import BodyMaps
from persona.synthesis.diffusion.aapose import face_box
from persona.synthesis.diffusion.dwpose import DwposeSkeleton, draw_dwpose
from persona.synthesis.diffusion.feet import FOOT_MARKS, KNEES, FeetSight, refit_ankles
from persona.synthesis.diffusion.skeletons import SHRUNK, SkeletonOfPerson
from persona.synthesis.diffusion.staging import Staged, stage_motion, stage_photo
from persona.synthesis.diffusion.trust import (
    JOINTS,
    LEAST_TRUST,
    PartLooks,
    Trust,
    judge,
    judge_steadiness,
    part_looks,
    photo_looks,
    told,
)
from persona.synthesis.generator import Sitter

LABELLED_EVERY: Final = 4
"""One generated frame of so many is labelled and learned from: neighbours hardly differ."""


@runtime_checkable
class MakeFilm(Protocol):
    """Photo, skeletons -> film; `synthesis.diffusion.mimicmotion.MimicMotion` is one."""

    @property
    def key(self) -> object:
        """Everything that the film depends on besides photo and skeletons."""
        ...

    def steps(self, frame_count: int) -> int:
        """Say how many steps it will report."""
        ...

    def __call__(
        self,
        photo: UInt8[Tensor, "h w 3"],
        skeletons: UInt8[Tensor, "n 3 h w"],
        *,
        face: tuple[int, int, int, int],
        folder: Path | None = None,
        tick: Callable[[], None] = ...,
    ) -> UInt8[Tensor, "n 3 h w"]:
        """Make the film; its first picture repeats the photo, whose face is in a box [px]."""
        ...


@runtime_checkable
class CompareFace(Protocol):
    """Frame, face mesh -> cosine of its embedding and the photo's."""

    def __call__(
        self, picture: UInt8[Tensor, "h w 3"], face: Float[Tensor, "478 3"] | None
    ) -> float | None:
        """Compare; None where the face cannot be."""
        ...


@runtime_checkable
class KnowFaces(Protocol):
    """Photo -> who compares faces with it; `generators.FaceWeights` is one."""

    @property
    def key(self) -> object:
        """Which weights."""
        ...

    def __call__(self, photo: Photo, observation: Observation) -> CompareFace | None:
        """Get ready; None where the photo's own face does not do."""
        ...


DrawSkeleton = Callable[[DwposeSkeleton, int, int], UInt8[np.ndarray, "3 h w"]]
"""Skeleton, height, width -> picture."""


@dataclass(frozen=True, kw_only=True)
class DiffusionFrames:
    """Sitter -> FrameSet, by a video diffusion model."""

    name: str
    """Of the model."""
    film: MakeFilm
    """The model."""
    motion: Motion
    """What is asked for, on the mean person's legs, facing +z."""
    width: int
    """Columns of the model's pictures [px]."""
    height: int
    """Rows [px]."""
    draw: DrawSkeleton = draw_dwpose
    """How the model is shown skeletons."""
    every: int = LABELLED_EVERY
    """One frame of so many is labelled."""
    labels: Callable[[], AbstractContextManager[LabelFrame]] = embedded_labels
    """Who looks at the frames."""
    labels_key: object = "embedded"
    """What that depends on."""
    faces: KnowFaces | None = None
    """Who compares faces; None does without, and says so."""

    @property
    def key(self) -> object:
        """Model, motion, which frames are looked at, and by whom."""
        size = (self.width, self.height, self.every)
        faces = None if self.faces is None else self.faces.key
        return self.name, self.film.key, self.motion, size, self.labels_key, faces

    def steps(self, sitter: Sitter) -> int:
        """Count what the model reports, and frames drawn and labelled."""
        count = self.motion.frame_count
        return self.film.steps(count + 1) + count + 1 + len(range(0, count, self.every))

    def __call__(
        self,
        sitter: Sitter,
        *,
        folder: Path | None = None,
        tick: Callable[[int], None] = lambda _: None,
    ) -> FrameSet:
        """Generate, label and judge.

        Raises:
            OptimizationError: No frame can be believed.
            BackendError: The card is out of memory, or numbers overflowed.
        """
        done = 0

        def one_more() -> None:
            nonlocal done
            done += 1
            tick(done)

        fit = sitter.fit
        body = body_of(fit.identity.body_name, fit.identity.body_digest)
        staged = stage_photo(
            sitter.photo, sitter.observation, fit, width=self.width, height=self.height
        )
        grounded = ground_motion(self.motion, body, fit.identity)
        motion = stage_motion(grounded, body, fit, staged.camera)
        of_person = SkeletonOfPerson(body=body, identity=fit.identity, camera=staged.camera)
        skeletons, maps = self._skeletons(of_person, sitter, motion, one_more)
        face = face_box(of_person(fit.params)[0].face, self.height, self.width)
        film = self.film(staged.picture, skeletons, face=face, folder=folder, tick=one_more)
        label = _Labelling(self, sitter, staged, motion, body, maps, _bulk(sitter, body))
        pictures, feet, notes = label(film[1:], one_more)
        motion = refit_ankles(motion, feet, staged.camera)
        clip = Clip(
            source=self.name, motion=motion, rates=joint_rates(motion), pictures=tuple(pictures)
        )
        return FrameSet(clips=(clip,), notes=notes)

    def _skeletons(
        self,
        of_person: SkeletonOfPerson,
        sitter: Sitter,
        motion: Motion,
        tick: Callable[[], None],
    ) -> tuple[UInt8[Tensor, "n 3 h w"], dict[int, BodyMaps]]:
        """Draw the photo's skeleton and all others; keep the bodies that are judged by."""
        count = motion.frame_count
        drawn = torch.empty(count + 1, 3, self.height, self.width, dtype=torch.uint8)
        maps = {}
        for k in range(count + 1):
            params = sitter.fit.params if k == 0 else motion.params.frame(k - 1)
            skeleton, seen = of_person(params)
            drawn[k] = torch.from_numpy(self.draw(skeleton, self.height, self.width))
            if k > 0 and (k - 1) % self.every == 0:
                maps[k - 1] = seen
            tick()
        return drawn, maps


@dataclass(frozen=True, kw_only=True)
class _Looked:
    """One frame as seen, and judged by itself."""

    trust: Trust
    looks: PartLooks
    picture: Picture
    feet: FeetSight


@dataclass(frozen=True)
class _Labelling:
    """Looks at frames one after the other, and decides about each."""

    frames: DiffusionFrames
    sitter: Sitter
    staged: Staged
    motion: Motion
    body: SmplxBody
    maps: dict[int, BodyMaps]
    bulk: float
    """Pixels of the person over pixels of their naked body in the photo."""

    def __call__(
        self, film: UInt8[Tensor, "n 3 h w"], tick: Callable[[], None]
    ) -> tuple[list[Picture], list[FeetSight], tuple[str, ...]]:
        sitter, known = self.sitter, self.frames.faces
        wanted = photo_looks(sitter.photo, sitter.observation)
        compare = None if known is None else known(sitter.photo, sitter.observation)
        unseen: list[int] = []
        found: list[_Looked] = []
        with self.frames.labels() as label:
            for frame in range(0, len(film), self.frames.every):
                pixels = film[frame].permute(1, 2, 0).contiguous()
                labels = label(pixels)
                tick()
                if labels is None:
                    unseen.append(frame)
                else:
                    face = None if compare is None else compare(pixels, labels.face_points)
                    rgb = pixels.float() / 255
                    found.append(self._look(frame, rgb, labels, wanted, face))
        trusts = judge_steadiness([one.trust for one in found], [one.looks for one in found])
        believed = [
            (one, trust.value)
            for one, trust in zip(found, trusts, strict=True)
            if trust.value >= LEAST_TRUST
        ]
        pictures = [replace(one.picture, trust=trust) for one, trust in believed]
        notes = told(trusts, unseen, no_faces=None if compare is not None else _no_faces(known))
        if not pictures:
            raise OptimizationError(
                f"none of {len(trusts) + len(unseen)} frames by {self.frames.name} can be believed",
                why=" ".join(notes[:3]),
                fix="check the weights, or create without this generator",
            )
        return pictures, [one.feet for one, _ in believed], notes

    def _look(
        self,
        frame: int,
        rgb: Float[Tensor, "h w 3"],
        labels: FrameLabels,
        wanted: PartLooks,
        face: float | None,
    ) -> "_Looked":
        """Judge one frame by itself."""
        asked, shins = self._points(frame)
        looks = part_looks(rgb, labels.parts, labels.mask)
        marks, camera = torch.tensor(FOOT_MARKS), self.staged.camera
        trust = judge(
            frame,
            labels,
            looks,
            asked_body=self._asked(frame),
            asked_joints=camera.project(asked[list(JOINTS)])[0],
            wanted=wanted,
            bulk=self.bulk,
            face=face,
        )
        return _Looked(
            trust=trust,
            looks=looks,
            picture=_picture(frame, camera, rgb, labels),
            feet=FeetSight(frame=frame, asked=asked[marks], shins=shins, seen=labels.body[marks]),
        )

    def _asked(self, frame: int) -> Tensor:
        """Where the naked body is, in the picture's own size."""
        mask = self.maps[frame].mask[None, None].float()
        size = (self.frames.height, self.frames.width)
        return torch.nn.functional.interpolate(mask, size)[0, 0] > 0.5

    def _points(self, frame: int) -> tuple[Float[Tensor, "33 3"], Float[Tensor, "2 3 3"]]:
        """Give landmarks and shins of the pose that was asked for."""
        fit = self.sitter.fit
        with torch.no_grad():
            posed = self.body.forward(
                self.motion.params.frame(frame), joint_offsets=fit.identity.joint_offsets
            )
            return pose_landmarks(self.body, posed), posed.T_posed_rest[list(KNEES), :3, :3]


def _picture(frame: int, camera: Camera, rgb: Image, labels: FrameLabels) -> Picture:
    """Put a frame and what was seen in it together."""
    maps = {"depth": labels.depth, "normal": labels.normal, "parts": labels.parts}
    whole = picture_from(frame, camera, rgb, labels.mask, **maps)
    return whole if labels.face is None else replace(whole, face=labels.face.shown_in(whole))


def _no_faces(known: KnowFaces | None) -> str:
    """Say why none was compared."""
    if known is not None:
        return "the photo does not show the face well enough"
    return f"persona weights fetch {FACE_WEIGHTS} gets who can"


def _bulk(sitter: Sitter, body: SmplxBody) -> float:
    """Compare the person of the photo with their naked body, as far as the photo goes."""
    fit = sitter.fit
    camera = photo_camera(*fit.image_size, fit.focal_px)
    _, naked = SkeletonOfPerson(body=body, identity=fit.identity, camera=camera)(fit.params)
    covered = float((sitter.observation.mask > 0.5).sum()) * SHRUNK**2
    return max(covered, 1.0) / max(float(naked.mask.sum()), 1.0)
