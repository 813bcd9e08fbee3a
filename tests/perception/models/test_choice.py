from pathlib import Path

import pytest

from persona.core.errors import InputError
from persona.core.weights import entry
from persona.perception.models.choice import (
    LABEL_MODELS,
    SETS,
    parse_folders,
    parse_labels,
)
from persona.perception.models.labels import LOADERS


def test_every_model_has_weights_and_a_reader():
    assert list(LOADERS) == list(LABEL_MODELS)
    assert not set(SETS) & set(LABEL_MODELS)
    for name, model in LABEL_MODELS.items():
        known = entry(model.weights)
        assert f"--labels {name}" in known.purpose or f"or {name}" in known.purpose


def test_names_and_sets_are_put_together():
    assert parse_labels("embedded") == ()
    assert parse_labels("models") == ("sam2", "vitpose")
    assert parse_labels("models+geometry") == ("sam2", "vitpose", "marigold", "depth-anything")
    assert parse_labels("swin2sr+sapiens2+sam2") == (
        *("sam2", "sapiens2-pose", "sapiens2-parts", "sapiens2-normals", "swin2sr"),
    )
    assert parse_labels("models+vitpose") == ("sam2", "vitpose")


@pytest.mark.parametrize("wrong", ["", "sam3", "models+models", "embedded+models", "sam2+"])
def test_what_is_no_choice_is_refused(wrong):
    with pytest.raises(InputError, match="were asked for") as caught:
        parse_labels(wrong)
    assert "sapiens2-matting" in caught.value.why


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("models+sapiens2", "vitpose and sapiens2-pose", "sapiens2-pose"),
        ("geometry+depth-pro", "depth-anything and depth-pro", "marigold+depth-pro"),
        ("vitmatte+sapiens2-matting", "vitmatte and sapiens2-matting", "sapiens2-matting"),
    ],
)
def test_two_models_for_one_thing_are_refused_with_a_choice_that_works(text, what, fix):
    with pytest.raises(InputError, match=what) as caught:
        parse_labels(text)
    better = caught.value.fix.removeprefix("--labels ")
    assert fix in better
    assert parse_labels(better) == tuple(better.split("+"))


def test_folders_are_given_by_name():
    assert parse_folders(()) == {}
    assert parse_folders(["sam2=/a=b", "swin2sr=c"]) == {
        "sam2": Path("/a=b"),
        "swin2sr": Path("c"),
    }
    for wrong in (["sam2"], ["sam2="], ["models=a"], ["sam2=a", "sam2=b"]):
        with pytest.raises(InputError, match="as the folder of a label model"):
            parse_folders(wrong)
