"""Drawn frames to video files: H.264, and with transparency VP9 or ProRes 4444."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from persona.core.atomic import replacing_file
from persona.core.conventions import PROVENANCE, RIGHTS
from persona.core.errors import InputError, MissingPartError
from persona.core.progress import current

Frame = Float[Tensor, "h w c"]
"""sRGB in [0, 1], then straight (not premultiplied) alpha where there are four channels."""

BT709: Final = 1
"""Number of the colour primaries, transfer curve and matrix of HD video in H.273."""
LIMITED_RANGE: Final = 1
"""Video levels, 16 to 235: what every player expects of yuv420p."""
ENCODER_SETTINGS_NOTE: Final = 6
"""H.264 unit type in which x264 writes its version and options."""
PRORES: Final = "prores_ks"
"""FFmpeg's ProRes encoder that keeps transparency."""
MAX_FPS: Final = 240.0
"""Beyond this players and we ourselves would only pretend."""


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """How a video is encoded."""

    fps: float = 30.0
    """Frames a second."""
    crf: int = 17
    """Constant quality, lower is better and larger; 17 is visually lossless for H.264."""
    preset: str = "medium"
    """x264's trade of time for size; see its manual."""

    def __post_init__(self) -> None:
        if not 0 < self.fps <= MAX_FPS:
            raise InputError(
                f"a video was asked for at {self.fps:g} frames a second",
                why=f"the rate must be above 0 and at most {MAX_FPS:g}",
                fix="choose 24, 25, 30, 50 or 60",
            )
        if not 0 <= self.crf <= 51:  # the scale of x264
            raise InputError(
                f"crf is {self.crf}",
                why="the quality scale goes from 0 (lossless) to 51",
                fix="choose about 17; 23 for small files",
            )


def write_mp4(
    frames: Iterable[Frame],
    path: Path,
    *,
    config: VideoConfig | None = None,
    frame_count: int | None = None,
) -> int:
    """Write an H.264 video that plays everywhere (yuv420p, BT.709).

    Odd sizes are made even by repeating the last row or column. The file appears under its name
    only when it is whole. It says where it comes from and whose it is, and nothing else.

    Args:
        frames: Pictures of one size, sRGB in [0, 1], three channels.
        path: Where to; usually ends in ``.mp4``.
        config: Rate and quality.
        frame_count: How many will come, for the time left.

    Returns:
        Frames written.

    Raises:
        InputError: There are no frames, or their size or channels change.
    """
    config = config or VideoConfig()
    options = {"crf": str(config.crf), "preset": config.preset}
    return _write(frames, path, config, "libx264", "yuv420p", options, frame_count)


def write_webm(
    frames: Iterable[Frame],
    path: Path,
    *,
    config: VideoConfig | None = None,
    frame_count: int | None = None,
) -> int:
    """Write a VP9 video; with transparency when the frames have four channels.

    Browsers and editors show the transparency; libvpx decodes it, ffmpeg's own VP9 decoder
    ignores it. Otherwise as `write_mp4`.
    """
    config = config or VideoConfig()
    first, frames = _peek(frames, path)
    pixels = "yuva420p" if first.shape[-1] == 4 else "yuv420p"
    options = {
        "crf": str(round(config.crf * 63 / 51)),  # VP9's scale ends at 63
        "b": "0",
        "deadline": "good",
        "cpu-used": "4",  # 5x faster than 1 at the same look for these sizes
        "row-mt": "1",
        "auto-alt-ref": "0",  # libvpx refuses hidden frames together with alpha
    }
    return _write(frames, path, config, "libvpx-vp9", pixels, options, frame_count)


