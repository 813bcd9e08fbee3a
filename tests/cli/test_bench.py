"""Measuring: what is printed, what programs get, and when the gate closes."""

import json
from dataclasses import replace

import pytest

from persona.bench.gate import Baseline, find_slower, load_baseline, ratios_of, save_baseline
from persona.bench.rows import Row, Times, one_way, there_and_back
from persona.cli.bench import EXIT_SLOWER
from persona.cli.main import main
from persona.core.errors import FileFormatError, InputError

TINY = ["--gaussians", "200", "--size", "24", "--rounds", "1", "--threads", "1", "--devices", "cpu"]
KEYS = {
    "name",
    "backend",
    "gaussians",
    "size",
    "channels",
    "threads",
    "forward_ms",
    "step_ms",
    "fps",
}

ANIMATE_PARTS = ("pose", "project", "draw", "player", "learned", "baked")


def events(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("workload", "names"),
    [
        ("raster", {"raster", "project"}),
        ("train", {"train"}),
        (
            "animate",
            {"animate", *(f"animate.{part}" for part in ANIMATE_PARTS)},
        ),
    ],
)
def test_every_workload_runs_on_every_backend_that_is_here(workload, names, capsys):
    assert main(["--json", "bench", workload, *TINY]) == 0
    *rows, result = events(capsys)
    assert {row["name"] for row in rows} == names
    assert {row["backend"] for row in rows} == {"native", "reference"}
    for row in rows:
        assert set(row) >= KEYS
        assert row["gaussians"] == 200
        assert row["threads"] == 1
        assert row["forward_ms"] > 0
        assert row["fps"] > 0
        assert (row["step_ms"] is None) == workload.startswith("animate")
        assert (row["isa"] is None) == (row["backend"] == "reference")
    assert result["slower"] == []
    assert all(ratio > 0 for ratio in result["ratios"].values())


