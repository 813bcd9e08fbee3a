"""The only place that knows the order of the stages."""

from persona.pipeline.create import create, read_photo

__all__ = ["create", "read_photo"]
