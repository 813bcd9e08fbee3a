"""One photo of a person in, a whole-body avatar of 3D Gaussians out.

`create` perceives the photo, fits a body to it, covers the body with Gaussians and returns an
`Avatar`; `Avatar.pose` moves it by SMPL-X parameters and `Avatar.render` draws it. The stages
hand each other the frozen records of `persona.records`; `persona.core.conventions` says which
way is up. Names are resolved on first use, so that ``import persona`` stays cheap.

Example:
    >>> import persona
    >>> persona.__version__.count(".")
    2
"""

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from persona.core.errors import PersonaError as PersonaError

__version__ = "0.1.0"

_HOMES: Final = {
    "Avatar": "persona.avatar.avatar",
    "BodyParams": "persona.records.body_params",
    "Motion": "persona.records.motion",
    "PersonaError": "persona.core.errors",
    "Photo": "persona.records.photo",
    "create": "persona.pipeline.create",
    "load_body": "persona.body",
}
"""Public name -> module that defines it."""

__all__ = ["PersonaError", "__version__"]  # the rest is resolved by __getattr__


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'persona' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
