import io
import random
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, PngImagePlugin

from persona.core.conventions import PROVENANCE, RIGHTS
from persona.core.errors import PhotoError
from persona.images.files import MAX_PIXELS, decode_image, read_image, write_jpeg, write_png

STEPS = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
"""A grey ramp, 48 rows by 64 columns."""
COLORS = np.stack([STEPS, STEPS[:, ::-1], np.full_like(STEPS, 77)], -1)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def expected(array):
    return torch.from_numpy(array.astype(np.float32) / 255)


def assert_same(got, want, tolerance=0.0):
    torch.testing.assert_close(got, want, rtol=0, atol=tolerance + 1e-6)


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png16(array, color_type):
    """Write a 16-bit PNG by hand; Pillow cannot for colour."""
    height, width = array.shape[:2]
    rows = array.astype(">u2").reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def png_of_size(width, height):
    """A PNG whose header promises a size and whose data is almost nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_plain_colour_is_read_exactly(kind):
    picture = decode_image(encoded(Image.fromarray(COLORS), kind), f"steps.{kind.lower()}")
    assert_same(picture.rgb, expected(COLORS))
    assert picture.alpha is None
    assert picture.name == "steps"
    assert len(picture.digest) == 64
    assert picture.warnings == ()


@pytest.mark.parametrize(("kind", "tolerance"), [("JPEG", 0.03), ("WEBP", 0.06), ("AVIF", 0.08)])
def test_lossy_colour_is_read_closely(kind, tolerance):
    data = encoded(Image.fromarray(COLORS), kind, quality=95)
    got = decode_image(data, "a").rgb
    assert float((got - expected(COLORS)).abs().mean()) < tolerance / 3
    assert_same(got, expected(COLORS), tolerance)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF"])
def test_grey_becomes_three_equal_channels(kind):
    picture = decode_image(encoded(Image.fromarray(STEPS), kind), "grey")
    assert_same(picture.rgb, expected(np.repeat(STEPS[..., None], 3, -1)), 0.02)


def test_sixteen_bit_grey_is_scaled_not_clipped():
    gray = STEPS.astype(np.uint16) * 257
    for data in (encoded(Image.fromarray(gray), "PNG"), encoded(Image.fromarray(gray), "TIFF")):
        assert_same(decode_image(data, "a").rgb, expected(np.repeat(STEPS[..., None], 3, -1)))


@pytest.mark.parametrize(("color_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_sixteen_bit_colour_and_alpha(color_type, channels):
    layers = {2: [STEPS], 3: [*np.moveaxis(COLORS, -1, 0)]}
    color = layers[3] if channels > 2 else layers[2]
    alpha = np.full_like(STEPS, 100)
    stack = np.stack([*color, *([alpha] if channels in (2, 4) else [])], -1)
    picture = decode_image(png16(stack.astype(np.uint16) * 257, color_type), "a")
    want = COLORS if channels > 2 else np.repeat(STEPS[..., None], 3, -1)
    assert_same(picture.rgb, expected(want), 1 / 255)
    if channels in (2, 4):
        assert_same(picture.alpha, expected(alpha))


def test_float_grey_is_read_when_its_range_is_known():
    inside = Image.fromarray(STEPS.astype(np.float32) / 255)
    want = np.repeat(STEPS[..., None], 3, -1)
    assert_same(decode_image(encoded(inside, "TIFF"), "a").rgb, expected(want))
    outside = Image.fromarray(STEPS.astype(np.float32))
    with pytest.raises(PhotoError, match="numbers from 0 to 252"):
        decode_image(encoded(outside, "TIFF"), "a")


def test_alpha_is_kept_apart():
    layers = Image.fromarray(np.concatenate([COLORS, STEPS[..., None]], -1))
    picture = decode_image(encoded(layers), "a")
    assert_same(picture.alpha, expected(STEPS))
    assert_same(picture.rgb, expected(COLORS))


def test_an_opaque_alpha_says_nothing_and_an_empty_one_is_refused():
    image = Image.fromarray(COLORS)
    image.putalpha(255)
    assert decode_image(encoded(image), "a").alpha is None
    image.putalpha(0)
    with pytest.raises(PhotoError, match="transparent everywhere"):
        decode_image(encoded(image), "a")


def test_palette_with_a_transparent_colour():
    image = Image.fromarray(COLORS).quantize(16)
    picture = decode_image(encoded(image, transparency=3), "a")
    index = np.asarray(image)
    assert_same(picture.alpha, torch.from_numpy((index != 3).astype(np.float32)))
    solid = np.asarray(image.convert("RGB"))
    assert_same(picture.rgb, expected(solid))


def test_one_grey_value_may_be_transparent_in_sixteen_bits():
    gray = STEPS.astype(np.uint16) * 257
    header = struct.pack(">IIBBBBB", 64, 48, 16, 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in gray.astype(">u2"))
    chunks = [
        (b"IHDR", header),
        (b"tRNS", struct.pack(">H", 4 * 257)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)
    picture = decode_image(data, "a")
    assert_same(picture.alpha, torch.from_numpy((STEPS != 4).astype(np.float32)))


def test_two_tones():
    image = Image.fromarray(STEPS).convert("1", dither=Image.Dither.NONE)
    got = decode_image(encoded(image), "a").rgb
    assert_same(got, expected(np.repeat((STEPS > 127)[..., None] * np.uint8(255), 3, -1)))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_without_a_profile(kind):
    image = Image.fromarray(COLORS).convert("CMYK")
    options = {"quality": 98} if kind == "JPEG" else {}
    assert_same(decode_image(encoded(image, kind, **options), "a").rgb, expected(COLORS), 0.05)


def plain_gamma_profile(gamma):
    """A matrix profile with sRGB's primaries and a plain gamma, written by hand."""

    def fixed(value):
        return struct.pack(">i", round(value * 65536))

    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 6) + b"plain\0" + bytes(78),
        b"wtpt": b"XYZ \0\0\0\0" + fixed(0.9642) + fixed(1.0) + fixed(0.8249),
        b"rXYZ": b"XYZ \0\0\0\0" + fixed(0.4361) + fixed(0.2225) + fixed(0.0139),
        b"gXYZ": b"XYZ \0\0\0\0" + fixed(0.3851) + fixed(0.7169) + fixed(0.0971),
        b"bXYZ": b"XYZ \0\0\0\0" + fixed(0.1431) + fixed(0.0606) + fixed(0.7141),
    }
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    rest = struct.pack(">I", len(tags)) + table + body
    head = struct.pack(
        ">I4sI4s4s4s", 128 + len(rest), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ "
    )
    head += bytes(12) + b"acsp" + bytes(128 - len(head) - 16)
    illuminant = fixed(0.9642) + fixed(1.0) + fixed(0.8249)
    return head[:68] + illuminant + head[80:] + rest


