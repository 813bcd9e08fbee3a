"""Run the video UNet and its decoder faster without changing what they compute."""

from typing import Any, Final

import torch
from torch import Tensor, nn

ONE_KEY: Final = ".attn2.processor"
"""Cross-attention of each block: it sees the photo's embedding, which is one key."""
REPEATED: Final = (
    "TransformerSpatioTemporalModel",
    "SpatioTemporalResBlock",
    "UpBlockTemporalDecoder",
    "MidBlockTemporalDecoder",
)
"""Blocks that are compiled, those of the UNet and those of the decoder."""
SHAPES_COMPILED: Final = 64
"""Shapes that one kind of block may be compiled for; the UNet's have eleven."""


class OneKeyAttention:
    """Attention with a single key: its weight is 1, so that the result is its value."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """Give every query the projected value of the only key."""
        values = attn.to_out[0](attn.to_v(encoder_hidden_states))
        return values.expand(-1, hidden_states.shape[1], -1)


def attend_to_one_key(unet: Any) -> None:
    """Spare the UNet the queries and keys of attention to the photo's embedding.

    Args:
        unet: UNetSpatioTemporalConditionModel that is shown one embedding; changed in place.
    """
    unet.set_attn_processor(
        {
            name: OneKeyAttention() if name.endswith(ONE_KEY) else processor
            for name, processor in unet.attn_processors.items()
        }
    )


def compile_repeated(*modules: nn.Module) -> None:
    """Compile the blocks that models repeat, each shape once: sooner than the whole model.

    The first call then takes one to three minutes; torch keeps what it compiled on disk.
    """
    torch._dynamo.config.recompile_limit = SHAPES_COMPILED
    for module in modules:
        for part in module.modules():
            if type(part).__name__ in REPEATED:
                part.compile(dynamic=False)
