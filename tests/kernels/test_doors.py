"""Nothing bad reaches native code: a sweep over all kernels, tensors and faults."""

import subprocess
import sys
from pathlib import Path


def test_every_fault_in_every_tensor_is_a_typed_error_and_scattered_memory_is_none():
    program = Path(__file__).with_name("sweep_doors.py")
    swept = subprocess.run(
        [sys.executable, program], check=True, capture_output=True, text=True, timeout=120
    )
    calls, *wrong = swept.stdout.splitlines()
    assert int(calls.split()[0]) > 300
    assert wrong == []
