"""What the environment says about a user's own files; read here and nowhere else."""

import os
from pathlib import Path
from typing import Final

BODY_VARIABLE: Final = "PERSONA_BODY"
"""Names the user's own SMPL-X file."""


def own_body_file(given: Path | None = None) -> Path | None:
    """Give the body file that an argument names, else the environment, else None."""
    named = os.environ.get(BODY_VARIABLE)
    if given is not None:
        return given
    return Path(named) if named else None
