"""Any: the stubs that cv2 ships refuse calls that work, one number for a colour for example."""

from typing import Any

def __getattr__(name: str) -> Any: ...
