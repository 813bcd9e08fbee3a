import os
import shutil

import pytest
import torch

from persona.core.errors import FileFormatError, MissingPartError
from persona.synthesis.diffusion.components import CHECKPOINT, load_components
from persona.synthesis.diffusion.mimicmotion import MimicMotion
from persona.synthesis.diffusion.settings import MimicMotionSettings


def load(published, dtype=torch.float32):
    return load_components(*published, dtype=dtype)


def rewrite(checkpoint, change):
    path = checkpoint / CHECKPOINT
    state = torch.load(path, weights_only=True)
    change(state)
    torch.save(state, path)


def same_weights(one, other):
    models = ("unet", "vae", "image_encoder", "pose_net")
    return all(
        torch.equal(tensor, getattr(other, model).state_dict()[name])
        for model in models
        for name, tensor in (one if isinstance(one, dict) else vars(one))[model]
        .state_dict()
        .items()
    )


def test_published_layouts_load_bit_for_bit_and_are_converted_once(parts, published, film):
    first = load(published)
    assert same_weights(parts, first)
    path, kept = published[1] / CHECKPOINT, published[1] / "MimicMotion_1-1.safetensors"
    path.write_bytes(b"no longer read")
    newer = path.stat().st_mtime_ns + 10**9
    os.utime(kept, ns=(newer, newer))
    assert same_weights(first, load(published))
    settings = MimicMotionSettings(width=64, height=64, window=4, overlap=1, steps=2)
    options = {"settings": settings, "device": torch.device("cpu"), "dtype": torch.float32}
    made = MimicMotion.load(*published, **options)(*film)
    wanted = MimicMotion.from_components(**parts, settings=settings)(*film)
    # Tensors that lie elsewhere in memory may be multiplied in another order.
    assert int((made.int() - wanted.int()).abs().max()) <= 1


def test_half_precision_is_what_is_asked_for(published):
    parts = load(published, torch.bfloat16)
    for part in (parts.unet, parts.vae, parts.image_encoder, parts.pose_net):
        assert {p.dtype for p in part.parameters()} == {torch.bfloat16}


def test_missing_keys_are_refused(published):
    rewrite(published[1], lambda state: state.pop("unet.conv_in.weight"))
    with pytest.raises(FileFormatError, match=r"1 tensors are missing: conv_in\.weight"):
        load(published)


def test_unknown_keys_and_other_shapes_are_refused(published):
    rewrite(published[1], lambda state: state.update({"pose_net.more": torch.zeros(1)}))
    with pytest.raises(FileFormatError, match="unknown: more"):
        load(published)
    rewrite(published[1], lambda state: state.pop("pose_net.more"))
    rewrite(published[1], lambda state: state.update({"pose_net.scale": torch.zeros(2)}))
    (published[1] / "MimicMotion_1-1.safetensors").unlink()
    with pytest.raises(FileFormatError, match="another shape: scale"):
        load(published)


def test_extra_prefixes_are_refused(published):
    def prefixed(state):
        for name in list(state):
            state[f"module.{name}"] = state.pop(name)

    rewrite(published[1], prefixed)
    with pytest.raises(FileFormatError, match="module") as caught:
        load(published)
    assert "strip its prefix" in caught.value.fix


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_truncated_checkpoint_is_refused(published, share):
    path = published[1] / CHECKPOINT
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(FileFormatError, match="cannot be read"):
        load(published)


class Evil:
    def __reduce__(self):
        return eval, ("open('/tmp/persona-was-here', 'w')",)


def test_a_checkpoint_that_runs_something_is_refused(published):
    torch.save({"unet.conv_in.weight": Evil()}, published[1] / CHECKPOINT)
    with pytest.raises(FileFormatError, match="was not opened"):
        load(published)


def test_other_things_than_a_table_of_tensors_are_refused(published):
    torch.save([torch.zeros(1)], published[1] / CHECKPOINT)
    with pytest.raises(FileFormatError, match="no table of tensors"):
        load(published)


def test_missing_parts_name_the_command(published):
    shutil.rmtree(published[0] / "scheduler")
    with pytest.raises(MissingPartError) as caught:
        load(published)
    assert "persona weights fetch svd-xt-1.1" in caught.value.fix
    (published[1] / CHECKPOINT).unlink()
    with pytest.raises(MissingPartError):
        load(published)


def test_a_damaged_decoder_is_refused(published):
    (file,) = (published[0] / "vae").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(FileFormatError, match="vae cannot be read"):
        load(published)
