# Kernels are read by Triton's compiler, not by Python.
from typing import Any

def __getattr__(name: str) -> Any: ...
