"""Means, intervals and the gate."""

import math
from dataclasses import replace

import numpy as np
import pytest

from persona.core.errors import FileFormatError, InputError
from persona.evaluation.gate import find_worse, save_baseline
from persona.evaluation.ledger import FrameScore
from persona.evaluation.margins import margin_over
from persona.evaluation.results import (
    MEAN,
    Provenance,
    Results,
    SubjectFacts,
    load_results,
    rows_of,
    save_results,
)
from persona.evaluation.statistics import over_frames, over_subjects


def score(index, unfitted, fitted=None):
    return FrameScore(
        index=index,
        name=str(index),
        unfitted={"psnr_box": unfitted},
        fitted=None if fitted is None else {"psnr_box": fitted},
        draw_seconds=0.1,
    )


def results_of(scores, name="test"):
    subjects = list(dict.fromkeys(subject for subject, _ in scores))
    return Results(
        name=name,
        provenance=Provenance(command="", versions={}, code="c" * 64, seed=0, cores=2),
        rules={"every": 1.0},
        methods={method: "" for _, method in scores},
        subjects=tuple(
            SubjectFacts(name=name, dataset="truth", frames=3, fps=None, photo_digest="", source="")
            for name in subjects
        ),
        rows=tuple(rows_of(scores)),
        costs=(),
        refusals=(),
    )


SCORES = {
    ("ada", "ours"): [score(k, 20.0 + k, 25.0 if k == 0 else None) for k in range(3)],
    ("ada", "copy"): [score(k, 10.0) for k in range(3)],
    ("bob", "ours"): [score(k, 30.0) for k in range(3)],
    ("bob", "copy"): [score(k, 12.0) for k in range(3)],
}


def test_intervals_cover_the_mean_as_often_as_they_say():
    rng = np.random.default_rng(0)
    inside = 0
    for seed in range(100):
        found = over_frames(rng.normal(5, 2, size=300).tolist(), seed=seed)
        inside += found.low <= 5 <= found.high
    assert 86 <= inside <= 100


def test_neighbouring_frames_that_look_alike_are_no_more_evidence():
    """A film with every frame ten times is as unsure as the film with each frame once."""
    values = np.random.default_rng(1).normal(size=40)
    once = over_frames(values.tolist())
    repeated = over_frames(np.repeat(values, 10).tolist())
    naive = 2 * 1.96 * values.std() / math.sqrt(400)
    assert repeated.high - repeated.low > 2 * naive
    assert repeated.high - repeated.low == pytest.approx(once.high - once.low, rel=0.45)


def test_equal_pictures_have_an_infinite_mean_and_few_people_a_wide_interval():
    found = over_frames([math.inf] * 5)
    assert (found.mean, found.low, found.high) == (math.inf, math.inf, math.inf)
    people = over_subjects([[10.0] * 20, [20.0] * 20])
    assert people.mean == 15
    assert people.low == 10
    assert people.high == 20


def test_rows_hold_both_modes_and_means_of_people_who_count_alike():
    results = results_of(SCORES)
    assert results.row("ada", "ours", "unfitted").numbers["psnr_box"].mean == 21
    assert results.row("ada", "ours", "fitted").numbers["psnr_box"].mean == 25
    assert results.row("ada", "ours", "unfitted, same frames").numbers["psnr_box"].mean == 20
    assert results.row("ada", "copy", "fitted") is None
    assert results.row(MEAN, "ours", "unfitted").numbers["psnr_box"].mean == 25.5
    assert results.row("ada", "copy", "unfitted").numbers["frames_per_second"].mean == (
        pytest.approx(10)
    )


def test_who_fails_at_the_hardest_person_does_not_gain_by_it():
    """bob is left out of all means when one method has nothing for him."""
    scores = {key: value for key, value in SCORES.items() if key != ("bob", "copy")}
    results = results_of(scores)
    assert results.row(MEAN, "ours", "unfitted").numbers["psnr_box"].mean == 21
    assert results.row(MEAN, "copy", "unfitted").numbers["psnr_box"].mean == 10


