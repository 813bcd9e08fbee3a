"""Any: scipy ships no types, and what can be guessed from its source is often wrong."""

from typing import Any

def __getattr__(name: str) -> Any: ...