def write_mov(
    frames: Iterable[Frame],
    path: Path,
    *,
    config: VideoConfig | None = None,
    frame_count: int | None = None,
) -> int:
    """Write a ProRes 4444 video for editing programs: ten bits, transparent where the frames are.

    Large, about a hundred times an mp4; ``crf`` and ``preset`` mean nothing here. Otherwise as
    `write_mp4`.

    Raises:
        MissingPartError: This build of PyAV has no ProRes encoder.
        InputError: As for `write_mp4`.
    """
    import av

    if PRORES not in av.codecs_available:
        raise MissingPartError(
            f"{path.name} cannot be written",
            why="the FFmpeg inside this build of PyAV has no ProRes encoder",
            fix="install PyAV from its wheels, or write .webm or a folder of PNG",
        )
    config = config or VideoConfig()
    first, frames = _peek(frames, path)
    pixels = "yuva444p10le" if first.shape[-1] == 4 else "yuv444p10le"
    # "apl0" is how FFmpeg would sign; Apple's own mark is what editors look for.
    options = {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"}
    return _write(frames, path, config, PRORES, pixels, options, frame_count)


def _write(
    frames: Iterable[Frame],
    path: Path,
    config: VideoConfig,
    codec: str,
    pixels: str,
    options: dict[str, str],
    frame_count: int | None,
) -> int:
    import av

    first, frames = _peek(frames, path)
    height, width = first.shape[:2]
    steps = current().stage(f"write {path.name}", steps=frame_count)
    # "bitexact" keeps the library's name and version out of the file.
    plain = {"fflags": "+bitexact"}
    if path.suffix in (".mp4", ".mov"):
        plain["movflags"] = "+faststart"
    with (
        steps as stage,
        replacing_file(path) as partial,
        av.open(str(partial), "w", options=plain) as container,
    ):
        container.metadata["comment"] = PROVENANCE
        container.metadata["copyright"] = RIGHTS
        rate = Fraction(config.fps).limit_denominator(1001)
        stream: Any = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = pixels
        _tag_colors(stream.codec_context)
        strip = _NoteStripper(stream) if codec == "libx264" else None
        count = 0
        for frame in frames:
            if frame.shape != first.shape:
                raise InputError(
                    f"frame {count} is {tuple(frame.shape)}, the first was {tuple(first.shape)}",
                    why="a video has one size from beginning to end",
                    fix="draw every frame with a camera of the same size",
                )
            picture = _as_video_frame(frame, pixels)
            _mux(container, stream.encode(picture), strip)
            count += 1
            stage.advance()
        _mux(container, stream.encode(None), strip)
        if strip is not None:
            container.mux(strip.flush())
    return count


def _peek(frames: Iterable[Frame], path: Path) -> tuple[Frame, Iterator[Frame]]:
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise InputError(
            f"no frames came for {path.name}",
            why="a video has at least one",
            fix="ask for a longer piece of the motion",
        )
    if first.dim() != 3 or first.shape[-1] not in (3, 4):
        raise InputError(
            f"a frame has shape {tuple(first.shape)}",
            why="frames are rows, columns and three or four channels",
            fix="give colour, or colour and alpha, along the last axis",
        )

    def again() -> Iterator[Frame]:
        yield first
        yield from iterator

    return first, again()


class _NoteStripper:
    """Takes x264's note about itself out of the stream: what is no picture need not travel."""

    def __init__(self, stream: Any) -> None:
        from av.bitstream import BitStreamFilterContext

        self._filter = BitStreamFilterContext(
            f"filter_units=remove_types={ENCODER_SETTINGS_NOTE}", stream
        )

    def __call__(self, packet: Any) -> list[Any]:
        return self._filter.filter(packet)

    def flush(self) -> list[Any]:
        return self._filter.filter(None)


def _mux(container: Any, packets: list[Any], strip: _NoteStripper | None) -> None:
    for packet in packets:
        container.mux(strip(packet) if strip else packet)


def _tag_colors(context: Any) -> None:
    context.color_primaries = BT709
    context.color_trc = BT709
    context.colorspace = BT709
    context.color_range = LIMITED_RANGE


def _as_video_frame(frame: Frame, pixels: str) -> Any:
    import av
    from av.video.reformatter import ColorRange, Colorspace

    array = to_bytes(frame)
    height, width, channels = array.shape
    array = np.pad(array, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    if pixels == "yuv420p" and channels == 4:
        raise InputError(
            "a transparent frame was given to an opaque video",
            why="H.264 has no transparency",
            fix="draw on a background, or write .webm or a folder of PNG",
        )
    layout = "rgba" if channels == 4 else "rgb24"
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format=layout)
    return picture.reformat(
        format=pixels,
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
    )


def to_bytes(frame: Frame) -> np.ndarray:
    """Round colours in [0, 1] to bytes; what lies outside is clipped."""
    return (frame.detach().clamp(0.0, 1.0) * 255.0 + 0.5).to(torch.uint8).cpu().numpy()
