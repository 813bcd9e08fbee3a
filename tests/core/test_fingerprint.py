from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from persona.core.fingerprint import code_version, fingerprint


@dataclass(frozen=True)
class Thing:
    a: object
    b: object


DIFFERENT = [
    None,
    True,
    1,
    1.0,
    "1",
    b"1",
    Path("1"),
    (),
    ((),),
    (1,),
    ("ab", "c"),
    ("a", "bc"),
    {},
    {"a": 1},
    {"a": 2},
    torch.zeros(2),
    torch.zeros(2, dtype=torch.bfloat16),
    torch.zeros(1, 2),
    torch.zeros(0),
    torch.tensor(0.0),
    torch.tensor(-0.0),
    torch.tensor(False),
    np.zeros(2),
    np.zeros(2, np.float32),
    Thing(1, 2),
    Thing(2, 1),
    Thing(Thing(1, 2), torch.ones(3)),
    Thing(Thing(1, 2), torch.zeros(3)),
]


def test_different_values_have_different_names():
    assert len({fingerprint(value) for value in DIFFERENT}) == len(DIFFERENT)


def test_layout_in_memory_does_not_count():
    square = torch.arange(6.0).reshape(2, 3)
    assert fingerprint(square.T.contiguous().T) == fingerprint(square)
    assert fingerprint(np.asfortranarray(square.numpy())) == fingerprint(square.numpy())
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


def test_a_function_has_no_content():
    with pytest.raises(TypeError, match="no fingerprint"):
        fingerprint(print)


def test_the_code_has_a_version():
    assert len(code_version()) == 64
