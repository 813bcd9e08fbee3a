"""One call from photo to folder: whole, resumable, refusing what it must not touch."""

import json
from dataclasses import replace

import pytest
import torch

from persona.avatar import Avatar
from persona.core.errors import FileFormatError, InputError, OptimizationError, PhotoError
from persona.core.progress import PlainProgress
from persona.pipeline import presets
from persona.pipeline.create import create
from persona.pipeline.stages import Measured
from persona.pipeline.targets import check_target
from persona.records.wardrobe_file import corrected, read_corrections


@pytest.fixture(autouse=True)
def short_film(monkeypatch):
    """Films are tested by themselves."""
    monkeypatch.setattr(
        "persona.pipeline.create.write_preview", lambda avatar, path: path.write_bytes(b"film")
    )


def test_the_folder_holds_avatar_preview_and_report(counting, tmp_path):
    out = tmp_path / "ada.persona"
    avatar = create(counting.photo, out=out, stages=counting.stages())
    names = {path.name for path in out.iterdir()}
    files = {
        "avatar.json",
        "avatar.safetensors",
        "garments.toml",
        "outfit.json",
        "outfit.safetensors",
        "preview.mp4",
        "report.html",
    }
    assert names == files
    assert [path.name for path in tmp_path.iterdir()] == ["ada.persona"]
    again = Avatar.load(out)
    torch.testing.assert_close(again.canonical.means, avatar.canonical.means, atol=0, rtol=0)
    assert again.numbers["psnr_db"] == 31.5
    about = json.loads((out / "avatar.json").read_text())["about"]
    assert about["preset"] == "standard"
    assert about["licenses"]


def test_lean_is_judged_only_where_somebody_stands(counting, tmp_path):
    stages = counting.stages()
    numbers = Measured(numbers={"lean_m": 0.3, "iou": 0.9})
    stages = replace(stages, measure=lambda avatar, photo, observation: numbers)
    assert "lean_m" in create(counting.photo, stages=stages).numbers
    counting.fit = replace(counting.fit, standing=False)
    assert "lean_m" not in create(counting.photo, stages=stages).numbers


def test_nothing_is_kept_without_out(counting, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    create(counting.photo, stages=counting.stages())
    assert list(tmp_path.iterdir()) == []


def test_a_broken_run_goes_on_where_it_stopped(counting, tmp_path):
    out = tmp_path / "ada.persona"
    counting.fail_at = "measure"
    counting.error = OptimizationError("it broke", why="a test", fix="go on")
    with pytest.raises(OptimizationError):
        create(counting.photo, out=out, stages=counting.stages())
    assert not out.exists()
    counting.fail_at = ""
    create(counting.photo, out=out, stages=counting.stages())
    assert counting.calls == {
        "perceive": 1,
        "fit": 1,
        "tailor": 1,
        "sew": 1,
        "optimize": 1,
        "measure": 2,
    }
    assert [path.name for path in tmp_path.iterdir()] == ["ada.persona"]


def test_a_prepared_run_is_kept_and_finished_by_the_same_call(counting, tmp_path):
    out = tmp_path / "ada.persona"
    create(counting.photo, out=out, stages=counting.stages(), prepare=True)
    assert [path.name for path in tmp_path.iterdir()] == [".ada.persona.run"]
    assert "measure" not in counting.calls
    create(counting.photo, out=out, stages=counting.stages())
    assert counting.calls["optimize"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["ada.persona"]
    with pytest.raises(InputError, match="kept nowhere"):
        create(counting.photo, stages=counting.stages(), prepare=True)


def test_another_seed_optimises_again(counting, tmp_path):
    out = tmp_path / "ada.persona"
    counting.fail_at, counting.error = "measure", OptimizationError("x", why="y", fix="z")
    for seed in (0, 1):
        with pytest.raises(OptimizationError):
            create(counting.photo, out=out, stages=counting.stages(), seed=seed)
    assert counting.calls["perceive"] == 1
    assert counting.calls["optimize"] == 2


def test_a_refused_photo_leaves_nothing(counting, tmp_path):
    counting.fail_at = "perceive"
    counting.error = PhotoError("nobody in it", why="one person is needed", fix="another photo")
    with pytest.raises(PhotoError):
        create(counting.photo, out=tmp_path / "ada.persona", stages=counting.stages())
    assert list(tmp_path.iterdir()) == []


def test_an_old_avatar_is_replaced_and_anything_else_is_not(counting, tmp_path):
    out = tmp_path / "ada.persona"
    create(counting.photo, out=out, stages=counting.stages())
    create(counting.photo, out=out, stages=counting.stages())
    assert (out / "avatar.json").is_file()
    precious = tmp_path / "thesis.persona"
    precious.mkdir()
    (precious / "thesis.tex").write_text("years")
    with pytest.raises(InputError, match="is no avatar"):
        create(counting.photo, out=precious, stages=counting.stages())
    assert (precious / "thesis.tex").read_text() == "years"


@pytest.mark.parametrize("name", ["ada", "ada.jpg", "ada.persona.zip"])
def test_other_endings_are_refused_with_the_right_one(tmp_path, name):
    with pytest.raises(InputError, match="--out") as caught:
        check_target(tmp_path / name)
    assert ".persona" in caught.value.fix


def test_unknown_presets_are_refused():
    with pytest.raises(InputError, match="'turbo'"):
        presets.preset_config("turbo")


def test_presets_grow(counting):
    counts = [presets.preset_config(name).gaussians for name in ("draft", "standard", "studio")]
    assert counts == [13_718, 54_848, 219_368]


def test_steps_are_counted_aloud(counting, tmp_path, capsys):
    create(counting.photo, stages=counting.stages(), progress=PlainProgress())
    heard = capsys.readouterr().err
    assert [line.split(":")[0] for line in heard.splitlines() if " s" in line][:6] == [
        *("perceive", "fit", "tailor", "sew", "optimize", "measure")
    ]


def test_a_bad_correction_is_refused_before_anything_is_made(counting, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('lower = "kilt"')
    with pytest.raises(FileFormatError, match="lower"):
        create(
            counting.photo, out=tmp_path / "ada.persona", garments=file, stages=counting.stages()
        )
    assert not counting.calls
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


def test_the_clothes_beside_an_avatar_can_be_handed_back(counting, tmp_path):
    create(counting.photo, out=tmp_path / "ada.persona", stages=counting.stages())
    corrections = read_corrections(tmp_path / "ada.persona" / "garments.toml")
    assert corrected(counting.wardrobe, corrections) == counting.wardrobe
