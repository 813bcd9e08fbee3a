"""The table of metrics: gates, directions, order."""

import pytest

from persona.evaluation.metrics import METRICS, scores_from


def test_every_metric_says_what_it_is():
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.label
        assert metric.unit
        assert metric.because


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [("psnr_db", 28.0, 27.9), ("iou", 0.95, 0.949), ("lean_m", 0.05, 0.051)],
)
def test_gates_have_the_right_side(name, good, bad):
    assert METRICS[name].passes(good)
    assert not METRICS[name].passes(bad)
    assert not METRICS[name].passes(float("nan"))


def test_scores_come_in_the_tables_order_and_lean_counts_both_ways():
    scores = scores_from({"lean_m": -0.2, "psnr_db": 30.0, "not a metric": 1.0})
    assert [score.metric.name for score in scores] == ["psnr_db", "lean_m"]
    assert scores[1].value == pytest.approx(0.2)
    assert not scores[1].passed
    assert scores[0].text == "30.0 dB"
