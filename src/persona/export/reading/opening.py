"""Open a splat file of any format: which reader, and why not where there is none."""

from pathlib import Path
from typing import Final

from persona.core.errors import FileFormatError
from persona.export.reading.cloud import FLAWS, MOST_BYTES, SplatFile, refused
from persona.export.reading.gltf import read_gltf_splats
from persona.export.reading.ply import read_ply
from persona.export.reading.rows import read_ksplat, read_splat
from persona.export.reading.spz import GZIP, MAGIC, read_spz

SUFFIXES: Final = (".ply", ".spz", ".splat", ".ksplat", ".glb", ".gltf", ".sog")
"""What names of splat files end in."""
CONVERT: Final = "convert it: npx @playcanvas/splat-transform IN OUT.ply"


def read_splats(path: Path) -> SplatFile:
    """Read splats from a PLY, SPZ, .splat, .ksplat or glTF, known by their first bytes.

    View-dependent colour is left out, and nothing is turned: formats do not say what is up.

    Raises:
        FileFormatError: It is missing, damaged, too large, or of a kind we do not read.
    """
    if not path.is_file():
        raise refused(path, "there is no such file", fix="check the path")
    size = path.stat().st_size
    if size > MOST_BYTES:
        why = f"it has {size / 2**20:.0f} MB; at most {MOST_BYTES / 2**20:.0f} are read"
        raise refused(path, why, fix="cut it into pieces")
    data = path.read_bytes()
    try:
        return _read(path, data)
    except FileFormatError:
        raise
    except FLAWS as error:
        raise refused(path, f"it is damaged: {error!r:.150}") from error


def _read(path: Path, data: bytes) -> SplatFile:
    suffix = path.suffix.lower()
    if data[:3] == b"ply":
        return read_ply(path, data)
    if data[:4] == MAGIC or data[:2] == GZIP:
        return read_spz(path, data)
    if data[:4] == b"glTF" or suffix == ".gltf":
        return read_gltf_splats(path, data)
    if suffix == ".ksplat":
        return read_ksplat(path, data)
    if suffix == ".splat":
        return read_splat(path, data)
    if suffix == ".sog" or data[:2] == b"PK":
        raise refused(path, "SOG keeps splats in pictures, which we do not undo", fix=CONVERT)
    known = ", ".join(SUFFIXES)
    raise refused(path, f"neither its first bytes nor its name are of {known}", fix=CONVERT)
