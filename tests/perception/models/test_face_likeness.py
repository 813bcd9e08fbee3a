"""SigLIP in the published layout, tiny and random: faces cut out alike are alike."""

import cv2
import numpy as np
import pytest
import torch

from persona.core.errors import FileFormatError, MissingPartError
from persona.perception.models.face_likeness import (
    LEFT_EYE,
    MOUTH,
    PLACES,
    RIGHT_EYE,
    SIDE_PX,
    FaceModel,
    align_face,
    cut_size,
    likeness_to,
    looks_here,
)

transformers = pytest.importorskip("transformers", reason="needs the extra diffusion")

CPU = torch.device("cpu")


def tiny_siglip():
    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2}
    small["num_attention_heads"] = 2
    vision = transformers.SiglipVisionConfig(**small, image_size=32, patch_size=8)
    text = transformers.SiglipTextConfig(
        **small, vocab_size=32, max_position_embeddings=8, projection_size=16
    )
    config = transformers.SiglipConfig(text_config=text.to_dict(), vision_config=vision.to_dict())
    return transformers.SiglipModel(config).eval()


@pytest.fixture
def siglip(tmp_path):
    tiny_siglip().save_pretrained(tmp_path)
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    transformers.SiglipImageProcessorPil(size={"height": 32, "width": 32}, **half).save_pretrained(
        tmp_path
    )
    return tmp_path


def mesh(*, turn=0.0, scale=90.0, at=(140.0, 120.0), narrow=1.0):
    """A face whose eyes and mouth are known."""
    marks = (PLACES - PLACES.mean(0)) * np.array([narrow, 1.0])
    c, s = np.cos(turn), np.sin(turn)
    places = scale * marks @ np.array([[c, s], [-s, c]]) + np.array(at)
    face = torch.zeros(478, 3)
    for pair, place in zip((LEFT_EYE, RIGHT_EYE, MOUTH), places, strict=True):
        for index in pair:
            face[index, :2] = torch.from_numpy(place)
    return face


@pytest.fixture
def portrait():
    """Soft blobs of colour around where the face is."""
    noise = np.random.default_rng(0).integers(0, 256, (12, 14, 3), dtype=np.uint8)
    return torch.from_numpy(cv2.resize(noise, (280, 240), interpolation=cv2.INTER_CUBIC))


def test_the_published_layout_is_read_strictly(siglip, portrait):
    read = FaceModel.load(siglip, device=CPU)
    found = read(portrait, mesh())
    assert float(found.norm()) == pytest.approx(1)
    again = FaceModel(model=tiny_siglip(), processor=read.processor, device=CPU)
    torch.testing.assert_close(found, again(portrait, mesh()))
    config = (siglip / "config.json").read_text()
    (siglip / "config.json").write_text(
        config.replace('"num_hidden_layers": 2', '"num_hidden_layers": 3')
    )
    with pytest.raises(FileFormatError, match="does not fit"):
        FaceModel.load(siglip, device=CPU)
    (siglip / "model.safetensors").unlink()
    with pytest.raises(MissingPartError, match="safetensors"):
        FaceModel.load(siglip, device=CPU)


@pytest.mark.parametrize(("turn", "scale"), [(0.4, 1.0), (-0.3, 0.5), (0.0, 1.6)])
def test_faces_are_cut_out_alike_however_they_are_turned_and_large(portrait, turn, scale):
    straight = align_face(portrait.numpy(), mesh())
    middle = (140.0, 120.0)
    # cv2 counts from pixel centres, and turns the other way round.
    moved = cv2.getRotationMatrix2D((139.5, 119.5), -np.rad2deg(turn), scale)
    turned = cv2.warpAffine(portrait.numpy(), moved, (280, 240), borderValue=(255,) * 3)
    cut = align_face(turned, mesh(turn=turn, scale=90 * scale, at=middle))
    inner = slice(SIDE_PX // 3, 2 * SIDE_PX // 3)
    apart = np.abs(cut[inner, inner].astype(float) - straight[inner, inner].astype(float))
    assert apart.mean() < 6
    assert cut_size(mesh(scale=90 * scale)) == pytest.approx(90 * scale, rel=1e-3)


def test_a_face_is_like_itself_and_what_is_not_shown_is_not_compared(siglip, portrait):
    likeness = likeness_to(siglip, portrait, mesh(), device=CPU)
    itself = likeness(portrait, mesh())
    assert itself > 0.99
    assert likeness(portrait.flip(1), mesh(at=(139.0, 120.0))) < itself
    assert likeness(portrait, None) is None
    assert likeness(portrait, mesh(narrow=0.2)) is None
    assert likeness_to(siglip, portrait, None, device=CPU) is None
    assert looks_here(mesh())
    assert not looks_here(mesh(narrow=0.2))
