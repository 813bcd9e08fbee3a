"""Read and write images: EXIF orientation, colour profile, alpha, and files from strangers."""

import hashlib
import io
import math
import struct
import warnings
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, PngImagePlugin
from torch import Tensor

from persona.core import types
from persona.core.atomic import replacing_file
from persona.core.conventions import PROVENANCE, RIGHTS
from persona.core.errors import PhotoError

MAX_FILE_BYTES: Final = 256 << 20
"""A larger file is no photo; refused before it is read."""
MAX_PIXELS: Final = 64_000_000
"""Above every common phone; as floats it is 0.8 GB, a quarter of the memory we promise to need."""
MAX_ASPECT: Final = 8.0
"""Longer side over shorter; a tight crop of a standing person has about 3.5."""

FORMATS: Final = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "AVIF")
"""What is opened, where Pillow was built with it."""
_STILL_WITH_MORE: Final = frozenset({"MPO"})
"""JPEG with further pictures behind it, depth for example, as phones write it; no animation."""

_DECODER_ERRORS: Final = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow's decoders raise on files that are damaged or hostile."""

_FULL_FRAME_DIAGONAL_MM: Final = math.hypot(36.0, 24.0)
"""Diagonal of 35 mm film, to which equivalent focal lengths refer."""
_SANE_FOCAL: Final = (0.3, 12.0)
"""Focal length over the longer side; a fisheye and a telescope lie outside."""
_SAME_ASPECT: Final = 0.01
"""A picture whose aspect differs by more from what the camera wrote was cropped since."""
_OPAQUE: Final = 254 / 255
"""An alpha that is nowhere lower says nothing."""
_JPEG_QUALITY: Final = 92
"""No visible loss at half the size of 97."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """The upright pixels of a file, and what it told about the camera."""

    rgb: types.Image
    """sRGB in [0, 1], upright."""
    alpha: types.Mask | None
    """Coverage in [0, 1]; None where the file had none, or one that is opaque everywhere."""
    focal_px: float | None
    """Focal length from EXIF, in pixels of this picture, when known."""
    name: str
    """File name without folder and ending."""
    digest: str
    """SHA-256 of the file, hexadecimal."""
    warnings: tuple[str, ...] = ()
    """Sentences about what could not be honoured."""


def read_image(path: Path) -> Picture:
    """Read a picture as people see it.

    Orientation and colour profile are applied; grey, 16-bit, CMYK, palette and transparent
    pictures all become sRGB with an alpha apart. Sizes are checked before anything is decoded.

    Raises:
        PhotoError: The file is missing, no picture, damaged, animated, too large, or too narrow.
    """
    try:
        if not path.is_file():
            reason = "it is a folder" if path.is_dir() else "there is no such file"
            raise _refused(path.name, f"cannot be read: {reason}", fix="check the path")
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise _refused(
                path.name,
                f"has {size:,} bytes",
                why=f"a photo has at most {MAX_FILE_BYTES:,}",
                fix="save it as JPEG",
            )
        data = path.read_bytes()
    except OSError as error:
        raise _refused(
            path.name, f"cannot be read: {error.strerror}", fix="check the path and its permissions"
        ) from error
    return decode_image(data, path.name)


def decode_image(data: bytes, file_name: str) -> Picture:
    """Read a picture out of the bytes of a file.

    Args:
        data: Content of the file.
        file_name: For messages and for `Picture.name`.

    Raises:
        PhotoError: As for `read_image`.
    """
    if not data:
        raise _refused(file_name, "is empty", fix="get the original again")
    notes: list[str] = []
    try:
        with warnings.catch_warnings():
            # Pillow warns of what is refused below, and of oddities in metadata we do not use.
            warnings.simplefilter("ignore")
            Image.init()
            known = [name for name in FORMATS if name in Image.OPEN]
            image = Image.open(io.BytesIO(data), formats=known)
            _check_header(image, file_name)
            exif = _read_exif(image, notes)
            image.load()
    except PhotoError:
        raise
    except Image.UnidentifiedImageError as error:
        raise _unknown(data, file_name) from error
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(file_name, "far more") from error
    except _DECODER_ERRORS as error:
        raise _refused(
            file_name,
            f"is damaged: {error or type(error).__name__}",
            why="only a part of it can be decoded, if anything",
            fix="get the original again, or open it elsewhere and save it anew",
        ) from error
    picture = _develop(image, exif, notes)
    if picture.alpha is not None and float(picture.alpha.max()) == 0.0:
        raise _refused(
            file_name,
            "is transparent everywhere",
            why="nothing of it can be seen",
            fix="save it without transparency, or with the person opaque",
        )
    return replace(picture, name=Path(file_name).stem, digest=hashlib.sha256(data).hexdigest())


def write_png(path: Path, rgb: types.Image, *, alpha: types.Mask | None = None) -> None:
    """Write 8-bit sRGB, with transparency where ``alpha`` is given, whole or not at all.

    The only metadata is where the picture came from and whose it is.
    """
    layers = rgb if alpha is None else torch.cat([rgb, alpha[..., None]], -1)
    note = PngImagePlugin.PngInfo()
    note.add_text("Source", PROVENANCE)
    note.add_text("Copyright", RIGHTS)
    with replacing_file(path) as partial:
        # Level 6 is zlib's own compromise; 9 takes four times as long for one percent.
        Image.fromarray(_to_bytes(layers)).save(
            partial, format="PNG", pnginfo=note, compress_level=6
        )


def write_jpeg(path: Path, rgb: types.Image, *, quality: int = _JPEG_QUALITY) -> None:
    """Write 8-bit sRGB, whole or not at all; the only metadata is where it came from."""
    with replacing_file(path) as partial:
        Image.fromarray(_to_bytes(rgb)).save(
            partial, format="JPEG", quality=quality, comment=PROVENANCE
        )


def _to_bytes(layers: Tensor) -> np.ndarray:
    return (layers.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def _check_header(image: Any, file_name: str) -> None:
    """Refuse by what the header says, before a pixel is decoded."""
    width, height = image.size
    if width < 1 or height < 1:
        raise _refused(file_name, f"has {width} x {height} pixels", fix="get the original again")
    if width * height > MAX_PIXELS:
        raise _too_many_pixels(file_name, f"{width} x {height}")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise _refused(
            file_name,
            f"has {width} x {height} pixels",
            why=f"one side is more than {MAX_ASPECT:g} times the other; no whole person fits",
            fix="crop it to the person, head to feet",
        )
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format not in _STILL_WITH_MORE:
        raise _refused(
            file_name,
            f"has {frames} frames",
            why="an avatar is made from one still photo",
            fix="save the frame you want as PNG or JPEG",
        )


def _develop(image: Any, exif: dict[int, Any], notes: list[str]) -> Picture:
    """Turn a decoded image into upright sRGB and alpha."""
    # Turned while it is still bytes: a quarter of the memory of floats.
    turn = _UPRIGHT.get(exif.get(ExifTags.Base.Orientation, 1), lambda array: array)
    alpha = _read_alpha(image)
    alpha = None if alpha is None else _floats(turn(alpha))
    rgb = _floats(turn(_read_color(image, notes)))
    if alpha is not None and alpha.min() >= _OPAQUE:
        alpha = None
    return Picture(
        rgb=torch.from_numpy(rgb),
        alpha=None if alpha is None else torch.from_numpy(alpha),
        focal_px=_focal(exif, image.size),
        name="",
        digest="",
        warnings=tuple(notes),
    )


_UPRIGHT: Final = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}
"""EXIF orientation -> what makes the array (h, w, ...) upright."""


def _read_alpha(image: Any) -> np.ndarray | None:
    """Return coverage where the file has any, as bytes or as floats in [0, 1]."""
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        return np.asarray(image.getchannel("A" if "A" in image.mode else "a"))
    transparent = image.info.get("transparency")
    if transparent is None:
        return None
    if image.mode.startswith("I"):  # one grey value of 16 bits means "nothing here"
        return (np.asarray(image) != int(transparent)).astype(np.float32)
    return np.asarray(image.convert("RGBA").getchannel("A"))


def _read_color(image: Any, notes: list[str]) -> np.ndarray:
    """Return sRGB, h x w x 3, as bytes or as floats in [0, 1]."""
    if image.mode.startswith("I") or image.mode == "F":
        gray = _read_wide_gray(image)
        if _foreign_profile(image) is None:
            return np.repeat(gray[..., None], 3, -1)
        flat = Image.fromarray((gray * 255).round().astype(np.uint8))
        flat.info["icc_profile"] = image.info["icc_profile"]
        image = flat
    if image.mode in ("P", "PA", "1", "RGBA", "RGBa", "LA", "La", "RGBX"):
        profile = image.info.get("icc_profile")
        gray = image.mode in ("1", "LA", "La")
        image = image.convert("RGBA").convert("L" if gray else "RGB")
        image.info["icc_profile"] = profile
    return np.asarray(_to_srgb(image, notes))


def _read_wide_gray(image: Any) -> np.ndarray:
    """Scale grey of more than 8 bits to [0, 1]; Pillow's own conversion would clip it."""
    gray = np.asarray(image).astype(np.float32)
    top = 1.0 if image.mode == "F" else 65535.0
    low, high = float(gray.min()), float(gray.max())
    if not (low >= 0.0 and high <= top):
        raise PhotoError(
            f"the picture holds numbers from {low:g} to {high:g}",
            why=f"grey pictures of this kind are read as 0 to {top:g}",
            fix="save it as an ordinary 8-bit or 16-bit picture",
        )
    return gray / top


