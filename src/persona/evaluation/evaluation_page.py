"""The report of an evaluation as one page that needs nothing beside it."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from persona.core.atomic import write_text
from persona.core.conventions import PROVENANCE
from persona.evaluation.margins import margin_over
from persona.evaluation.metrics import Metric
from persona.evaluation.picture_metrics import PICTURE_METRICS
from persona.evaluation.results import MEAN, MODES, Results, Row
from persona.evaluation.statistics import CONFIDENCE, DRAWS, RUN, Estimate

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "Inside the person's box, everything in it counted": (
        *("psnr_box", "ssim_box", "ms_ssim_box", "gmsd_box", "lpips_alex_box", "lpips_vgg_box"),
        *("iou", "boundary_px"),
    ),
    "As published: the true mask on both, the whole frame": (
        *("psnr_published", "ssim_published", "lpips_alex_published", "lpips_vgg_published"),
    ),
    "Face and hands": ("psnr_face", "ssim_face", "psnr_hands", "ssim_hands"),
    "In time": ("flicker", "jitter_px", "frames_per_second", "create_seconds"),
    "Surface": ("vertex_mm", "accuracy_mm", "completeness_mm", "normal_deg"),
}
"""Heading -> metrics below it."""


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Pictures of one frame side by side."""

    title: str
    """Which frame, and what it scored."""
    pictures: tuple[tuple[str, str], ...]
    """(Words, data URL)."""


def write_page(
    results: Results, path: Path, *, strips: Sequence[Strip], worst: Sequence[Strip]
) -> None:
    """Write the page."""
    sections = (
        ("What this is", _about(results)),
        *((title, _table(results, names)) for title, names in GROUPS.items()),
        ("What papers print", _published(results)),
        ("Side by side", "".join(map(_strip, strips))),
        ("The worst frames of the first method", "".join(map(_strip, worst))),
        ("What could not be done", _refusals(results)),
        ("What it took", _costs(results)),
        ("What the numbers mean", _metrics()),
        ("How to do it again", _again(results)),
    )
    body = "\n".join(
        f"<section><h2>{title}</h2>{text}</section>" for title, text in sections if text
    )
    name = html.escape(results.name)
    write_text(path, _PAGE.format(name=name, style=_STYLE, body=body, provenance=PROVENANCE))


def _about(results: Results) -> str:
    methods = "".join(
        f"<li><b>{html.escape(name)}</b>: {html.escape(about)}</li>"
        for name, about in results.methods.items()
    )
    subjects = "".join(
        f"<tr><td>{html.escape(s.name)}<td>{html.escape(s.dataset)}<td>{html.escape(s.source)}"
        f"<td class=number>{s.frames}"
        f"<td class=number>{'' if s.fps is None else f'{s.fps:.4g}'}</tr>"
        for s in results.subjects
    )
    return (
        "<p>Each method was given one photo of each person, and drew that person in the poses of "
        "all other frames. <i>Unfitted</i>: poses as they were given. <i>Fitted</i>: each pose "
        "refined against the very picture it is compared with, as papers do, the avatar frozen; "
        "beside it the unfitted numbers of the same frames.</p>"
        f"<ul>{methods}</ul><table><tr><th>person<th>from<th>source<th>frames<th>per second</tr>"
        f"{subjects}</table>{_margin(results)}<p>Intervals: {CONFIDENCE:.0%} of {DRAWS} redrawings "
        f"of runs of {RUN} frames, for means also of people.</p>"
    )


def _margin(results: Results) -> str:
    margin = margin_over(results)
    return "" if margin is None else f"<p><b>{html.escape(margin.text)}.</b></p>"


def _table(results: Results, names: Sequence[str]) -> str:
    """Show a group of metrics: all subjects, then their mean; nothing where nobody has any."""
    shown = [n for n in names if any(n in row.numbers for row in results.rows)]
    if not shown:
        return ""
    metrics = [PICTURE_METRICS[name] for name in shown]
    head = "".join(
        f"<th class=number>{html.escape(m.label)} [{html.escape(m.unit)}] "
        f"{'&uarr;' if m.better == 'higher' else '&darr;'}"
        for m in metrics
    )
    lines = []
    for subject in [*(s.name for s in results.subjects), MEAN]:
        for mode in MODES:
            rows = [r for r in results.rows if (r.subject, r.mode) == (subject, mode)]
            rows = [row for row in rows if any(name in row.numbers for name in shown)]
            lines += [_line(row, metrics, rows) for row in rows]
    return f"<table><tr><th>person<th>method<th>mode{head}</tr>{''.join(lines)}</table>"


def _line(row: Row, metrics: Sequence[Metric], rivals: Sequence[Row]) -> str:
    cells = "".join(_cell(row.numbers.get(m.name), m, rivals) for m in metrics)
    kind = " class=mean" if row.subject == MEAN else ""
    return (
        f"<tr{kind}><td>{html.escape(row.subject)}<td>{html.escape(row.method)}"
        f"<td>{row.mode}{cells}</tr>"
    )


