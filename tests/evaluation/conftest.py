"""A dressed person of twelve thousand Gaussians whose colours the tests choose."""

from dataclasses import replace

import pytest
import torch

from persona.avatar import Avatar
from tests.plain_avatar import make_plain_avatar

COUNT = 12_000


@pytest.fixture(scope="session")
def plain_avatar() -> Avatar:
    return make_plain_avatar(COUNT)


def repainted(avatar: Avatar, colors: torch.Tensor) -> Avatar:
    """The same person in other colours."""
    return replace(avatar, canonical=replace(avatar.canonical, colors=colors))


@pytest.fixture(scope="session")
def repaint():
    return repainted