def test_results_come_back_from_their_file_infinities_included(tmp_path):
    results = results_of({("ada", "ours"): [score(0, math.inf)]})
    save_results(tmp_path / "r.json", results)
    assert "Infinity" in (tmp_path / "r.json").read_text()
    assert load_results(tmp_path / "r.json") == results
    (tmp_path / "r.json").write_text('{"name": 3}')
    with pytest.raises(FileFormatError):
        load_results(tmp_path / "r.json")


def test_the_gate_lets_equal_and_better_pass_and_names_what_got_worse(tmp_path):
    path = tmp_path / "baseline.json"
    save_baseline(path, results_of(SCORES))
    assert find_worse(results_of(SCORES), path) == []
    better = {key: [score(k, 40.0) for k in range(3)] for key in SCORES}
    better["ada", "ours"] = [score(k, 40.0, 40.0 if k == 0 else None) for k in range(3)]
    assert find_worse(results_of(better), path) == []
    worse = {**SCORES, ("bob", "ours"): [score(k, 29.6) for k in range(3)]}
    found = find_worse(results_of(worse), path)
    assert [(w.subject, w.method) for w in found] == [("bob", "ours")]
    assert "PSNR in the box 29.60 dB, was 30.00, tolerance 0.3" in found[0].text
    slightly = {**SCORES, ("bob", "ours"): [score(k, 29.8) for k in range(3)]}
    assert find_worse(results_of(slightly), path) == []


def test_the_gate_counts_what_is_missing_as_worse(tmp_path):
    path = tmp_path / "baseline.json"
    save_baseline(path, results_of(SCORES))
    nan = {**SCORES, ("ada", "copy"): [score(k, math.nan) for k in range(3)]}
    assert {w.subject for w in find_worse(results_of(nan), path)} == {"ada", MEAN}
    results = results_of(SCORES)
    gone = replace(results, rows=tuple(r for r in results.rows if r.method != "copy"))
    assert all(w.value is None and w.method == "copy" for w in find_worse(gone, path))
    assert find_worse(gone, path)


def test_the_gate_compares_only_what_was_asked_for_and_refuses_other_frames(tmp_path):
    path = tmp_path / "baseline.json"
    save_baseline(path, results_of(SCORES))
    ada = {key: value for key, value in SCORES.items() if key[0] == "ada"}
    assert find_worse(results_of(ada), path) == []
    with pytest.raises(InputError, match="other rules"):
        find_worse(replace(results_of(SCORES), rules={"every": 4.0}), path)
    results = results_of(SCORES)
    fewer = replace(results, subjects=tuple(replace(s, frames=2) for s in results.subjects))
    with pytest.raises(InputError, match="has 2 frames"):
        find_worse(fewer, path)
    with pytest.raises(InputError, match="holds nothing"):
        find_worse(results_of({("eve", "ours"): [score(0, 1.0)]}), path)


def test_the_margin_counts_people_alike_and_is_reached_by_both_goals_only():
    def scores(ours, rigid, ours_mm, rigid_mm):
        found = {}
        for method, psnr, mm in (("ours", ours, ours_mm), ("rigid", rigid, rigid_mm)):
            frame = FrameScore(index=0, name="0", unfitted={"psnr_box": psnr, "vertex_mm": mm})
            found[method] = [frame]
        return found

    people = {"ada": scores(20.0, 17.0, 10.0, 20.0), "bob": scores(15.0, 13.0, 9.0, 10.0)}
    table = {(who, m): f for who, methods in people.items() for m, f in methods.items()}
    margin = margin_over(results_of(table))
    assert margin.gain_db == pytest.approx(2.5)
    assert margin.avoided == pytest.approx(0.3)
    assert margin.reached
    assert "+2.50 dB in the box, 30% less surface error; the goal" in margin.text
    table["bob", "ours"] = scores(15.0, 0.0, 10.5, 1.0)["ours"]
    assert not margin_over(results_of(table)).reached
    assert margin_over(results_of(SCORES)) is None
