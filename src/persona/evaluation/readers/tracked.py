"""A clip, tracked once and cut out once, and kept: what readers of films share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from persona.body import BodyPose, load_body
from persona.core.errors import FitError, InputError, PhotoError
from persona.core.fingerprint import code_version, fingerprint
from persona.core.progress import current
from persona.core.threads import one_thread
from persona.core.types import Faces, Image, Mask
from persona.fitting.stage import FitBody
from persona.geometry.cameras import Camera
from persona.images.clips import Bytes, Clip, Frame, open_clip
from persona.images.crops import resize
from persona.images.files import read_image, write_png
from persona.perception.detectors import Detectors
from persona.perception.matting import person_mask
from persona.perception.person import choose_person
from persona.perception.stage import perceive
from persona.records.body_fit import Identity
from persona.records.motion import Motion
from persona.records.photo import Photo
from persona.records.storage import load_record, save_record
from persona.tracking.clip_fit import fit_clip
from persona.tracking.sightings import Sightings
from persona.tracking.track import track_from
from persona.tracking.watching import Camera as CameraMotion
from persona.tracking.watching import watch

TRACKERS: Final = ("tracking", "perception", "fitting", "body", "images", "kernels", "geometry")
"""Folders of this package whose code decides poses and masks."""
TRIES: Final = 30
"""Frames that are tried as photo, spread over the clip, before it is given up."""
Rectify = Callable[[Bytes], Bytes]
CUT_MARGIN: Final = 0.25
"""Around the tracked joints when a person is cut out: share of their height."""
LEAST_PX: Final = 16
"""Smaller windows show nobody."""


@dataclass(frozen=True, eq=False, kw_only=True)
class KeptTrack:
    """What tracking found; all series have the frames of ``own``."""

    own: Motion
    """On the person's own bones, in the world of the cameras."""
    identity: Identity
    """Those bones."""
    T_camera_world: Float[Tensor, "t 4 4"]
    """Of every frame."""
    seen: Bool[Tensor, " t"]
    """Whether the person was found."""
    start: float
    """Time of the first frame [s]."""
    focal_px: float
    """Focal length at the clip's own size [px]."""
    size: tuple[int, int]
    """Width and height of the clip's frames [px]."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TrackedClip:
    """A clip and what was found in it."""

    clip: Clip
    """The film."""
    track: KeptTrack
    """Poses and cameras."""
    folder: Path
    """Where masks are kept."""
    rows: int
    """Frames are given with so many rows at most [px]."""
    rectify: Rectify | None = None
    """Takes a frame as filmed to one of a pinhole camera; None takes it as it is."""

    @classmethod
    def of(
        cls,
        path: Path,
        *,
        cache: Path,
        rows: int,
        fps: float | None = None,
        person: int | None = None,
        focal_px: float | None = None,
        rectify: Rectify | None = None,
    ) -> "TrackedClip":
        """Track a clip, or take what was tracked before by the same code.

        Raises:
            FileFormatError: It is no clip.
            InputError: Nobody is in it, or several are and none was picked.
        """
        clip = open_clip(path, fps=fps)
        first = next(_rectified(clip, rectify))
        size = path.stat().st_size
        key = fingerprint(
            (path.name, size, first.picture, fps, person, focal_px, rows),
            code_version(*TRACKERS),
        )
        folder = cache / f"{clip.name}_{key[:12]}"
        if not (folder / "track.json").is_file():
            with current().stage(f"track {clip.name}"):
                frames = _rectified(clip, rectify)
                sightings, _ = watch(frames, person=person, name=path.name, focal_px=focal_px)
                track = _tracked(sightings, clip.name, identity=None, focal_px=focal_px)
            folder.mkdir(parents=True, exist_ok=True)
            save_record(folder / "sightings", sightings)
            save_record(folder / "track", track)
        track = load_record(folder / "track", KeptTrack)
        return cls(clip=clip, track=track, folder=folder, rows=rows, rectify=rectify)

    def on_bones(self, identity: Identity) -> "TrackedClip":
        """Track the same sightings on other bones, for example on those of a photo's fit.

        Rotations mean something on the bones that they were found on: the same arm angle puts the
        hand of a body with wider shoulders elsewhere.
        """
        file = self.folder / f"track_{fingerprint(identity)[:12]}"
        if not file.with_suffix(".json").is_file():
            sightings = load_record(self.folder / "sightings", Sightings)
            focal = self.track.focal_px
            with current().stage(f"fit {self.clip.name}"):
                track = _tracked(sightings, self.clip.name, identity=identity, focal_px=focal)
            save_record(file, track)
        return replace(self, track=load_record(file, KeptTrack))

    @property
    def scale(self) -> float:
        """Rows that are given over rows of the film [-]."""
        return min(1.0, self.rows / self.track.size[1])

    def pictures(self, start: int = 0) -> Iterator[tuple[int, Bytes]]:
        """Give (index in the track, full picture) of frames where the person was found."""
        last = -1
        for frame in _rectified(self.clip, self.rectify):
            index = round((frame.time - self.track.start) * self.track.own.fps)
            if index >= self.track.own.frame_count:
                return
            if index <= last or index < start or not bool(self.track.seen[max(index, 0)]):
                continue
            last = index
            yield index, frame.picture

    def camera(self, index: int) -> Camera:
        """Give a frame's camera at the size that frames are given in."""
        width, height = self.track.size
        return Camera(
            width=width,
            height=height,
            focal_px=self.track.focal_px,
            center_px=(width / 2, height / 2),
            T_camera_world=self.track.T_camera_world[index],
        ).scaled(self.scale)

    def joints(self, index: int) -> Float[Tensor, "55 3"]:
        """Give the joints of the tracked body [m]."""
        return self._posed(index).joints

    def vertices(self, index: int) -> Float[Tensor, "v 3"]:
        """Give the naked tracked body [m]."""
        return self._posed(index).vertices

    @property
    def faces(self) -> Faces:
        """Triangles of the tracked body."""
        return load_body().faces

    def _posed(self, index: int) -> BodyPose:
        body, identity = load_body(), self.track.identity
        params = replace(self.track.own.params.frame(index), betas=identity.betas)
        with torch.no_grad():
            return body.forward(params, joint_offsets=identity.joint_offsets)

    def shrunk(self, picture: Bytes) -> Image:
        """Give a frame's picture at the size that frames are given in."""
        image = torch.from_numpy(picture.astype(np.float32) / 255)
        if self.scale == 1:
            return image
        camera = self.camera(0)
        return resize(image, width=camera.width, height=camera.height)

    def mask_file(self, index: int) -> Path:
        """Say where a frame's mask is kept; an empty file stands for nobody."""
        return self.folder / "masks" / f"{index:06d}.png"

    def cut_out(self, wanted: list[int]) -> list[int]:
        """Cut the person out of frames, and keep the masks.

        Returns:
            Those of the frames in which that worked: a frame without a mask has no truth.
        """
        missing = {index for index in wanted if not self.mask_file(index).is_file()}
        if missing:
            with (
                current().stage(f"cut out {self.clip.name}", steps=len(missing)) as bar,
                Detectors() as detectors,
            ):
                for index, picture in self.pictures(min(missing)):
                    if index in missing:
                        self._cut(index, self.shrunk(picture), detectors)
                        bar.advance()
                    if index >= max(missing):
                        break
        return [k for k in wanted if self.mask_file(k).is_file() and self.mask(k) is not None]

    def mask(self, index: int) -> Mask | None:
        """Read a frame's mask; None where the person could not be cut out."""
        alone = read_image(self.mask_file(index)).rgb[..., 0]
        return alone if float(alone.max()) > 0.5 else None

    def _cut(self, index: int, picture: Image, detectors: Detectors) -> None:
        """Find the tracked person near their joints, and refine the outline."""
        camera = self.camera(index)
        pixels = camera.project(self.joints(index))[0]
        low, high = pixels.amin(0), pixels.amax(0)
        margin = CUT_MARGIN * float(high[1] - low[1])
        left, top = (max(0, int(v)) for v in (low - margin).tolist())
        right = min(camera.width, int(float(high[0]) + margin) + 1)
        bottom = min(camera.height, int(float(high[1]) + margin) + 1)
        mask = torch.zeros(picture.shape[:2])
        if right - left > LEAST_PX and bottom - top > LEAST_PX:
            window = picture[top:bottom, left:right]
            found = cut_person(window, detectors, name=f"{self.clip.name}, frame {index}")
            if found is not None:
                mask[top:bottom, left:right] = found
        save_mask(self.mask_file(index), mask)