def test_people_get_a_table_with_a_line_for_each_row(capsys):
    assert main(["bench", "raster", *TINY, "--channels", "3", "16"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["name", "backend", "isa"]
    # Projection knows no channels: it is measured once, drawing twice; by core and twin.
    assert [line.split()[0] for line in lines].count("project") == 2
    assert [line.split()[0] for line in lines].count("raster") == 4


def test_a_trained_avatar_can_be_measured(tmp_path, capsys):
    from persona.bench.scenes import body_avatar

    body_avatar(300).save(tmp_path / "ada.persona")
    for workload in ("animate", "train"):
        argv = ["--json", "bench", workload, *TINY[2:], "--avatar", str(tmp_path / "ada.persona")]
        assert main(argv) == 0
        assert {(row["gaussians"], row["sigma"]) for row in events(capsys)[:-1]} == {(300, 0.0)}


def test_what_makes_no_sense_is_refused(capsys):
    assert main(["bench", "raster", "--rounds", "0"]) == 2
    assert main(["bench", "raster", "--avatar", "ada.persona"]) == 2
    assert main(["bench", "train", "--sigma", "-1"]) == 2
    assert main(["bench", "fly"]) == 2
    assert "fix: " in capsys.readouterr().err


def test_cuda_without_gsplat_is_refused_with_the_reason(monkeypatch, capsys):
    import persona.bench.contestants as contestants

    monkeypatch.setattr(contestants, "why_not_gsplat", lambda: "no device; buy one")
    assert main(["bench", "raster", *TINY[:-1], "cuda"]) == 3
    assert "why: no device; buy one" in capsys.readouterr().err


def test_the_gate_opens_for_its_own_baseline_and_closes_when_something_is_slower(tmp_path, capsys):
    path = tmp_path / "baseline.json"
    gate = ["bench", "raster", *TINY, "--baseline", str(path)]
    assert main([*gate, "--save-baseline"]) == 0
    saved = json.loads(path.read_text())
    # Nobody is a million times slower from one run to the next, nor as much faster.
    path.write_text(json.dumps({**saved, "tolerance": 1e6}))
    assert main([*gate, "--gate"]) == 0
    assert "no ratio is worse" in capsys.readouterr().out
    path.write_text(json.dumps({**saved, "tolerance": 1e-6}))
    assert main([*gate, "--gate"]) == EXIT_SLOWER
    assert "slower: raster 200 at 24 px" in capsys.readouterr().out


def test_a_gate_needs_a_baseline_that_fits(tmp_path, capsys):
    path = tmp_path / "baseline.json"
    assert main(["bench", "raster", *TINY, "--gate", "--baseline", str(path)]) == 2
    assert "--save-baseline" in capsys.readouterr().err
    save_baseline(path, {"a": 0.5}, threads=4)
    with pytest.raises(InputError, match="measured with 4 threads, this run with 1"):
        load_baseline(path, threads=1)
    path.write_text("{}")
    with pytest.raises(FileFormatError, match="is no baseline"):
        load_baseline(path, threads=1)


def test_saving_keeps_the_ratios_of_other_workloads_and_the_tolerance(tmp_path):
    path = tmp_path / "baseline.json"
    save_baseline(path, {"a": 0.5, "b": 1.0}, threads=1)
    path.write_text(path.read_text().replace("1.5", "1.7"))
    save_baseline(path, {"b": 2.0}, threads=1)
    assert load_baseline(path, threads=1) == Baseline(
        threads=1, tolerance=1.7, ratios={"a": 0.5, "b": 2.0}
    )


def row_of(name="raster", *, backend="native", isa="avx2", channels=3, forward=1.0, step=2.0):
    times = Times(forward_ms=9.0, step_ms=9.0, best_forward_ms=forward, best_step_ms=step)
    return Row(
        name=name,
        backend=backend,
        isa=isa if backend == "native" else None,
        gaussians=100,
        size=64,
        channels=channels,
        sigma=0.75,
        threads=1,
        times=times,
    )


def test_ratios_divide_the_best_times_of_one_run():
    rows = [
        row_of(isa="baseline", forward=2.0),
        row_of(forward=1.0, step=2.5),
        row_of(backend="reference", forward=50.0, step=125.0),
        row_of(backend="gsplat", forward=0.1),
        row_of(channels=12, forward=1.5),
        row_of("animate.draw", forward=4.0),
        row_of("animate", forward=5.0),
        row_of("animate.learned", forward=15.0),
        row_of("animate.baked", forward=10.0),
    ]
    ratios = ratios_of(rows)
    case = "raster 100 at 64 px, 3 channels, sigma 0.75"
    assert ratios[f"{case}: forward, avx2 / torch"] == 0.02
    assert ratios[f"{case}: step, avx2 / torch"] == 0.02
    assert ratios[f"{case}: forward, avx2 / baseline"] == 0.5
    assert ratios[f"{case}: step / forward, avx2"] == 2.5
    assert ratios["raster 100 at 64 px, sigma 0.75: forward, 12 / 3 channels, avx2"] == 1.5
    assert ratios["animate 100 at 64 px: frame / drawing, avx2"] == 1.25
    assert ratios["animate 100 at 64 px: learned / stiff, avx2"] == 3.0
    assert ratios["animate 100 at 64 px: baked / stiff, avx2"] == 2.0


def test_only_what_is_worse_than_the_tolerance_is_slower():
    baseline = Baseline(threads=1, tolerance=1.5, ratios={"a": 1.0, "b": 1.0, "c": 1.0})
    slower = find_slower({"a": 1.6, "b": 1.4, "c": 0.1, "new": 9.0}, baseline)
    assert [str(entry) for entry in slower] == ["a: 1.6, was 1 (1.60 times)"]


def test_times_are_medians_and_bests():
    assert one_way([[1.0, 2.0], [5.0, 1.0], [1.0, 1.0]]) == Times(
        forward_ms=3.0, step_ms=None, best_forward_ms=2.0, best_step_ms=None
    )
    times = there_and_back([[1.0, 2.0], [2.0, 3.0], [9.0, 0.5]])
    assert times == Times(forward_ms=2.0, step_ms=5.0, best_forward_ms=1.0, best_step_ms=3.0)
    assert replace(row_of(), times=times).fps == 500.0
    assert replace(row_of("train"), times=times).fps == 200.0
