import pytest
import torch

from persona.core.errors import FileFormatError
from persona.perception.models.depth_anything import DepthAnything
from tests.perception.models.conftest import save_depth

CPU = torch.device("cpu")


def test_depth_is_the_models_at_the_pictures_size(tmp_path):
    model = save_depth(tmp_path / "depth")
    picture = torch.randint(0, 256, (56, 28, 3), dtype=torch.uint8)
    read = DepthAnything.load(tmp_path / "depth", device=CPU)
    made = read(picture)
    seen = read.processor(picture.numpy(), return_tensors="pt")["pixel_values"]
    assert seen.shape == (1, 3, 56, 28)
    wanted = model(seen).predicted_depth[0].detach()
    torch.testing.assert_close(made, wanted)
    assert 0 < float(made.min()) < float(made.max()) < 20


def test_relative_depth_is_refused(tmp_path):
    save_depth(tmp_path / "depth", kind="relative")
    with pytest.raises(FileFormatError, match="gives relative depth"):
        DepthAnything.load(tmp_path / "depth", device=CPU)