def _tracked(
    sightings: Sightings, name: str, *, identity: Identity | None, focal_px: float | None
) -> KeptTrack:
    """Fit a body to what was seen, and keep what readers need."""
    body = load_body()
    with torch.no_grad(), one_thread():
        fit = fit_clip(body, sightings, identity=identity, focal_px=focal_px)
        # How the camera moved is already in the sightings.
        track = track_from(body, fit, CameraMotion(moving=False, said=""), name=name)
    return KeptTrack(
        own=track.own,
        identity=track.identity,
        T_camera_world=track.T_camera_world,
        seen=track.seen,
        start=float(track.times[0]),
        focal_px=track.focal_px,
        size=track.size,
    )


def cut_person(picture: Image, detectors: Detectors, *, name: str) -> Mask | None:
    """Cut the one person out of a picture; None, with a warning, where that cannot be done."""
    window = np.ascontiguousarray((picture.numpy() * 255 + 0.5).astype(np.uint8))
    try:
        found = choose_person(window, detectors, name=name, person=None)
    except PhotoError as reason:
        current().warn(f"{reason.what}; left out")
        return None
    return torch.from_numpy(person_mask(window, found).astype(np.float32))


def save_mask(path: Path, mask: Mask) -> None:
    """Keep a mask as a grey picture."""
    path.parent.mkdir(exist_ok=True)
    write_png(path, mask[..., None].expand(-1, -1, 3).contiguous())


