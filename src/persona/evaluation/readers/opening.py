"""From a line of a specification to a subject, whatever it is read from."""

from dataclasses import dataclass, replace
from pathlib import Path

from persona.core.errors import InputError
from persona.core.progress import current
from persona.evaluation.readers.multiview import multiview_subject
from persona.evaluation.readers.neuman import neuman_subject
from persona.evaluation.readers.turn import turntable_subject
from persona.evaluation.readers.video import video_subject
from persona.evaluation.readers.xhumans import xhumans_subject
from persona.evaluation.spec import SubjectSpec
from persona.evaluation.subjects import Subject
from persona.evaluation.truth.dataset import truth_subjects
from persona.evaluation.truth.generate import TruthSettings


@dataclass(frozen=True, kw_only=True)
class Opener:
    """Opens subjects."""

    root: Path
    """What paths in a specification are relative to."""
    truth: Path
    """Where generated people are kept, and made."""
    cache: Path
    """Where what was tracked and cut out is kept."""
    truth_height: int | None = None
    """Rows of generated frames [px]; None is the usual."""

    def open(self, spec: SubjectSpec) -> Subject:
        """Open a subject; what takes long is kept.

        Raises:
            InputError: Something that this kind needs was not said.
            FileFormatError: Something is missing or damaged.
            PhotoError: No frame can be a photo.
        """
        if spec.kind == "truth":
            return self._truth(spec)
        path = self.root / _needed(spec, "path", spec.path)
        if spec.kind == "video":
            return video_subject(path, spec, cache=self.cache)
        if spec.kind == "turntable":
            photo = None if spec.photo is None else self.root / spec.photo
            return turntable_subject(path, spec, photo=photo)
        if spec.kind == "multiview":
            return multiview_subject(
                path,
                self.root / _needed(spec, "other", spec.other),
                self.root / _needed(spec, "calibration", spec.calibration),
                spec,
                cache=self.cache,
            )
        body = self.root / _needed(spec, "body", spec.body)
        read = neuman_subject if spec.kind == "neuman" else xhumans_subject
        return read(path, spec, body=body)

    def _truth(self, spec: SubjectSpec) -> Subject:
        settings = TruthSettings()
        if spec.frames is not None:
            settings = replace(settings, frames=spec.frames)
        if self.truth_height is not None:
            settings = replace(settings, height=self.truth_height)
        with current().stage(f"make {spec.name}", steps=settings.frames) as bar:
            (subject,) = truth_subjects(
                self.truth,
                [spec.name],
                settings,
                tick=lambda _, done: bar.advance(done - bar.done),
            )
        return subject


def _needed(spec: SubjectSpec, name: str, value: str | None) -> str:
    if value is None:
        raise InputError(
            f"{spec.name} has no {name}",
            why=f"subjects of kind {spec.kind} need it",
            fix=f'add {name} = "..." below its [[subjects]]',
        )
    return value
