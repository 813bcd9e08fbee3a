"""Two calibrated cameras: tracked and photographed by one, judged by the other.

What the first camera cannot see, depth above all, is what the second one shows. One number comes
from the second camera, for the whole clip and every method alike: how large the tracked metre is,
which one camera cannot know.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from persona.avatar.rates import joint_rates
from persona.core.errors import InputError
from persona.core.progress import current
from persona.core.types import Image, Mask
from persona.evaluation.readers.qualisys import CalibratedCamera, read_qualisys
from persona.evaluation.readers.tracked import (
    TrackedClip,
    cut_person,
    first_good_photo,
    save_mask,
)
from persona.evaluation.readers.video import evenly, frame_of
from persona.evaluation.spec import SubjectSpec
from persona.evaluation.subjects import Subject, SubjectFrame
from persona.geometry.cameras import Camera
from persona.images.clips import Bytes, Clip, open_clip
from persona.images.crops import resize
from persona.images.files import read_image
from persona.images.masks import overlap
from persona.perception.detectors import Detectors
from persona.records.frame_set import JointRates
from persona.rendering.body_maps import draw_body_maps

SIZES: Final = (0.6, 1.6)
"""Metres of the laboratory in a tracked metre: tried from, to."""
BLOCK: Final = 16
"""Codecs store whole blocks of so many pixels a side."""
COARSE: Final = 41
"""Sizes that are tried first."""
FINE: Final = 11
"""Sizes that are tried about the best of them."""
STEERING: Final = 6
"""Frames that say which size is best."""
STEERING_ROWS: Final = 160
"""Rows of their outlines [px]."""
LEAST_OVERLAP: Final = 0.25
"""Where the naked body overlaps the outline less, the two cameras do not fit together."""


def multiview_subject(
    path: Path, other: Path, calibration: Path, spec: SubjectSpec, *, cache: Path
) -> Subject:
    """Read two synchronised clips.

    Args:
        path: Clip that is tracked, and gives the photo.
        other: Clip that judges; its frame k was taken when the first one's was.
        calibration: Qualisys file.
        spec: Name, the cameras' names, photo, size, number of frames.
        cache: Where track and masks are kept.

    Raises:
        FileFormatError: A file is damaged.
        InputError: A camera is not in the calibration, or the two do not fit together.
        PhotoError: No frame can be a photo.
    """
    ours, judge = _cameras(calibration, spec)
    lens = Lens.of(ours, _size_of(path))
    tracked = TrackedClip.of(
        path, cache=cache, rows=spec.rows, fps=spec.fps, focal_px=lens.focal_px, rectify=lens
    )
    good = first_good_photo(tracked, person=spec.person, wanted=spec.front)
    tracked, photo_at = tracked.on_bones(good.identity), good.index
    views = _Judge(
        clip=open_clip(other, fps=spec.fps),
        lens=Lens.of(judge, _size_of(other)),
        rows=spec.rows,
        folder=tracked.folder / f"judge_{judge.name}",
    )
    seen = [int(k) for k in tracked.track.seen.nonzero()[:, 0] if int(k) != photo_at]
    masks = views.cut_out(evenly(seen, spec.frames))
    relation = torch.from_numpy(judge.T_camera_lab @ np.linalg.inv(ours.T_camera_lab)).float()
    placed = _Placed.of(tracked, views, masks, relation)
    rates = joint_rates(tracked.track.own)
    still = None
    if tracked.cut_out([photo_at]):
        picture = next(p for k, p in tracked.pictures(photo_at) if k == photo_at)
        still = frame_of(tracked, photo_at, 0, tracked.shrunk(picture), rates)
    order = list(masks)

    def read(start: int) -> Iterator[SubjectFrame]:
        numbers = {index: number for number, index in enumerate(order)}
        for index, picture in views.pictures(order[start]):
            if index in numbers:
                yield placed.frame(index, numbers[index], picture, rates)

    return Subject(
        name=spec.name,
        dataset="multiview",
        photo=good.photo,
        frame_count=len(order),
        read=read,
        fps=tracked.track.own.fps if len(order) >= 0.9 * len(seen) else None,
        still=still,
        person=spec.person,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Lens:
    """Takes pictures of a real lens to those of a pinhole camera, its axis in the middle."""

    focal_px: float
    """Of the pinhole camera [px]."""
    size: tuple[int, int]
    """Width and height [px]."""
    across: Float[np.ndarray, "h w"]
    """Column of the real picture that each pixel is taken from [px]."""
    down: Float[np.ndarray, "h w"]
    """Row, likewise [px]."""

    @classmethod
    def of(cls, camera: CalibratedCamera, size: tuple[int, int]) -> "Lens":
        """Prepare for a camera.

        Args:
            camera: As calibrated.
            size: Width and height of the clip's frames [px]. Codecs fill up to whole blocks: less
                than `BLOCK` fewer columns or rows than were calibrated were cut off at their end.

        Raises:
            InputError: They have another size.
        """
        width, height = size
        missing = (camera.size[0] - width, camera.size[1] - height)
        if not all(0 <= lacks < BLOCK for lacks in missing):
            raise InputError(
                f"frames of {camera.name} have {width} x {height} pixels",
                why=f"it was calibrated at {camera.size[0]} x {camera.size[1]}",
                fix="give the clips as they were filmed",
            )
        focal = float(camera.matrix[0, 0] + camera.matrix[1, 1]) / 2
        # OpenCV's pixel centres are whole numbers, ours halves.
        plain = np.array([[focal, 0, width / 2 - 0.5], [0, focal, height / 2 - 0.5], [0, 0, 1]])
        across, down = cv2.initUndistortRectifyMap(
            camera.matrix, camera.distortion, np.eye(3), plain, (width, height), cv2.CV_32FC1
        )
        return cls(focal_px=focal, size=(width, height), across=across, down=down)

    def __call__(self, picture: Bytes) -> Bytes:
        """Straighten a picture."""
        return cv2.remap(picture, self.across, self.down, cv2.INTER_LINEAR)

    def camera(self, rows: int) -> Camera:
        """Give the pinhole camera at the origin, at no more than so many rows."""
        width, height = self.size
        plain = Camera(
            width=width,
            height=height,
            focal_px=self.focal_px,
            center_px=(width / 2, height / 2),
            T_camera_world=torch.eye(4),
        )
        return plain.scaled(min(1.0, rows / height))


@dataclass(frozen=True, eq=False, kw_only=True)
class _Judge:
    """The second camera's clip."""

    clip: Clip
    lens: Lens
    rows: int
    folder: Path

    def pictures(self, start: int = 0) -> Iterator[tuple[int, Image]]:
        """Give frames by their number, straightened and small."""
        camera = self.lens.camera(self.rows)
        for index, frame in enumerate(self.clip.frames()):
            if index >= start:
                image = torch.from_numpy(self.lens(frame.picture).astype(np.float32) / 255)
                yield index, resize(image, width=camera.width, height=camera.height)

    def cut_out(self, wanted: list[int]) -> dict[int, Path]:
        """Cut the person out; give the files of frames where that worked."""
        files = {index: self.folder / f"{index:06d}.png" for index in wanted}
        missing = {index for index, file in files.items() if not file.is_file()}
        if missing:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (
                current().stage(f"cut out {self.clip.name}", steps=len(missing)) as bar,
                Detectors() as detectors,
            ):
                for index, picture in self.pictures(min(missing)):
                    if index in missing:
                        name = f"{self.clip.name}, frame {index}"
                        mask = cut_person(picture, detectors, name=name)
                        empty = torch.zeros(picture.shape[:2])
                        save_mask(files[index], empty if mask is None else mask)
                        bar.advance()
                    if index >= max(missing):
                        break
        kept = {}
        for index, file in files.items():
            if file.is_file() and float(read_image(file).rgb.max()) > 0.5:
                kept[index] = file
        return kept