def _rectified(clip: Clip, rectify: Rectify | None) -> Iterator[Frame]:
    for frame in clip.frames():
        yield frame if rectify is None else Frame(rectify(frame.picture), frame.time)


@dataclass(frozen=True, eq=False, kw_only=True)
class GoodPhoto:
    """A frame of a clip that can be a photo."""

    index: int
    """In the track."""
    photo: Photo
    """At the film's own size."""
    identity: Identity
    """Shape and bones of the body that was fitted to it."""


def first_good_photo(
    tracked: TrackedClip, *, person: int | None = None, wanted: int | None = None
) -> GoodPhoto:
    """Find the first frame that the product itself accepts as a photo of a whole person.

    Args:
        tracked: The clip.
        person: Which of several.
        wanted: This frame, whatever comes before.

    Raises:
        PhotoError: None of the frames will do; the reason is that of the last one.
    """
    count = tracked.track.own.frame_count
    step = max(1, count // TRIES)
    reason: InputError | None = None
    for index, picture in tracked.pictures():
        if wanted is not None and index != wanted:
            continue
        if wanted is None and index % step:
            continue
        photo = Photo(
            rgb=torch.from_numpy(picture.astype(np.float32) / 255),
            name=tracked.clip.name,
            digest=fingerprint(picture),
        )
        try:
            fit = FitBody(body=load_body())(perceive(photo, person=person))
        except (PhotoError, FitError) as refused:
            reason = refused
            continue
        return GoodPhoto(index=index, photo=photo, identity=fit.identity)
    raise PhotoError(
        f"no frame of {tracked.clip.name} can be a photo"
        + (f": {reason.what}" if reason else ", none was reached"),
        why="an avatar is made from one whole person in view"
        + (f"; the last try failed because {reason.why}" if reason else ""),
        fix="name a frame with front = N, or give another clip",
    )
