"""A wardrobe keeps its promises, survives both kinds of file, and takes corrections by name."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona.core.errors import FileFormatError, InputError
from persona.records.garment import Stiffness
from persona.records.storage import load_record, save_record
from persona.records.wardrobe import (
    LEVEL_RANGES,
    Confidence,
    Doubt,
    Lower,
    Standoff,
    Upper,
    Wardrobe,
)
from persona.records.wardrobe_file import (
    MAX_BYTES,
    Corrections,
    corrected,
    read_corrections,
    wardrobe_lines,
    wardrobe_text,
    write_wardrobe,
)


def wardrobe(**changes) -> Wardrobe:
    plain = {
        "lower": Lower.TROUSERS,
        "upper": Upper.TOP,
        "hems": (2.0, 1.95),
        "sleeves": (2.3, 0.7),
        "waist": 1.0,
        "upper_hem": 1.05,
    }
    return Wardrobe(**(plain | changes))


def between(name):
    return st.floats(*LEVEL_RANGES[name])


@st.composite
def wardrobes(draw):
    lower = draw(st.sampled_from(Lower))
    one_piece = lower is Lower.DRESS or (lower is not Lower.SKIRT and draw(st.booleans()))
    uppers = [Upper.TOP, Upper.COAT] if one_piece else list(Upper)
    return {  # built in the test: type checks draw random numbers, strategies may not
        "lower": lower,
        "upper": draw(st.sampled_from(uppers)),
        "one_piece": one_piece,
        "hems": (draw(between("hems")), draw(between("hems"))),
        "sleeves": (draw(between("sleeves")), draw(between("sleeves"))),
        "waist": draw(between("waist")),
        "upper_hem": draw(between("upper_hem")),
        "neck": draw(between("neck")),
        "hair": draw(between("hair")),
        "lower_stiffness": draw(st.sampled_from(Stiffness)),
        "upper_stiffness": draw(st.sampled_from(Stiffness)),
        "standoff": draw(st.tuples(between("standoff"), between("standoff"))),
        "confidence": draw(st.sampled_from(Confidence)),
        "level_confidence": draw(st.sampled_from(Confidence)),
        "doubts": tuple(draw(st.sets(st.sampled_from(Doubt)))),
    }


def built(fields) -> Wardrobe:
    trunk, shins = fields["standoff"]
    return Wardrobe(**(fields | {"standoff": Standoff(trunk=trunk, shins=shins)}))


@given(wardrobes())
@settings(max_examples=30, deadline=None)
def test_what_is_written_for_people_reads_back_as_no_correction(tmp_path_factory, fields):
    worn = built(fields)
    path = tmp_path_factory.mktemp("w") / "garments.toml"
    write_wardrobe(path, worn)
    assert corrected(worn, read_corrections(path)) == worn


@given(wardrobes())
@settings(max_examples=15, deadline=None)
def test_records_survive_the_disk(tmp_path_factory, fields):
    worn = built(fields)
    path = tmp_path_factory.mktemp("w") / "wardrobe"
    save_record(path, worn)
    assert load_record(path, Wardrobe) == worn


@pytest.mark.parametrize("lower", Lower)
def test_skirts_and_dresses_are_tubes_and_legs_are_not(lower):
    worn = wardrobe(lower=lower, one_piece=lower is Lower.DRESS)
    assert worn.is_tube == (lower in (Lower.SKIRT, Lower.DRESS))


@pytest.mark.parametrize("name", [name for name in LEVEL_RANGES if name != "standoff"])
@pytest.mark.parametrize("beyond", [-1.5, 3.5, float("nan"), float("inf")])
def test_places_where_no_cloth_ends_are_refused_by_name(name, beyond):
    value = (beyond, beyond) if name in ("hems", "sleeves") else beyond
    with pytest.raises(InputError, match=name):
        wardrobe(**{name: value})


@pytest.mark.parametrize(
    "changes",
    [
        {"lower": Lower.DRESS},
        {"lower": Lower.SKIRT, "one_piece": True},
        {"upper": Upper.NONE, "one_piece": True},
        {"standoff": Standoff(arms=0.5)},
    ],
    ids=str,
)
def test_contradictions_are_refused_with_a_cure(changes):
    with pytest.raises(InputError) as caught:
        wardrobe(**changes)
    assert caught.value.fix


def test_a_correction_counts_and_says_so():
    worn = corrected(wardrobe(), Corrections(lower=Lower.DRESS, hems=(0.9, 0.9)))
    assert worn.lower is Lower.DRESS
    assert worn.one_piece
    assert worn.corrected == ("hems", "lower")
    assert worn.confidence is Confidence.SURE
    assert worn.level_confidence is Confidence.GUESSED, "sleeves were not told"
    assert wardrobe_lines(worn)[-1] == "Set by hand: hems, lower."


def test_who_repeats_the_guess_corrects_nothing():
    worn = wardrobe()
    assert corrected(worn, Corrections(waist=1.0, lower=Lower.TROUSERS)) == worn


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lowr = 'skirt'", "lowr"),
        ("lower = 'kilt'", "lower"),
        ("lower = 3", "lower"),
        ("hems = [1.0]", "hems"),
        ("hems = [1.0, 'knee']", "hems.1"),
        ("hems = [1.0, 9.0]", "hems"),
        ("waist = nan", "waist"),
        ("waist = 1" + 400 * "0", "waist"),
        ("standoff = { legs = 0.1 }", "standoff.legs"),
        ("standoff = { trunk = 3.0 }", "standoff"),
        ("one_piece = 'yes'", "one_piece"),
        ("lower = 'skirt'\none_piece = true", "one_piece"),
        ("lower =", "TOML"),
        ("\x00", "TOML"),
        ("a = " + 2000 * "[", "TOML"),
        ("# " + MAX_BYTES * "x", "larger"),
    ],
)
def test_a_bad_file_is_refused_and_the_key_is_named(tmp_path, text, told):
    path = tmp_path / "garments.toml"
    path.write_text(text)
    with pytest.raises(FileFormatError) as caught:
        read_corrections(path)
    assert told in str(caught.value)
    assert caught.value.fix


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_corrections(tmp_path / "no.toml")


def test_an_empty_file_corrects_nothing(tmp_path):
    path = tmp_path / "garments.toml"
    path.write_text("")
    assert read_corrections(path) == Corrections()


def test_every_key_is_explained_in_the_file():
    lines = wardrobe_text(wardrobe()).splitlines()
    for field in dataclasses.fields(Corrections):
        row = next(i for i, line in enumerate(lines) if line.startswith(f"{field.name} ="))
        assert lines[row - 1].startswith("# ")
