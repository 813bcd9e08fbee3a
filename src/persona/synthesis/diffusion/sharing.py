"""Share independent pieces of work among processes, and put their results together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor
from torch import distributed as dist

Piece = TypeVar("Piece")


@runtime_checkable
class Share(Protocol):
    """Who does which pieces."""

    @property
    def rank(self) -> int:
        """This process, from 0."""
        ...

    @property
    def world(self) -> int:
        """Processes."""
        ...

    def mine(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Pick what this process does."""
        ...

    def add_up(self, tensor: Tensor) -> Tensor:
        """Add the tensor of all processes in place, and give it back."""
        ...

    def agree(self, number: int) -> list[int]:
        """Tell everyone a number; give everyone's, by rank."""
        ...

    def take_from(self, tensor: Tensor, rank: int) -> Tensor:
        """Overwrite a tensor with another process's, and give it back."""
        ...


@dataclass(frozen=True)
class Alone:
    """One process does everything."""

    rank: int = 0
    world: int = 1

    def mine(self, pieces: Sequence[Piece]) -> list[Piece]:
        """All of it."""
        return list(pieces)

    def add_up(self, tensor: Tensor) -> Tensor:
        """Nothing to add."""
        return tensor

    def agree(self, number: int) -> list[int]:
        """Nobody else to ask."""
        return [number]

    def take_from(self, tensor: Tensor, rank: int) -> Tensor:
        """Nobody else to take from."""
        return tensor


@dataclass(frozen=True)
class Together:
    """Every process of a `torch.distributed` group does every ``world``-th piece."""

    rank: int
    world: int

    def mine(self, pieces: Sequence[Piece]) -> list[Piece]:
        """Every ``world``-th piece, beginning with the rank's."""
        return list(pieces[self.rank :: self.world])

    def add_up(self, tensor: Tensor) -> Tensor:
        """Add over all processes; each piece is zero everywhere but where it was done."""
        dist.all_reduce(tensor)
        return tensor

    def agree(self, number: int) -> list[int]:
        """Gather one number of each."""
        told = [torch.zeros(1, dtype=torch.int64) for _ in range(self.world)]
        device = torch.device("cuda") if dist.get_backend() == "nccl" else torch.device("cpu")
        told = [each.to(device) for each in told]
        dist.all_gather(told, torch.tensor([number], device=device))
        return [int(each) for each in told]

    def take_from(self, tensor: Tensor, rank: int) -> Tensor:
        """Broadcast."""
        dist.broadcast(tensor, rank)
        return tensor


def share_of_process(device: torch.device) -> Share:
    """Join the group that ``torchrun`` started, or work alone where it did not.

    Args:
        device: Of this process; CUDA takes NCCL, else gloo.
    """
    if not dist.is_torchelastic_launched():
        return Alone()
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Together(dist.get_rank(), dist.get_world_size())


def leave_group() -> None:
    """Wait for the others and leave the group, where there is one: who leaves early breaks it."""
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
