"""How MimicMotion samples."""

from dataclasses import dataclass, replace
from typing import Any, Final

from persona.core.errors import InputError

AYS_SIGMAS: Final = (700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.0)
"""Ten steps at the noise levels that "Align Your Steps" found for SVD (arXiv 2404.14507)."""
AYS_STEPS: Final = 10
WHOLE_GIB, AT_ONCE_GIB = 75.0, 45.0
"""Cards on which all of Wan-Animate, and its transformer with all that is computed, have room."""


@dataclass(frozen=True, kw_only=True)
class MimicMotionSettings:
    """Sampling as the published pipeline does it.

    From ``batched_guidance`` on, settings are for speed and memory.

    Raises:
        InputError: A number is out of range.
    """

    width: int = 576
    """Columns [px], divisible by 64."""
    height: int = 1024
    """Rows [px], divisible by 64."""
    window: int = 72
    """Frames denoised together: 72 for MimicMotion 1.1, 16 for 1.0."""
    overlap: int = 6
    """Frames that neighbouring windows share; 4 suit windows of 16."""
    steps: int = 25
    """Steps of the sampler; 10 takes the noise levels of Align Your Steps."""
    guidance: float = 2.0
    """How far to go from what nobody asked for to what was asked for."""
    fps: int = 7
    """The model's idea of frames a second."""
    motion_bucket: int = 127
    """The model's idea of how much moves."""
    noise_augmentation: float = 0.0
    """Noise on the photo; it is drawn even at 0, as the published pipeline does."""
    seed: int = 42
    """Of the noise."""
    batched_guidance: bool = False
    """One call for both halves of guidance instead of two: more memory, a little faster."""
    decode_chunk: int = 8
    """Frames decoded together; changes the pictures very little, as the decoder sees time."""
    compiled: bool = False
    """Compile the blocks that repeat: a third faster after the first minutes."""
    offload: bool = False
    """Keep on the card only what is at work."""
    chunked_feed_forward: bool = False
    """Do the widest layers a frame at a time: a third of their memory."""

    def __post_init__(self) -> None:
        bad = self.width % 64 or self.height % 64 or min(self.width, self.height) < 64
        if bad or self.steps < 1 or self.decode_chunk < 1 or not 1 <= self.overlap < self.window:
            raise InputError(
                f"{self.width} x {self.height} px, {self.steps} steps, windows of {self.window} "
                f"that share {self.overlap}",
                why="sides are multiples of 64, windows share a frame at least and must move on",
                fix="leave them at 576 x 1024, 25 steps, 72 and 6",
            )


@dataclass(frozen=True, kw_only=True)
class WanAnimateSettings:
    """Sampling as the published pipeline does it.

    Raises:
        InputError: A number is out of range.
    """

    width: int = 720
    """Columns [px], divisible by 16."""
    height: int = 1280
    """Rows [px], divisible by 16."""
    segment: int = 77
    """Frames denoised together, one more than a multiple of four."""
    overlap: int = 1
    """Last frames of a segment that the next goes on from: 1 or 5."""
    steps: int = 20
    """Steps of the sampler."""
    guidance: float = 1.0
    """Above 1 each step is done twice; the published way does without."""
    prompt: str = "视频中的人在做动作"
    """What is asked for in words: the publisher's own, "the person in the video is moving"."""
    seed: int = 42
    """Of the noise."""
    offload: bool = False
    """Keep on the card only the part that is at work."""
    by_layer: bool = False
    """And of the transformer only the layers that are: slow, but a few GB in place of 33."""

    def __post_init__(self) -> None:
        bad = self.width % 16 or self.height % 16 or min(self.width, self.height) < 16
        bad = bad or self.segment % 4 != 1 or self.overlap not in (1, 5) or self.steps < 1
        if bad or self.segment <= self.overlap:
            raise InputError(
                f"{self.width} x {self.height} px, {self.steps} steps, segments of {self.segment} "
                f"that go on from {self.overlap}",
                why="sides are multiples of 16, segments 4 n + 1 and longer than the 1 or 5 frames "
                "that they go on from",
                fix="leave them at 720 x 1280, 20 steps, 77 and 1",
            )


ROOMS: Final[tuple[tuple[float, dict[str, Any]], ...]] = (
    (23.0, {}),
    (15.0, {"offload": True}),
    (11.0, {"offload": True, "chunked_feed_forward": True, "decode_chunk": 2}),
)
"""Least memory of a card [GiB] -> what to set; peaks are in ``docs/diffusion.md``."""
SMALLEST: Final[dict[str, Any]] = ROOMS[-1][1] | {"window": 16, "overlap": 4}
"""For cards of 8 GB: the windows are shorter than those that the model was trained on."""


def for_memory(settings: MimicMotionSettings, gibibytes: float) -> MimicMotionSettings:
    """Let settings fit a card, as quick as they can be there."""
    for least, changed in ROOMS:
        if gibibytes >= least:
            return replace(settings, **changed)
    return replace(settings, **SMALLEST)


def wan_for_memory(settings: WanAnimateSettings, gibibytes: float) -> WanAnimateSettings:
    """Let Wan-Animate fit a card: its parts take 33, 11 and 2 GB in bfloat16."""
    return replace(settings, offload=gibibytes < WHOLE_GIB, by_layer=gibibytes < AT_ONCE_GIB)
