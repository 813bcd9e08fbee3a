"""Import an optional package, or say which extra installs it."""

import importlib
import importlib.util
from types import ModuleType

from persona.core.errors import MissingPartError


def is_available(module: str) -> bool:
    """Tell whether ``module`` is installed, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the parent package of a dotted name is missing
        return False


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import ``module``.

    Args:
        module: What to import.
        extra: Extra of this package that installs it.
        purpose: What it is needed for, to complete "is needed to ...".

    Raises:
        MissingPartError: It is not installed, or its import fails.

    Example:
        >>> require("json", extra="dev", purpose="read files").__name__
        'json'
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPartError(
            f"the package {module!r} cannot be imported: {error}",
            why=f"it is needed to {purpose}",
            fix=f"pip install 'persona-avatar[{extra}]'",
        ) from error
