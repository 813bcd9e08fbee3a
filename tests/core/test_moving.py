"""Moving records: every tensor arrives, everything else stays."""

from dataclasses import dataclass

import torch

from persona.core.moving import moved


@dataclass(frozen=True)
class Inner:
    values: torch.Tensor
    name: str


@dataclass(frozen=True)
class Outer:
    inner: Inner
    several: tuple[torch.Tensor, ...]
    named: dict[str, torch.Tensor]
    ids: torch.Tensor
    count: int


def outer():
    ones = torch.ones(2)
    return Outer(Inner(ones, "a"), (ones, ones), {"b": ones}, torch.arange(3), 7)


def test_every_tensor_of_a_nest_of_records_moves():
    there = moved(outer(), "meta")
    tensors = (there.inner.values, *there.several, there.named["b"], there.ids)
    assert {value.device.type for value in tensors} == {"meta"}
    assert (there.inner.name, there.count) == ("a", 7)


def test_another_precision_leaves_ids_alone():
    exact = moved(outer(), torch.float64)
    assert exact.inner.values.dtype == torch.float64
    assert exact.ids.dtype == torch.int64


def test_what_holds_no_tensor_is_handed_back():
    assert moved("text", "meta") == "text"
    assert moved(Inner, "meta") is Inner
