"""Write files and folders so that a reader sees the old one or the new one, never half of one."""

import ctypes
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PARTIAL_PREFIX: Final = ".partial-"
"""Begins the name of everything still being written; the suffix stays that of the target."""

_AT_FDCWD: Final = -100
"""Linux: paths are relative to the working directory."""
_RENAME_EXCHANGE: Final = 2
"""Linux renameat2: swap two paths in one step."""
_NO_EXCHANGE: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})
"""Answers of systems and file systems that cannot swap."""


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; move it there when the block ends well.

    When the block raises, the temporary file is removed and ``path`` is as it was. When the
    process is killed, a file that begins with `PARTIAL_PREFIX` stays and ``path`` is as it was.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with replacing_file(target) as partial:
        ...     _ = partial.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial_name(path)
    try:
        yield partial
        _sync(partial)
        os.replace(partial, path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside ``path``; move it there when the block ends well.

    An existing folder is swapped out in one step where the file system can (Linux), and by two
    renames elsewhere; in that gap a kill leaves the old folder under a partial name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial_name(path)
    partial.mkdir()
    try:
        yield partial
        for file in sorted(partial.rglob("*")):
            _sync(file)
        _sync(partial)
        _put_in_place(partial, path)
        _sync(path.parent)
    finally:
        _remove(partial)


def write_bytes(path: Path, data: bytes) -> None:
    """Replace the content of ``path`` by ``data``."""
    with replacing_file(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Replace the content of ``path`` by ``text`` in UTF-8."""
    write_bytes(path, text.encode())


def remove_leftovers(folder: Path, *, of: str | None = None) -> int:
    """Delete what killed writers left in ``folder``; return how many there were.

    Call it only where no other process writes, or writes the file or folder called ``of``.
    """
    leftovers = [path for path in folder.glob(f"{PARTIAL_PREFIX}*") if of in (None, _whole(path))]
    for leftover in leftovers:
        _remove(leftover)
    return len(leftovers)


def _partial_name(path: Path) -> Path:
    return path.with_name(f"{PARTIAL_PREFIX}{secrets.token_hex(4)}-{path.name}")


def _whole(partial: Path) -> str:
    """Say what a partial name was to become."""
    return partial.name.removeprefix(PARTIAL_PREFIX).partition("-")[2]


def _put_in_place(partial: Path, path: Path) -> None:
    if not path.exists():
        os.rename(partial, path)
        return
    if _exchange(partial, path):
        return  # the old content now has the partial name, and the caller removes that
    old = _partial_name(path)
    os.rename(path, old)
    os.rename(partial, path)
    _remove(old)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two paths atomically; False where that is not possible."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    failed = libc.renameat2(
        _AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE
    )
    if failed:
        code = ctypes.get_errno()
        if code in _NO_EXCHANGE:
            return False
        raise OSError(code, os.strerror(code), str(second))
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Ask the system to put a file or folder on the disk before the rename does."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
