"""Gaussians and meshes to images."""

from persona.rendering.renderer import Rendered, render

__all__ = ["Rendered", "render"]
