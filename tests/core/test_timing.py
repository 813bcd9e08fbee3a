import subprocess
import sys
import time

import pytest

from persona.core.timing import measured


def test_a_block_is_measured_and_then_stands_still():
    with measured() as watch:
        time.sleep(0.02)
    cost = watch.cost()
    time.sleep(0.02)
    assert watch.cost() == cost
    assert 0.02 <= cost.seconds < 5
    assert cost.peak_memory > 1 << 20


def test_peak_memory_sees_a_large_array():
    # In a process of its own: this one may have had a far larger peak already.
    probe = (
        "from persona.core.timing import peak_memory; before = peak_memory(); "
        "block = bytearray(b'x') * (64 << 20); print(peak_memory() - before)"
    )
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert 60 << 20 < int(out.stdout) < 80 << 20


def test_a_block_that_fails_is_measured_too():
    with pytest.raises(RuntimeError), measured() as watch:
        raise RuntimeError
    assert watch.cost() == watch.cost()
