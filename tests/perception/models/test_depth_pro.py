import math
from types import SimpleNamespace

import pytest
import torch

from persona.core.errors import MissingPartError
from persona.perception.models.depth_pro import DepthPro
from tests.perception.models.conftest import save_depth_pro

CPU = torch.device("cpu")


def test_depth_is_the_models_at_the_pictures_size(tmp_path):
    model = save_depth_pro(tmp_path)
    read = DepthPro.load(tmp_path, device=CPU)
    picture = torch.randint(0, 256, (64, 64, 3), dtype=torch.uint8)
    made = read(picture)
    with torch.no_grad():
        seen = model(picture.permute(2, 0, 1)[None] / 127.5 - 1)
    inverse = seen.predicted_depth * 2 * torch.tan(torch.deg2rad(seen.field_of_view) / 2)
    inverse = torch.nn.functional.interpolate(inverse[None], (64, 64), mode="bilinear")[0, 0]
    torch.testing.assert_close(made, 1 / inverse.clamp(1e-4, 1e4))
    assert float(made.std()) > 0
    assert read(picture[:40, :24]).shape == (40, 24)


def test_metres_follow_from_the_field_of_view():
    """What is far in a narrow view is as large as what is near in a wide one."""

    class Model:
        config = SimpleNamespace(patch_size=16, scaled_images_ratios=[0.25, 0.5, 1])

        def __call__(self, pixels):
            assert pixels.shape == (1, 3, 64, 64)
            fov = None if self.fov is None else torch.tensor([self.fov])
            return SimpleNamespace(predicted_depth=torch.full((1, 64, 64), 0.5), field_of_view=fov)

    model = Model()
    made = {}
    for model.fov in (90.0, 30.0, None):
        seen = DepthPro(model=model, device=CPU)(torch.zeros(30, 20, 3, dtype=torch.uint8))
        assert seen.shape == (30, 20)
        assert float(seen.max() - seen.min()) < 1e-5
        made[model.fov] = float(seen[0, 0])
    assert made[90.0] == pytest.approx(1.0)
    assert made[30.0] == pytest.approx(1 / math.tan(math.radians(15)))
    assert made[None] == pytest.approx(2.0)


def test_missing_weights_name_the_command(tmp_path):
    with pytest.raises(MissingPartError) as caught:
        DepthPro.load(tmp_path, device=CPU)
    assert "persona weights fetch depth-pro" in caught.value.fix
