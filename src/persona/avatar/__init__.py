"""The thing we make: Gaussians that live on a body."""

from persona.avatar.avatar import Avatar

__all__ = ["Avatar"]
