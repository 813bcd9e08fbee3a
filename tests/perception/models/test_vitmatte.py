import numpy as np
import pytest
import torch

from persona.core.errors import FileFormatError
from persona.perception.models.vitmatte import DOUBT, NOBODY, PERSON, VitMatte, trimap
from tests.perception.models.conftest import save_vitmatte

CPU = torch.device("cpu")
PICTURE = np.random.default_rng(0).integers(0, 256, (150, 110, 3), dtype=np.uint8)
MASK = np.zeros((150, 110), np.float32)
MASK[30:130, 30:70] = 1


def test_only_the_border_is_in_doubt():
    made = trimap(MASK)
    assert (made[75, :27] == NOBODY).all()
    assert (made[75, 29:31] == DOUBT).all()
    assert (made[75, 34:66] == PERSON).all()
    soft = MASK.copy()
    soft[60, 50] = 0.8
    assert trimap(soft)[60, 50] == DOUBT


def test_whoever_reaches_the_pictures_edge_goes_on_there():
    mask = np.zeros((100, 100), np.float32)
    mask[40:, 30:70] = 1
    made = trimap(mask)
    assert (made[-1, 35:65] == PERSON).all()
    assert (trimap(np.ones((50, 40), np.float32)) == PERSON).all()


def test_the_models_coverage_stands_where_it_is_in_doubt(tmp_path):
    model = save_vitmatte(tmp_path)
    read = VitMatte.load(tmp_path, device=CPU)
    made, doubt = read(PICTURE, MASK), trimap(MASK)
    assert (made[doubt == PERSON] == 1).all()
    assert (made[doubt == NOBODY] == 0).all()
    assert 0 < made[doubt == DOUBT].std() < 0.5
    # The same by the model's own processor, around the person.
    rows, columns = slice(25, 136), slice(25, 76)
    cut = read.processor(PICTURE[rows, columns], trimaps=doubt[rows, columns], return_tensors="pt")
    with torch.no_grad():
        alphas = model(cut["pixel_values"].float()).alphas[0, 0, :111, :51].numpy()
    there = doubt[rows, columns] == DOUBT
    np.testing.assert_allclose(made[rows, columns][there], alphas[there], atol=1e-6)


def test_a_missing_processor_is_refused(tmp_path):
    save_vitmatte(tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(FileFormatError, match="VitMatteImageProcessorPil cannot be read"):
        VitMatte.load(tmp_path, device=CPU)
