"""Any: MediaPipe builds its modules at run time."""

from typing import Any

def __getattr__(name: str) -> Any: ...
