"""What finished, what failed and why: a gallery to look at, and tables for programs."""

import csv
import html
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from persona.batch.receipts import Receipt, all_keys, read_receipt
from persona.batch.storage import Shelf
from persona.batch.work import THUMBNAILS

ORDER: Final = ("quarantined", "failed", "done")
"""What needs somebody comes first."""
COLUMNS: Final = (
    *("name", "state", "kind", "output", "seconds", "peak_memory", "tries", "what", "why", "fix"),
)
PAGES: Final = {"create": "/report.html", "animate": "", "evaluate": "/index.html"}
"""What a result's card leads to, inside the result."""
SHOWN: Final = ("psnr_db", "iou", "see_through_share", "psnr_box", "vertex_mm")
"""Numbers under a picture, where they were measured."""
PROVENANCE: Final = "Made from photos of real people by persona."

_STYLE: Final = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;
color:#1b1f24;background:#fafafa}h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(11rem,1fr));gap:1rem}
figure{margin:0;background:#fff;border:1px solid #ddd;border-radius:.5rem;overflow:hidden}
figure img{width:100%;height:13rem;object-fit:contain;background:#fff;display:block}
figcaption{padding:.5rem .7rem;font-size:.85rem;overflow-wrap:anywhere}
.bad{border-color:#c0392b}.quiet{color:#666}.warn{color:#8a5a00}
table{border-collapse:collapse}td,th{padding:.15rem .8rem .15rem 0;text-align:left}
"""


def all_receipts(shelf: Shelf) -> Iterator[Receipt]:
    """Read every receipt, one at a time."""
    for key in all_keys(shelf):
        receipt = read_receipt(shelf, key)
        if receipt is not None:
            yield receipt


def write_summary(shelf: Shelf) -> None:
    """Write ``report.html``, ``results.csv`` and ``results.json`` from the receipts."""
    receipts = sorted(all_receipts(shelf), key=lambda r: (ORDER.index(r.state), r.name, r.key))
    shelf.write("results.json", json.dumps([asdict(r) for r in receipts], indent=1) + "\n")
    shelf.write("results.csv", _table(receipts))
    shelf.write("report.html", _page(receipts))


def _table(receipts: list[Receipt]) -> str:
    numbers = sorted({name for receipt in receipts for name in receipt.numbers})
    text = io.StringIO()
    writer = csv.DictWriter(text, [*COLUMNS, *numbers], extrasaction="ignore", restval="")
    writer.writeheader()
    for receipt in receipts:
        writer.writerow({**asdict(receipt), **receipt.error, **receipt.numbers})
    return text.getvalue()


def _page(receipts: list[Receipt]) -> str:
    done = [r for r in receipts if r.state == "done"]
    bad = [r for r in receipts if r.state != "done"]
    seconds = sum(r.seconds for r in done)
    facts: list[tuple[str, float]] = [
        ("done", len(done)),
        ("failed", sum(r.state == "failed" for r in bad)),
        ("quarantined", sum(r.state == "quarantined" for r in bad)),
    ]
    if done:
        facts.append(("worker time of one [s]", round(seconds / len(done), 1)))
        facts.append(("largest memory [MB]", max(r.peak_memory for r in done) >> 20))
    rows = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in facts)
    parts = [f"<h1>A batch of {len(receipts)}</h1><table>{rows}</table>", _stages(done)]
    for title, group in (("What did not work", bad), ("Results", done)):
        if group:
            cards = "".join(map(_card, group))
            parts.append(f'<h2>{title}</h2><div class="grid">{cards}</div>')
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>persona batch</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f'<body>{"".join(parts)}<p class="quiet">{PROVENANCE}</p></body></html>\n'
    )


def _stages(done: list[Receipt]) -> str:
    names = list(dict.fromkeys(name for receipt in done for name in receipt.stages))
    if not names:
        return ""
    rows = []
    for name in names:
        times = [r.stages[name] for r in done if name in r.stages]
        mean, most = sum(times) / len(times), max(times)
        rows.append(f"<tr><td>{html.escape(name)}</td><td>{mean:.1f}</td><td>{most:.1f}</td></tr>")
    head = "<tr><th>stage</th><th>mean [s]</th><th>longest [s]</th></tr>"
    return f"<h2>Where the time went</h2><table>{head}{''.join(rows)}</table>"


def _card(receipt: Receipt) -> str:
    name = html.escape(receipt.name)
    if receipt.state != "done":
        error = {key: html.escape(value) for key, value in receipt.error.items()}
        return (
            f'<figure class="bad"><figcaption><b>{name}</b> {receipt.state}<br>{error["what"]}'
            f'<br><span class="quiet">{error["why"]}</span><br>{error["fix"]}</figcaption></figure>'
        )
    picture = ""
    target = html.escape(receipt.output + PAGES[receipt.kind])
    if receipt.kind == "create":
        picture = f'<img loading="lazy" alt="{name}" src="{THUMBNAILS}/{receipt.key}.jpg">'
    numbers = ", ".join(f"{k} {receipt.numbers[k]:.3g}" for k in SHOWN if k in receipt.numbers)
    warnings = "".join(f'<br><span class="warn">{html.escape(w)}</span>' for w in receipt.warnings)
    return (
        f'<figure><a href="{target}">{picture}</a><figcaption><b>{name}</b>'
        f' <span class="quiet">{receipt.seconds:.0f} s</span><br>{numbers}{warnings}'
        "</figcaption></figure>"
    )
