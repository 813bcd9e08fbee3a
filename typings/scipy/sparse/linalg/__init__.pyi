"""Any, like all of scipy."""

from typing import Any

def __getattr__(name: str) -> Any: ...
