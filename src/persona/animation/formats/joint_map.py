"""A TOML file that says which joint of a strange skeleton is which of SMPL-X's."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from persona.animation.formats.reading import check_size, refused
from persona.body.skeleton import JOINT_NAMES

MOST_BYTES: Final = 1 << 20
"""No map of names is larger."""
TABLE: Final = "joints"

JointMap = Mapping[str, str]
"""SMPL-X name -> name in the file; an empty name says that the skeleton has no such joint."""


def read_joint_map(path: Path) -> JointMap:
    """Read a map: a table ``[joints]`` of SMPL-X names and the file's own.

    Raises:
        FileFormatError: It is no TOML, or names a joint that SMPL-X lacks.
    """
    check_size(path, most=MOST_BYTES)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get(TABLE)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refused(
            path, f"it is no TOML: {error}", fix="write it as docs/motions.md says"
        ) from error
    if not isinstance(table, dict) or not all(isinstance(v, str) for v in table.values()):
        raise refused(
            path,
            f"it has no table [{TABLE}] of names",
            fix=f'write [{TABLE}] and below it lines such as left_hip = "Bone.012"',
        )
    strange = [name for name in table if name not in JOINT_NAMES]
    if strange:
        raise refused(
            path,
            f"SMPL-X has no joint {', '.join(strange[:5])}",
            fix=f"its joints are {', '.join(JOINT_NAMES)}",
        )
    return table
