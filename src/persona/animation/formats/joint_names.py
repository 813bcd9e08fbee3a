"""Say which joint of SMPL-X a joint of another skeleton is, by its name."""

import re
from collections.abc import Sequence
from typing import Final

from persona.body.skeleton import FINGERS

_BONE_STYLE: Final = {
    **{"shoulder": "collar", "clavicle": "collar", "collar": "collar"},
    **{"arm": "shoulder", "upperarm": "shoulder", "uparm": "shoulder"},
    **{"forearm": "elbow", "lowerarm": "elbow", "loarm": "elbow", "hand": "wrist"},
    **{"upleg": "hip", "upperleg": "hip", "thigh": "hip"},
    **{"leg": "knee", "lowerleg": "knee", "loleg": "knee", "shin": "knee", "calf": "knee"},
    **{"foot": "ankle", "toebase": "foot", "toe": "foot", "toes": "foot", "forefoot": "foot"},
    **{"ball": "foot", "humerus": "shoulder", "radius": "elbow", "femur": "hip", "tibia": "knee"},
}
"""Skeletons that name a joint after the bone that begins there: Mixamo, Rokoko, CMU, VRM, ASF."""
_JOINT_STYLE: Final = {
    **{"collar": "collar", "clavicle": "collar", "shoulder": "shoulder", "elbow": "elbow"},
    **{"wrist": "wrist", "hip": "hip", "knee": "knee", "ankle": "ankle"},
    **{"toe": "foot", "foot": "foot", "toebase": "foot", "ball": "foot"},
}
"""Skeletons that name a joint as anatomists do: SMPL, the older BVH of CMU, mocap banks."""
_LATIN: Final = "clavicle|humerus|radius|femur|tibia"
"""Bones that ASF skeletons write behind a lower-case letter for the side."""
_SEGMENTS: Final = {"proximal": 1, "intermediate": 2, "distal": 3}
_VRM_THUMB: Final = {"metacarpal": 1, "proximal": 2, "distal": 3}
ROOTS: Final = frozenset({"hips", "pelvis", "hip", "root"})
HEADS: Final = frozenset({"head"})


def match_joints(names: Sequence[str]) -> dict[str, int]:
    """Find limbs, fingers, pelvis, head and eyes: SMPL-X name -> place in ``names``.

    Spine and neck are not named here: they are whatever lies between pelvis, arms and head.
    """
    plain = [_plain(name) for name in names]
    bones = {bare for _, bare in plain}
    style = _JOINT_STYLE if bones & {"elbow", "knee"} else _BONE_STYLE
    found: dict[str, int] = {}
    for place, (side, bare) in enumerate(plain):
        if side is None:
            role = "pelvis" if bare in ROOTS else "head" if bare in HEADS else None
            role = "jaw" if bare == "jaw" else role
        else:
            role = style.get(bare) or _finger(bare)
            role = "eye" if bare in ("eye", "eyeball") else role
            role = f"{side}_{role}" if role else None
        if role is not None and role not in found:
            found[role] = place
    return found


def _plain(name: str) -> tuple[str | None, str]:
    """Take a name apart into side and what is left, in lower case without marks."""
    name = name.rsplit(":", 1)[-1].rsplit("|", 1)[-1]
    name = re.sub(r"(?i)^(mixamorig|bip0*1|character1|def|j_bip|j_sec)\d*[_\- ]*", "", name)
    for side, letter in (("left", "l"), ("right", "r")):
        for pattern in (
            rf"(?i)^{side}[_\-. ]*(?P<rest>.+)$",
            rf"(?i)^(?P<rest>.+?)[_\-. ]*{side}$",
            rf"(?i)^{letter}[_\-. ](?P<rest>.+)$",
            rf"(?i)^(?P<rest>.+?)[_\-. ]{letter}$",
            rf"^{letter.upper()}(?P<rest>[A-Z].*)$",
            rf"^{letter}(?P<rest>[A-Z].*|hand|thumb|fingers|foot|toes?|{_LATIN})$",
        ):
            match = re.match(pattern, name)
            if match:
                return side, _bare(match["rest"])
    return None, _bare(name)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _finger(bare: str) -> str | None:
    """Name the finger joint that ``HandIndex1``, ``index_01`` or ``indexProximal`` is."""
    bare = bare.removeprefix("hand").replace("little", "pinky")
    for finger in FINGERS:
        rest = bare.removeprefix(finger)
        if rest == bare:
            continue
        segments = _VRM_THUMB if finger == "thumb" else _SEGMENTS
        if rest in segments:
            return f"{finger}{segments[rest]}"
        digits = rest.lstrip("0")
        return f"{finger}{digits}" if digits in ("1", "2", "3") else None
    return None