def _cell(found: Estimate | None, metric: Metric, rivals: Sequence[Row]) -> str:
    if found is None:
        return "<td class=number>-"
    others = [row.numbers[metric.name].mean for row in rivals if metric.name in row.numbers]
    best = max(others) if metric.better == "higher" else min(others)
    text = metric.written(found.mean)
    bold = f"<b>{text}</b>" if found.mean == best and len(others) > 1 else text
    if found.count < 2:
        return f"<td class=number>{bold}"
    span = f"{metric.written(found.low)} to {metric.written(found.high)}"
    return f"<td class=number>{bold}<br><small>{span}</small>"


def _published(results: Results) -> str:
    if not results.published:
        return ""
    lines = []
    for score in results.published:
        low, high = score.psnr_db
        psnr = f"{low:.2f}" if low == high else f"{low:.1f} to {high:.1f}"
        lines.append(
            f"<tr><td>{html.escape(score.method)}<td>{html.escape(score.dataset)}"
            f"<td>{html.escape(score.protocol)}<td class=number>{psnr}"
            f"<td class=number>{'-' if score.ssim is None else f'{score.ssim:.3f}'}"
            f"<td class=number>{'-' if score.lpips is None else f'{score.lpips:.3f}'}</tr>"
        )
    return (
        "<p>Published by others, not measured here; the same method moves by 3.4 dB between "
        "papers.</p><table><tr><th>method<th>on<th>how<th>PSNR [dB]<th>SSIM<th>LPIPS</tr>"
        f"{''.join(lines)}</table>"
    )


def _strip(strip: Strip) -> str:
    figures = "".join(
        f'<figure><img src="{url}" alt="{html.escape(words)}">'
        f"<figcaption>{html.escape(words)}</figcaption></figure>"
        for words, url in strip.pictures
    )
    return f"<h3>{html.escape(strip.title)}</h3><div class=strip>{figures}</div>"


def _refusals(results: Results) -> str:
    if not results.refusals:
        return "<p>Every method gave something for everybody.</p>"
    lines = "".join(
        f"<tr><td>{html.escape(r.subject)}<td>{html.escape(r.method)}<td>{html.escape(r.what)}"
        f"<td>{html.escape(r.why)}</tr>"
        for r in results.refusals
    )
    return (
        "<p>Means are over people that every method gave something for.</p>"
        f"<table><tr><th>person<th>method<th>what it said<th>why</tr>{lines}</table>"
    )


def _costs(results: Results) -> str:
    lines = "".join(
        f"<tr><td>{html.escape(c.subject)}<td>{html.escape(c.method)}<td>{html.escape(c.stage)}"
        f"<td class=number>{c.count}<td class=number>{c.seconds:.1f}"
        f"<td class=number>{c.seconds / max(c.count, 1):.3f}</tr>"
        for c in results.costs
    )
    head = "<tr><th>person<th>method<th>stage<th>times<th>seconds<th>each</tr>"
    return f"<table>{head}{lines}</table>"


def _metrics() -> str:
    lines = "".join(
        f"<tr><td>{html.escape(m.label)}<td>{html.escape(m.unit)}<td>{m.better}"
        f"<td class=number>{'-' if m.tolerance is None else f'{m.tolerance:g}'}"
        f"<td>{html.escape(m.because)}</tr>"
        for m in PICTURE_METRICS.values()
    )
    head = "<tr><th>what<th>unit<th>better<th>tolerance<th>what goes wrong when it is bad</tr>"
    return f"<table>{head}{lines}</table>"


def _again(results: Results) -> str:
    facts = {
        "command": results.provenance.command,
        "code": results.provenance.code,
        "seed": str(results.provenance.seed),
        "processors": str(results.provenance.cores),
        **results.provenance.versions,
        **{f"rule {name}": f"{value:g}" for name, value in results.rules.items()},
        **{f"photo of {s.name}": s.photo_digest for s in results.subjects},
    }
    lines = "".join(
        f"<tr><td>{html.escape(name)}<td><code>{html.escape(value)}</code></tr>"
        for name, value in facts.items()
    )
    return f"<table>{lines}</table>"


_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1500px; color: #222;
       padding: 0 1em; background: #fff; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin: 1.6em 0 .4em; }
h3 { font-size: .95em; font-weight: 600; margin: 1em 0 .2em; }
.strip { display: flex; overflow-x: auto; gap: 6px; }
figure { margin: 0; text-align: center; } figcaption { color: #666; font-size: .85em; }
img { height: 320px; width: auto; }
table { border-collapse: collapse; } td, th { padding: .2em .9em .2em 0; text-align: left;
       border-bottom: 1px solid #e4e4e4; vertical-align: top; font-weight: inherit; }
th { font-weight: 600; } small { color: #777; white-space: nowrap; }
.mean td { background: #f6f6f2; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
"""

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Evaluation: {name}</title>
<meta name="viewport" content="width=device-width"><style>{style}</style></head>
<body><h1>Evaluation: {name}</h1><p>{provenance}</p>
{body}
</body></html>
"""
