"""Open and save a motion in a file of any format: which reader, which writer."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

import torch

from persona.animation.clips import CLIPS
from persona.animation.contacts import lock_feet
from persona.animation.formats.amass import holds_amass, read_amass, write_amass
from persona.animation.formats.asf_amc import read_amc
from persona.animation.formats.bvh import read_bvh
from persona.animation.formats.bvh_writing import holds_our_skeleton, motion_of, write_bvh
from persona.animation.formats.joint_map import JointMap
from persona.animation.formats.json_folder import read_json_folder, write_json_folder
from persona.animation.formats.reading import MOST_BYTES, MotionFile, check_size, refused
from persona.animation.formats.skeleton_clip import SkeletonClip
from persona.animation.formats.video_results import holds_video_results, read_video_results
from persona.animation.formats.vrm_animation import read_vrma
from persona.animation.motion_files import read_motion, write_motion
from persona.animation.retargeting import direction_errors, retarget
from persona.body import load_body
from persona.body.files import read_arrays
from persona.core.errors import FileFormatError, InputError
from persona.records.motion import Motion

Feet = Literal["auto", "lock", "keep"]
"""Whether standing feet are held where they stand; auto does it for other skeletons."""
SUFFIXES: Final = (".npz", ".bvh", ".vrma", ".amc", ".asf", ".pt", ".pth", ".pkl")
"""What names of motion files end in."""
MHR_KEY: Final = "mhr_model_params"
"""What npz files of SAM 3D Body hold."""
WRITERS: Final[dict[str, Callable[[Motion, Path], None]]] = {
    "persona": write_motion,
    "amass": write_amass,
    "json": write_json_folder,
    "bvh": write_bvh,
}
"""Format name to its writer."""
BY_SUFFIX: Final = {".npz": "persona", ".bvh": "bvh", "": "json"}
"""The format that is written when only the ending says."""


def is_motion_file(text: str) -> bool:
    """Say whether text names a file or an existing folder, not a built-in motion."""
    named = text.lower().endswith(SUFFIXES)
    return named or (("/" in text or text not in CLIPS) and Path(text).is_dir())


def open_motion(
    path: Path,
    *,
    fps: float | None = None,
    up: str | None = None,
    feet: Feet = "auto",
    joint_map: JointMap | None = None,
    person: int | None = None,
) -> MotionFile:
    """Read a motion in whatever format a file is.

    Args:
        path: What to read.
        fps: Its frame rate, where the file is wrong or silent.
        up: Its upward axis, one of `world_axes.AXES`; None finds out.
        feet: Whether to hold standing feet where they stand.
        joint_map: Which joint of a strange skeleton is which; names say it where this does not.
        person: Which of several people, counted from 1; None takes who is there longest.

    Raises:
        FileFormatError: It is damaged, no motion, or of no known format.
        InputError: Its skeleton has joints of unknown names.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        found = read_json_folder(path, fps=fps, up=up)
    elif suffix == ".bvh":
        found = _read_bvh(path, fps, up, joint_map)
    elif suffix == ".vrma":
        clip = read_vrma(path, fps=fps)
        facts = {"fps": f"{clip.fps:g} (sampled; its keys are at any times)"}
        found = _retargeted(path, clip, up, "VRM animation", facts, joint_map)
    elif suffix == ".amc":
        clip = read_amc(path, fps=fps)
        said = "as asked" if fps else "assumed: CMU's; the file does not say; give --source-fps"
        found = _retargeted(path, clip, up, "ASF/AMC", {"fps": f"{clip.fps:g} ({said})"}, joint_map)
    elif suffix in (".pt", ".pth", ".pkl"):
        found = read_video_results(path, fps=fps, up=up, person=person)
    elif suffix == ".npz":
        found = _read_npz(path, fps, up)
    else:
        raise _unknown(path)
    if feet == "lock" or (feet == "auto" and found.retargeted):
        locked, contacts, left = lock_feet(found.motion)
        share = 100 * float(contacts.standing.any(-1).any(-1).double().mean())
        said = (
            f"stand in {share:.0f} % of the frames; sliding {contacts.skating:.1f} mm a frame, "
            f"locked to {left:.1f}"
        )
        if contacts.sunk:
            said += "; it floated most of the time and was let down onto the floor"
        found = replace(found, motion=locked, facts={**found.facts, "feet": said})
    if found.limb_errors is not None:
        errors = found.limb_errors(found.motion)
        said = ", ".join(f"{limb} {error:.1f}" for limb, error in errors.items())
        found = replace(found, facts={**found.facts, "limbs": f"off by {said} deg, median"})
    return found


