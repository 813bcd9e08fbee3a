"""The report stands alone, shows everything, and gives nothing away."""

import re
from dataclasses import replace

import pytest

from persona.core.run_folder import StageReport
from persona.pipeline.create import LICENSES
from persona.pipeline.report import Story, write_report
from persona.records.outfit import Outfit


@pytest.fixture
def text(counting, plain_avatar, tmp_path):
    cost = StageReport(
        name="optimize",
        made_from="",
        output="",
        seconds=12.34,
        cpu_seconds=20.0,
        peak_memory=300 << 20,
        finished_at=0.0,
    )
    avatar = replace(
        plain_avatar,
        numbers={"psnr_db": 31.5, "iou": 0.5},
        warnings=("The left foot is <outside> the picture.",),
    )
    story = Story(
        photo=counting.photo,
        observation=counting.observation,
        fit=counting.fit,
        wardrobe=counting.wardrobe,
        outfit=Outfit(warnings=("the coat was left out: it is a test",)),
        frames=None,
        refined=None,
        avatar=avatar,
        preset="standard",
        seed=7,
        costs=(cost,),
        licenses=LICENSES,
    )
    write_report(story, tmp_path / "report.html")
    return (tmp_path / "report.html").read_text()


def test_it_needs_nothing_beside_it_and_names_no_file(text, tmp_path):
    without_pictures = re.sub(r'src="data:image/jpeg;base64,[^"]+"', "", text)
    assert "src=" not in without_pictures
    assert "http" not in without_pictures
    assert str(tmp_path) not in text
    assert "secret-name" not in text


def test_it_tells_numbers_gates_costs_and_what_was_invented(text):
    assert "31.5 dB" in text
    assert 'class="good">passes' in text
    assert 'class="bad">fails' in text
    assert "12.3 s" in text
    assert "300 MiB" in text
    assert "The right hand was not seen" in text
    assert "&lt;outside&gt;" in text
    assert "Apache-2.0" in text


def test_it_shows_the_person_from_all_sides_and_in_all_poses(text):
    words = ("photo", "parts", "180°", "T-pose", "squat, back", "head, profile", "shoes")
    for word in words:
        assert f"{word}</figcaption>" in text
    assert text.count("<img") >= 30
