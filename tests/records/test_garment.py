"""Garments: what comes back from disk, and what is refused."""

from dataclasses import replace

import pytest
import torch
from jaxtyping import TypeCheckError

from persona.core.errors import FileFormatError, InputError
from persona.core.fingerprint import fingerprint
from persona.records.garment import Garment, Stiffness
from persona.records.storage import load_record, save_record


def handkerchief(**changes):
    weights = torch.zeros(4, 55)
    weights[:, 0] = 1.0
    fields = {
        "name": "handkerchief",
        "rest_vertices": torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]),
        "faces": torch.tensor([[0, 1, 2], [0, 2, 3]]),
        "body_weights": weights,
        "attachment": torch.tensor([1.0, 0.0, 0.0, 0.5]),
        "thickness_m": 0.003,
    }
    return Garment(**{**fields, **changes})


def test_a_garment_comes_back_from_disk_bit_for_bit(tmp_path):
    skirt = handkerchief(name="skirt", stiffness=Stiffness.SOFT, layer=1, is_tube=True)
    save_record(tmp_path / "skirt", skirt)
    back = load_record(tmp_path / "skirt", Garment)
    assert fingerprint(back) == fingerprint(skirt)
    assert back.stiffness is Stiffness.SOFT
    assert back.vertex_count == 4


def test_damaged_files_are_refused(tmp_path):
    save_record(tmp_path / "skirt", handkerchief())
    text = (tmp_path / "skirt.json").read_text()
    (tmp_path / "skirt.json").write_text(text.replace('"medium"', '"concrete"'))
    with pytest.raises(FileFormatError, match="stiffness"):
        load_record(tmp_path / "skirt", Garment)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"thickness_m": 0.0}, "0 m thick"),
        ({"thickness_m": 3.0}, "3 m thick"),
        ({"thickness_m": float("nan")}, "nan m thick"),
        ({"layer": -1}, "layer -1"),
        ({"attachment": torch.tensor([0.0, 2.0, 0.0, 0.0])}, "attachment spans"),
        ({"rest_vertices": torch.full((4, 3), float("nan"))}, "rest_vertices holds 12"),
        ({"faces": torch.tensor([[0, 1, 4]])}, "name vertices 0 to 4"),
        ({"faces": torch.tensor([[0, 1, -1]])}, "name vertices -1 to 1"),
        ({"faces": torch.tensor([[0, 1, 2], [3, 3, 1]])}, "face 1 of handkerchief"),
        ({"faces": torch.zeros(0, 3, dtype=torch.int64)}, "has no faces"),
        ({"body_weights": torch.zeros(4, 55)}, "row 0 of body_weights"),
        ({"body_weights": torch.full((4, 55), -1.0)}, "body_weights spans"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_garment_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        handkerchief(**changes)


def test_rows_that_do_not_belong_together_are_refused():
    # In tests the annotation is the check of shapes; in production the record's own.
    with pytest.raises((InputError, TypeCheckError), match="attachment"):
        handkerchief(attachment=torch.zeros(3))
    with pytest.raises((InputError, TypeCheckError), match="body_weights"):
        replace(handkerchief(), body_weights=torch.ones(4, 54) / 54)
