"""What all tests share: the real pictures, where they are, and one thread for small work."""

import os

# Before torch is imported: small tensors are slower on two busy threads than on one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real pictures beside the checkout; tests that want it are skipped without."""
    if not REAL_DATA.is_dir():
        pytest.skip("the real pictures are not on this machine")
    return REAL_DATA