def test_a_colour_profile_is_applied():
    image = Image.fromarray(np.full((8, 8, 3), 128, np.uint8))
    picture = decode_image(encoded(image, icc_profile=plain_gamma_profile(1.0)), "a")
    assert picture.warnings == ()
    # Linear 0.502 is 0.736 in sRGB.
    assert_same(picture.rgb, torch.full((8, 8, 3), 0.7357), 0.01)


def test_srgb_s_own_profile_changes_nothing():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = decode_image(encoded(Image.fromarray(COLORS), icc_profile=profile), "a")
    assert_same(picture.rgb, expected(COLORS))


def test_a_damaged_profile_is_said_aloud():
    data = encoded(Image.fromarray(COLORS), icc_profile=b"nonsense" * 40)
    picture = decode_image(data, "a")
    assert "colour profile" in picture.warnings[0]
    assert_same(picture.rgb, expected(COLORS))


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation_is_applied(turn):
    upright = Image.fromarray(COLORS)
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[turn]
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = turn
    picture = decode_image(encoded(stored, "PNG", exif=exif), "a")
    assert_same(picture.rgb, expected(COLORS))


def camera_tags(**tags):
    exif = Image.Exif()
    exif[0x0112] = 1  # Pillow writes no EXIF that has nothing on its first level
    ids = {"f35": 0xA405, "f": 0x920A, "density": 0xA20E, "unit": 0xA210, "w": 0xA002, "h": 0xA003}
    exif.get_ifd(0x8769).update({ids[name]: value for name, value in tags.items()})
    return exif


@pytest.mark.parametrize(
    ("tags", "focal"),
    [
        ({}, None),
        ({"f35": 26}, 26 / 43.2666 * 80),
        ({"f35": 26, "w": 6400, "h": 4800}, 26 / 43.2666 * 80),
        ({"f35": 26, "w": 6400, "h": 6400}, None),
        ({"f35": 0}, None),
        ({"f35": 60000}, None),
        ({"f": 5.0, "density": 50.0, "unit": 2}, None),
        ({"f": 5.0, "density": 500.0, "unit": 2}, 5 * 500 / 25.4),
        ({"f": 5.0, "density": 5000.0, "unit": 2, "w": 640, "h": 480}, 5 * 5000 / 25.4 / 10),
        ({"f": 5.0, "density": 200.0, "unit": 3}, 5 * 200 / 10),
        ({"f": 5.0}, None),
    ],
)
def test_focal_length_from_exif(tags, focal):
    data = encoded(Image.fromarray(COLORS), "PNG", exif=camera_tags(**tags))
    got = decode_image(data, "a").focal_px
    assert got == (None if focal is None else pytest.approx(focal, rel=1e-3))