def _to_srgb(image: Any, notes: list[str]) -> Any:
    """Convert by the file's profile where it has a foreign one."""
    profile = _foreign_profile(image)
    if profile is not None:
        try:
            return ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                outputMode="RGB",
            )
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
            notes.append(f"The colour profile could not be used ({error}); colours may be off.")
    if image.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(
            image, lab, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    return image if image.mode == "RGB" else image.convert("RGB")


def _foreign_profile(image: Any) -> bytes | None:
    """Return the embedded profile unless it is sRGB itself."""
    profile = image.info.get("icc_profile")
    # The description stands in clear text, in one or two bytes a letter.
    if not profile or b"sRGB" in profile or "sRGB".encode("utf-16-be") in profile:
        return None
    return profile


def _floats(array: np.ndarray) -> np.ndarray:
    """Bring bytes to [0, 1] without a second array of floats; floats are there already."""
    scale = 255 if array.dtype == np.uint8 else 1
    floats = np.array(array, np.float32, order="C")
    floats /= np.float32(scale)
    return floats


def _read_exif(image: Any, notes: list[str]) -> dict[int, Any]:
    """Return the tags of the picture and of its camera in one table."""
    try:
        exif = image.getexif()
        return {**exif, **exif.get_ifd(ExifTags.IFD.Exif)}
    except _DECODER_ERRORS:
        notes.append("The EXIF data is damaged; the picture may lie on its side.")
        return {}


def _focal(exif: dict[int, Any], size: tuple[int, int]) -> float | None:
    """Work out the focal length in pixels; None when the file does not say or was cropped."""
    width, height = size
    shot = (_number(exif, 0xA002) or width, _number(exif, 0xA003) or height)
    upright_aspect, shot_aspect = max(size) / min(size), max(shot) / min(shot)
    if abs(upright_aspect / shot_aspect - 1) > _SAME_ASPECT:
        return None
    equivalent = _number(exif, 0xA405)
    millimetres, density = _number(exif, 0x920A), _number(exif, 0xA20E)
    unit_mm = {2: 25.4, 3: 10.0}.get(exif.get(0xA210, 2), 0.0)
    if equivalent:
        focal = equivalent / _FULL_FRAME_DIAGONAL_MM * math.hypot(width, height)
    elif millimetres and density and unit_mm:
        focal = millimetres * density / unit_mm * (max(size) / max(shot))
    else:
        return None
    low, high = _SANE_FOCAL
    return focal if low <= focal / max(size) <= high else None


def _number(exif: dict[int, Any], tag: int) -> float | None:
    """Return a positive finite number, or None."""
    try:
        value = float(exif[tag])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return value if math.isfinite(value) and value > 0 else None


def _unknown(data: bytes, file_name: str) -> PhotoError:
    heic = data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"hevc", b"msf1")
    return _refused(
        file_name,
        "is a HEIC photo" if heic else "is no picture that can be read",
        why=f"these are: {', '.join(FORMATS)}",
        fix="save it as JPEG or PNG",
    )


def _too_many_pixels(file_name: str, size: str) -> PhotoError:
    return _refused(
        file_name,
        f"has {size} pixels",
        why=f"at most {MAX_PIXELS / 1e6:.0f} million are decoded, from whatever file",
        fix="make it smaller: a person 2000 pixels tall is plenty",
    )


def _refused(
    file_name: str, what: str, *, why: str = "a photo is needed to begin with", fix: str
) -> PhotoError:
    return PhotoError(f"{file_name} {what}", why=why, fix=fix)
