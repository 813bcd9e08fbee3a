"""Everything persona refuses to do: what happened, why it is refused, what to do now."""

from functools import partial


class PersonaError(Exception):
    """Anything persona refuses to do.

    Args:
        what: One sentence, past tense, with the offending value.
        why: The rule that was broken.
        fix: An instruction the reader can follow now.
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str, fix: str) -> None:
        self.what, self.why, self.fix = what, why, fix
        super().__init__(f"{what}\n  why: {why}\n  fix: {fix}")

    def __reduce__(self) -> tuple[object, ...]:
        # Workers send errors home by pickle, which would otherwise lose the keywords and fail.
        return partial(type(self), why=self.why, fix=self.fix), (self.what,)


class InputError(PersonaError, ValueError):
    """The caller handed over something unusable."""

    exit_code = 2


class PhotoError(InputError):
    """A photo from which no avatar can be made as asked."""


class FileFormatError(InputError):
    """A file that is not what its name promises, or not safe to open."""


class FitError(InputError):
    """No body explains what was seen well enough."""


class BackendError(PersonaError, RuntimeError):
    """No implementation of an operation can run here."""

    exit_code = 3


class MissingPartError(PersonaError, RuntimeError):
    """An optional package, weight file or system library is not installed."""

    exit_code = 3


class OptimizationError(PersonaError, RuntimeError):
    """The optimisation left the space of sane avatars."""

    exit_code = 4