def test_a_portrait_keeps_its_focal_length():
    exif = camera_tags(f35=26, w=6400, h=4800)
    exif[0x0112] = 6
    data = encoded(Image.fromarray(COLORS), "JPEG", exif=exif)
    picture = decode_image(data, "a")
    assert picture.rgb.shape == (64, 48, 3)
    assert picture.focal_px == pytest.approx(26 / 43.2666 * 80, rel=1e-3)


def animation(kind):
    frames = [Image.fromarray(np.full((20, 20, 3), v, np.uint8)) for v in (0, 100, 200)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_are_refused(kind):
    with pytest.raises(PhotoError, match="has 3 frames"):
        decode_image(animation(kind), "a")


def test_the_second_picture_of_a_phone_is_no_animation():
    picture = decode_image(animation("MPO"), "a")
    assert picture.rgb.shape == (20, 20, 3)


def test_a_still_gif_is_a_picture():
    assert decode_image(encoded(Image.fromarray(COLORS), "GIF"), "a").rgb.shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"hello", "is no picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "is no picture"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "is a HEIC photo"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is no picture"),
        (png_of_size(40_000, 40_000), "pixels"),
        (png_of_size(9_000, 9_000), "9000 x 9000 pixels"),
        (png_of_size(2_000_000_000, 2), "pixels"),
        (png_of_size(0, 10), "a"),
        (png_of_size(4000, 100), "4000 x 100 pixels"),
        (png_of_size(100, 100), "is damaged"),
    ],
)
def test_what_is_no_safe_picture_is_refused(data, message):
    with pytest.raises(PhotoError, match=message) as caught:
        decode_image(data, "a.png")
    assert caught.value.fix
    assert caught.value.exit_code == 2


def test_a_bomb_is_refused_before_it_is_decoded():
    """The peak of this process may not grow by what the bomb would need."""
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(PhotoError):
        decode_image(png_of_size(8_001, 8_000), "bomb.png")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert MAX_PIXELS < 8_001 * 8_000
    assert peak < 4 << 20


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "GIF", "WEBP", "AVIF"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_truncated_files_are_refused(kind, share):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with pytest.raises(PhotoError):
        decode_image(data[: int(len(data) * share)], "a")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "GIF", "WEBP", "AVIF"])
def test_damaged_files_raise_one_kind_of_error(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"exif": exif} if kind not in ("GIF", "BMP") else {}
    whole = encoded(Image.fromarray(COLORS), kind, **options)
    dice = random.Random(kind)
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(dice.randint(1, 8)):
            # Most damage goes where the sizes and tables are.
            limit = len(data) if dice.random() < 0.4 else min(len(data), 200)
            data[dice.randrange(limit)] = dice.randrange(256)
        try:
            picture = decode_image(bytes(data), "a")
            assert bool(torch.isfinite(picture.rgb).all())
        except PhotoError:
            refused += 1
    assert refused > 0


@pytest.mark.parametrize("name", ["none.png", "."])
def test_paths_that_are_no_files_are_refused(name, tmp_path):
    with pytest.raises(PhotoError, match="cannot be read"):
        read_image(tmp_path / name)


def test_png_comes_back_and_says_where_it_is_from(tmp_path):
    rgb, alpha = expected(COLORS), expected(STEPS)
    write_png(tmp_path / "a.png", rgb, alpha=alpha)
    picture = read_image(tmp_path / "a.png")
    assert_same(picture.rgb, rgb)
    assert_same(picture.alpha, alpha)
    with Image.open(tmp_path / "a.png") as image:
        assert isinstance(image, PngImagePlugin.PngImageFile)
        assert image.text == {"Source": PROVENANCE, "Copyright": RIGHTS}


def test_jpeg_comes_back_and_says_where_it_is_from(tmp_path):
    write_jpeg(tmp_path / "a.jpg", expected(COLORS))
    assert_same(read_image(tmp_path / "a.jpg").rgb, expected(COLORS), 0.06)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.info["comment"] == PROVENANCE.encode()
        assert not image.getexif()


def test_colours_beyond_the_range_are_clipped_when_written(tmp_path):
    write_png(tmp_path / "a.png", torch.tensor([-1.0, 0.5, 2.0]).expand(9, 9, 3))
    assert_same(read_image(tmp_path / "a.png").rgb[0, 0], torch.tensor([0.0, 128 / 255, 1.0]))


def test_real_pictures(real_data):
    """Every real picture is read, save the one that was cut short."""
    refused = []
    with_alpha = 0
    for path in sorted((real_data / "images").iterdir()):
        try:
            picture = read_image(path)
            assert min(picture.rgb.shape[:2]) >= 200
            with_alpha += picture.alpha is not None
        except PhotoError:
            refused.append(path.name)
    assert refused == ["n03_truncated_file.jpg"]
    assert with_alpha == 10
