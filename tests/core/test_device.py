import pytest
import torch

from persona.core.device import check_memory, choose_device, core_count, memory_report
from persona.core.errors import BackendError


def test_the_cpu_is_always_there():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu9", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(BackendError):
        choose_device(name)


def test_cores_and_memory_are_plausible():
    report = memory_report()
    assert 1 <= core_count() <= 4096
    assert 0 < report.free <= report.total
    check_memory("nothing", 1)
    with pytest.raises(BackendError, match="a galaxy needs about"):
        check_memory("a galaxy", 1 << 60)
