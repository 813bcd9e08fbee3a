import json

import pytest
import torch

from persona.core.errors import FileFormatError, MissingPartError
from persona.perception.models.marigold import INDEX, Marigold
from tests.perception.models.conftest import save_marigold

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "marigold"


def test_normals_are_the_pipelines_in_the_cameras_frame(folder):
    pipeline = save_marigold(folder)
    picture = torch.randint(0, 256, (40, 30, 3), dtype=torch.uint8)
    read = Marigold.load(folder, device=CPU)
    made = read(picture)
    assert torch.equal(made, read(picture))
    wanted = pipeline(
        picture.permute(2, 0, 1)[None] / 255,
        generator=torch.Generator().manual_seed(0),
        output_type="pt",
    ).prediction[0]
    for axis, sign in enumerate((1, -1, -1)):
        torch.testing.assert_close(made[..., axis], sign * wanted[axis], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(made.norm(dim=-1), torch.ones(40, 30))


def test_what_is_missing_or_damaged_is_refused(folder):
    save_marigold(folder)
    told = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps(told | {"default_denoising_steps": None}))
    with pytest.raises(FileFormatError, match="default_denoising_steps"):
        Marigold.load(folder, device=CPU)
    (folder / INDEX).write_text(json.dumps(told))
    (folder / "scheduler" / "scheduler_config.json").write_text("{")
    with pytest.raises(FileFormatError, match="DDIMScheduler cannot be read"):
        Marigold.load(folder, device=CPU)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(MissingPartError) as caught:
        Marigold.load(folder, device=CPU)
    assert "persona weights fetch marigold-normals-v0-1" in caught.value.fix
