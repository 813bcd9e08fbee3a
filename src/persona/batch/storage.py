"""Where inputs come from and results go: folders of this machine, or whatever fsspec reaches."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import fsspec
from fsspec.core import url_to_fs

from persona.core.atomic import replacing_file, write_text
from persona.core.errors import BackendError, InputError
from persona.core.fingerprint import fingerprint

PHOTOS: Final = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
"""Endings of photos that are looked for in a folder."""


def is_local(url: str) -> bool:
    """Tell whether a name means this machine's own disk."""
    return "://" not in url or url.startswith("file://")


def expand(sources: tuple[str, ...], endings: tuple[str, ...]) -> list[str]:
    """Put what lies in folders in their place, sorted by name; all else stays.

    Args:
        sources: Files, folders, or URLs of either.
        endings: Which entries of a folder are meant. A folder that itself ends so is an input.

    Raises:
        InputError: One is not there, or nothing is in any.
    """
    found: list[str] = []
    for source in sources:
        if source.lower().rstrip("/").endswith(endings):
            found.append(source)
            continue
        system, root = _reach(source)
        if not system.isdir(root):
            raise InputError(
                f"{source} is no folder and has none of the endings {', '.join(endings)}",
                why="inputs are files, or folders of them",
                fix="name the files, or the folder they lie in",
            )
        names = sorted(system.ls(root, detail=False))
        protocol = source.split("://", 1)[0] + "://" if "://" in source else ""
        found += [protocol + name for name in names if name.lower().endswith(endings)]
    if not found:
        raise InputError(
            f"nothing to do in {', '.join(sources)}",
            why=f"no entry ends in {', '.join(endings)}",
            fix="name a folder that holds some",
        )
    return found


def open_url(url: str) -> Iterator[tuple[str, Any]]:
    """Open a file, or every file of a folder in the order of their names.

    Yields:
        Name inside the input and an opened binary file, to be closed by whoever takes it.

    Raises:
        InputError: Nothing is there, or it cannot be read.
    """
    system, root = _reach(url)
    try:
        names = sorted(system.find(root)) if system.isdir(root) else [root]
        for name in names:
            yield os.path.relpath(name, root) if name != root else "", system.open(name, "rb")
    except OSError as error:
        raise InputError(
            f"{url} cannot be read: {error.strerror or error}",
            why="a job is known by the content of its input",
            fix="check the name and who may read it",
        ) from error


@dataclass(frozen=True)
class Shelf:
    """A folder for results, here or elsewhere."""

    url: str
    """Path or URL."""

    @property
    def local(self) -> bool:
        """Whether it is on this machine's disk."""
        return is_local(self.url)

    @property
    def root(self) -> Path:
        """The folder itself, or this machine's copy of what is being made for elsewhere."""
        if self.local:
            return Path(self.url.removeprefix("file://"))
        return Path(tempfile.gettempdir()) / f"persona-batch-{fingerprint(self.url)[:16]}"

    def check(self) -> None:
        """Write and remove a file, so that an unwritable place is known before the work.

        Raises:
            BackendError: It cannot be written.
        """
        try:
            self.write("writable", "yes\n")
            self.remove("writable")
        except _FAULTS as error:
            raise unwritable(self.url, error) from error

    def exists(self, name: str) -> bool:
        """Tell whether a file or folder is there."""
        system, root = _reach(self.url)
        return bool(system.exists(f"{root}/{name}"))

    def sizes(self, name: str) -> dict[str, int]:
        """Give the size of a file, or of every file in a folder, by name inside it [bytes]."""
        system, root = _reach(f"{self.url}/{name}")
        if not system.exists(root):
            return {}
        found = system.find(root, detail=True) if system.isdir(root) else {root: system.info(root)}
        return {
            os.path.relpath(path, root) if path != root else "": int(facts["size"])
            for path, facts in found.items()
        }

    def read(self, name: str) -> bytes | None:
        """Read a small file; None where there is none."""
        system, root = _reach(self.url)
        try:
            return bytes(system.cat_file(f"{root}/{name}"))
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        """List a folder of this shelf by bare names, sorted."""
        system, root = _reach(f"{self.url}/{folder}")
        if not system.isdir(root):
            return []
        return sorted(str(name).rsplit("/", 1)[-1] for name in system.ls(root, detail=False))

    def write(self, name: str, text: str) -> None:
        """Write a small file in one step: by rename here, by one upload elsewhere."""
        if self.local:
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)
            return
        system, root = _reach(self.url)
        system.pipe_file(f"{root}/{name}", text.encode())

    def remove(self, name: str) -> None:
        """Remove a file or folder that is there."""
        system, root = _reach(self.url)
        system.rm(f"{root}/{name}", recursive=True)

    def publish(self, name: str) -> None:
        """Send what was made in `root` to where it belongs; nothing to do on this machine."""
        if self.local:
            return
        system, root = _reach(self.url)
        made = self.root / name
        for path in sorted(made.rglob("*")) if made.is_dir() else [made]:
            if path.is_file():
                system.put_file(str(path), f"{root}/{path.relative_to(self.root)}")
        shutil.rmtree(made) if made.is_dir() else made.unlink()


@contextmanager
def fetched(url: str, scratch: Path) -> Iterator[Path]:
    """Give an input as a path of this machine, for as long as the block runs."""
    if is_local(url):
        yield Path(url.removeprefix("file://"))
        return
    name = url.rstrip("/").rsplit("/", 1)[-1]
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        target = Path(folder) / name
        for inside, file in open_url(url):
            path = target / inside if inside else target
            path.parent.mkdir(parents=True, exist_ok=True)
            with file as stream, replacing_file(path) as partial, partial.open("wb") as copy:
                shutil.copyfileobj(stream, copy)
        yield target


def unwritable(url: str, error: Exception) -> BackendError:
    """Say that results cannot be written: nothing about a job, and the batch must stop."""
    return BackendError(
        f"{url} cannot be written: {getattr(error, 'strerror', None) or error}",
        why="the disk is full, or this user may not write there; what was finished is kept",
        fix="make room or mend the permissions, then give the same command again",
    )


_FAULTS: Final = (OSError, ImportError, ValueError)
"""What reaching a place raises when it cannot be reached or written."""


def _reach(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    try:
        system, root = url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise BackendError(
            f"{url} cannot be reached: {error}",
            why="each kind of storage needs its own package beside fsspec",
            fix="pip install s3fs for s3://, gcsfs for gcs://",
        ) from error
    return system, str(root).rstrip("/")