@dataclass(frozen=True, eq=False, kw_only=True)
class _Placed:
    """The second camera in the world of the track."""

    tracked: TrackedClip
    masks: Mapping[int, Path]
    camera: Camera
    relation: Float[Tensor, "4 4"]
    size: float
    """Metres of the laboratory in a tracked metre."""

    @classmethod
    def of(
        cls,
        tracked: TrackedClip,
        views: _Judge,
        masks: Mapping[int, Path],
        relation: Float[Tensor, "4 4"],
    ) -> "_Placed":
        """Find the size at which the naked tracked body lies best on the masks."""
        camera = views.lens.camera(views.rows)
        small = min(1.0, STEERING_ROWS / camera.height)
        width, height = camera.scaled(small).width, camera.scaled(small).height
        outlines = {
            k: (tracked.vertices(k), resize(_mask(masks[k]), width=width, height=height))
            for k in evenly(list(masks), STEERING)
        }
        if not outlines:
            raise InputError(
                f"nobody was found in {views.clip.name}",
                why="its frames are what an avatar is judged by",
                fix="check that both clips show the same moment",
            )

        def at(size: float) -> "_Placed":
            return cls(tracked=tracked, masks=masks, camera=camera, relation=relation, size=size)

        def agreement(size: float) -> float:
            total = 0.0
            for index, (vertices, mask) in outlines.items():
                seen = at(size).camera_of(index).scaled(small)
                drawn = draw_body_maps(vertices, tracked.faces, seen).mask
                total += overlap(drawn.float(), mask)
            return total / len(outlines)

        best = max(np.linspace(*SIZES, COARSE).tolist(), key=agreement)
        step = (SIZES[1] - SIZES[0]) / (COARSE - 1)
        best = max(np.linspace(best - step, best + step, FINE).tolist(), key=agreement)
        found = agreement(best)
        if found < LEAST_OVERLAP:
            raise InputError(
                f"the cameras of {views.clip.name} and {tracked.clip.name} do not fit together",
                why=f"the tracked body overlaps the outline by {found:.2f}, whatever the size",
                fix="check names of cameras, calibration, and that the clips begin together",
            )
        return at(best)

    def camera_of(self, index: int) -> Camera:
        """Give the second camera in a frame."""
        relation = self.relation.clone()
        relation[:3, 3] /= self.size
        return replace(
            self.camera, T_camera_world=relation @ self.tracked.track.T_camera_world[index]
        )

    def frame(self, index: int, number: int, picture: Image, rates: JointRates) -> SubjectFrame:
        """Make a frame."""
        return SubjectFrame(
            index=number,
            name=f"{index:06d}",
            picture=picture,
            mask=_mask(self.masks[index]),
            camera=self.camera_of(index),
            params=self.tracked.track.own.params.frame(index),
            rates=rates.rows(torch.tensor([index])),
            joints=self.tracked.joints(index),
        )


def _size_of(path: Path) -> tuple[int, int]:
    first = next(open_clip(path).frames()).picture
    return first.shape[1], first.shape[0]


def _mask(path: Path) -> Mask:
    return read_image(path).rgb[..., 0].contiguous()


def _cameras(path: Path, spec: SubjectSpec) -> tuple[CalibratedCamera, CalibratedCamera]:
    known = read_qualisys(path)
    if spec.cameras is None or any(name not in known for name in spec.cameras):
        raise InputError(
            f"{spec.name} names the cameras {spec.cameras}",
            why=f"{path.name} has {', '.join(known)}",
            fix='name two of them, the tracked one first: cameras = ["cam01", "cam02"]',
        )
    return known[spec.cameras[0]], known[spec.cameras[1]]