def save_motion(motion: Motion, path: Path, *, kind: str | None = None) -> str:
    """Write a motion; return the name of the format.

    Args:
        motion: What to write.
        path: Where; its ending decides unless ``kind`` does.
        kind: One of `WRITERS`.

    Raises:
        InputError: No such format.
    """
    chosen = kind or BY_SUFFIX.get(path.suffix.lower())
    if chosen not in WRITERS:
        raise InputError(
            f"{path.name} cannot be written" + (f" as {kind}" if kind else ""),
            why=f"motions are written as {', '.join(WRITERS)}",
            fix="end the name in .npz or .bvh, or in nothing for a folder; or give --format",
        )
    WRITERS[chosen](motion, path)
    return chosen


def _unknown(path: Path) -> FileFormatError:
    """Refuse a file by what its ending says, and say what to give instead."""
    known = ", ".join(suffix for suffix in SUFFIXES if suffix != ".asf")
    if path.suffix.lower() == ".asf":
        return refused(path, "an ASF is a skeleton only", fix="give the .amc that lies beside it")
    return refused(
        path,
        f"files are known by their endings, and {path.suffix or 'none'} is none of {known}",
        fix="export it as BVH, or save SMPL-X parameters as an npz (docs/motions.md)",
    )


def _read_npz(path: Path, fps: float | None, up: str | None) -> MotionFile:
    check_size(path)
    arrays = read_arrays(path, most=MOST_BYTES)
    if MHR_KEY in arrays:
        raise refused(
            path,
            "it holds the pose of an MHR body, whose 127 joints and scales are not SMPL-X's",
            fix="convert it with MHR's own MHR-to-SMPL-X tool, and save full_pose and transl",
        )
    if holds_amass(arrays):
        return read_amass(path, fps=fps, up=up)
    if holds_video_results(arrays):
        return read_video_results(path, fps=fps, up=up)
    motion = read_motion(path)
    rate = "(the file's, or 30 where it has none)"
    if fps is not None:
        motion, rate = replace(motion, fps=fps), "(as asked)"
    facts = {
        "joints": "SMPL-X, 55 joints",
        "fps": f"{motion.fps:g} {rate}",
        "up": "y (the format's)",
        "units": "metres (the format's)",
        "loops": "yes" if motion.loops else "no",
    }
    return MotionFile(motion=motion, format="persona npz", facts=facts)


def _read_bvh(
    path: Path, fps: float | None, up: str | None, joint_map: JointMap | None
) -> MotionFile:
    clip = read_bvh(path, fps=fps)
    rate = f"{clip.fps:.6g} ({'as asked' if fps else 'Frame Time'})"
    if holds_our_skeleton(clip) and up in (None, "y"):
        facts = {"joints": "SMPL-X, 55 joints", "fps": rate, "up": "y (ours)", "units": "cm (ours)"}
        return MotionFile(motion=motion_of(clip, name=path.stem), format="BVH", facts=facts)
    return _retargeted(path, clip, up, "BVH", {"fps": rate}, joint_map)


def _retargeted(
    path: Path,
    clip: SkeletonClip,
    up: str | None,
    kind: str,
    facts: Mapping[str, str],
    joint_map: JointMap | None,
) -> MotionFile:
    done = retarget(clip, up=up, name=path.stem, joint_map=joint_map)

    def limb_errors(motion: Motion) -> Mapping[str, float]:
        few = load_body().subset(torch.arange(1))
        posed = few.forward(motion.params, with_pose_correctives=False)
        return direction_errors(clip, done, posed.joints)

    return MotionFile(
        motion=done.motion,
        format=kind,
        facts={**facts, **done.facts},
        retargeted=True,
        limb_errors=limb_errors,
    )
