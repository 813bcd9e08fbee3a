"""The page beside every avatar: what came in and out, how good, what was invented, at what cost."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import persona
from persona.avatar import Avatar
from persona.core.atomic import write_text
from persona.core.conventions import PROVENANCE
from persona.core.run_folder import StageReport
from persona.evaluation.contact_sheet import Tile, as_data_url
from persona.evaluation.metrics import scores_from
from persona.pipeline import report_pictures as pictures
from persona.pipeline.refined import Refined
from persona.pipeline.report_training import training_section
from persona.records.body_fit import BodyFit
from persona.records.frame_set import PHOTO, FrameSet
from persona.records.observation import Observation
from persona.records.outfit import Outfit
from persona.records.photo import Photo
from persona.records.wardrobe import Wardrobe
from persona.records.wardrobe_file import wardrobe_lines

MEBIBYTE: Final = 1 << 20
OWN_SOURCES: Final = (PHOTO, "physics")
"""Clips whose pictures are no generated ones."""
SHOWN_FRAMES: Final = 10
"""Pictures by diffusion that are shown."""


@dataclass(frozen=True, kw_only=True)
class Story:
    """Everything a report tells of."""

    photo: Photo
    """What came in."""
    observation: Observation
    """What was seen in it."""
    fit: BodyFit
    """The body in it."""
    wardrobe: Wardrobe
    """The clothes in it."""
    outfit: Outfit
    """The same as meshes."""
    frames: FrameSet | None
    """What clothes learned from; None where they follow the skin."""
    refined: Refined | None
    """What photo and generated pictures taught together; None where they did not."""
    avatar: Avatar
    """What came out, its numbers measured."""
    preset: str
    """Name of the settings."""
    seed: int
    """Seed of the run."""
    costs: tuple[StageReport, ...]
    """Stages in order."""
    licenses: Mapping[str, str]
    """What it was made with -> under which terms."""


def write_report(story: Story, path: Path) -> None:
    """Write one page that needs nothing beside it: no paths, no metadata of the photo."""
    photo, seen, fit, avatar = story.photo, story.observation, story.fit, story.avatar
    sections = (
        ("What was seen", _strip(pictures.photo_tiles(photo, seen, avatar))),
        ("The body inside", _strip(pictures.fit_tiles(photo, seen, fit, avatar))),
        ("The clothes", _clothes(story)),
        ("The same view again", _strip(pictures.comparison_tiles(photo, seen, avatar))),
        ("From eight sides", _strip(pictures.around_tiles(avatar))),
        ("In other poses", _strip(pictures.motion_tiles(avatar))),
        ("The clothes in motion", _moving(story)),
        ("Frames by diffusion", _generated(story)),
        ("Photo and frames together", training_section(story.refined)),
        ("From near", _strip(pictures.near_tiles(avatar))),
        ("What was invented", _invented(story)),
        ("Numbers", _numbers(avatar)),
        ("Cost", _costs(story)),
        ("Made with", _made_with(story)),
    )
    body = "\n".join(f"<section><h2>{title}</h2>{text}</section>" for title, text in sections)
    write_text(path, _PAGE.format(style=_STYLE, body=body, provenance=html.escape(PROVENANCE)))


def _strip(tiles: list[Tile]) -> str:
    figures = (
        f'<figure><img src="{as_data_url(tile.image)}" alt="{html.escape(tile.label)}">'
        f"<figcaption>{html.escape(tile.label)}</figcaption></figure>"
        for tile in tiles
    )
    return f'<div class="strip">{"".join(figures)}</div>'


def _clothes(story: Story) -> str:
    """Show where clothes were taken to end, and say what was made of them and how to correct it."""
    tiles = _strip(pictures.garment_tiles(story.photo, story.observation, story.wardrobe))
    told = (*wardrobe_lines(story.wardrobe), *story.outfit.warnings)
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in told)
    fix = "Anything wrong? Change garments.toml and run again with <code>--garments</code>."
    return f"{tiles}<ul>{lines}</ul><p>{fix}</p>"


def _moving(story: Story) -> str:
    """Show clothes as learned beside clothes as simulated, in a motion that was not taught."""
    tiles = [] if story.frames is None else pictures.cloth_tiles(story.avatar, story.frames)
    if not tiles:
        return "<p>Nothing was learned about them: they follow the skin.</p>"
    told = (
        "From the top: clothes that follow the skin; as the avatar has learned them; the same "
        "baked into a few shapes; simulated. The motion is faster than any it was taught."
    )
    strip = _strip(tiles).replace("strip", "strip tall", 1)
    return f"<p>{told}</p>{strip}"


def _generated(story: Story) -> str:
    """Show some pictures by diffusion, and say which were left out and why."""
    clips = () if story.frames is None else story.frames.clips
    shown = [p for clip in clips if clip.source not in OWN_SOURCES for p in clip.pictures]
    if story.frames is None or not shown:
        return "<p>None were made.</p>"
    some = shown[:: max(1, len(shown) // SHOWN_FRAMES)][:SHOWN_FRAMES]
    tiles = [
        Tile(label=f"frame {picture.frame}, trust {picture.trust:.2f}", image=picture.image)
        for picture in some
    ]
    lines = "".join(f"<li>{html.escape(note)}</li>" for note in story.frames.notes)
    return f"{_strip(tiles)}<ul>{lines}</ul>"


def _invented(story: Story) -> str:
    share = float(story.avatar.seen.float().mean())
    lines = [
        f"The photo shows {share:.0%} of the avatar's {story.avatar.count:,} Gaussians well; "
        f"the other {1 - share:.0%}, the back above all, are completed from what it shows.",
    ]
    for side, was_seen in (
        ("left", story.fit.left_hand_seen),
        ("right", story.fit.right_hand_seen),
    ):
        if not was_seen:
            lines.append(f"The {side} hand was not seen; its pose is that of a relaxed hand.")
    if story.photo.focal_px is None:
        lines.append("The photo does not tell its focal length; a usual one was assumed.")
    lines += story.avatar.warnings
    return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"


def _numbers(avatar: Avatar) -> str:
    rows = []
    for score in scores_from(avatar.numbers):
        metric = score.metric
        if metric.gate is None:
            gate, mark, word = "", "", ""
        else:
            sign = "at least" if metric.better == "higher" else "at most"
            gate = f"{sign} {metric.gate:g}"
            mark, word = ("good", "passes") if score.passed else ("bad", "fails")
        rows.append(
            f"<tr><td>{html.escape(metric.label)}</td><td class=number>{html.escape(score.text)}"
            f'</td><td>{metric.better} is better</td><td>{gate}</td><td class="{mark}">{word}</td>'
            f"<td>{html.escape(metric.because)}</td></tr>"
        )
    head = "<tr><th>what<th>value<th>direction<th>gate<th><th>why it is measured</tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _costs(story: Story) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(cost.name)}</td><td class=number>{cost.seconds:.1f} s</td>"
        f"<td class=number>{cost.cpu_seconds:.1f} s</td>"
        f"<td class=number>{cost.peak_memory / MEBIBYTE:,.0f} MiB</td></tr>"
        for cost in story.costs
    )
    total = sum(cost.seconds for cost in story.costs)
    head = "<tr><th>stage<th>time<th>processor time<th>peak memory so far</tr>"
    foot = f"<tr><th>in all<th class=number>{total:.1f} s<th><th></tr>"
    return f"<table>{head}{rows}{foot}</table>"


def _made_with(story: Story) -> str:
    facts = {
        "version": persona.__version__,
        "preset": story.preset,
        "seed": str(story.seed),
        "body": f"{story.fit.identity.body_name}, SHA-256 {story.fit.identity.body_digest[:16]}",
    }
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>"
        for name, value in (facts | dict(story.licenses)).items()
    )
    return f"<table>{rows}</table>"


_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1500px; color: #222;
       padding: 0 1em; background: #fff; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin: 1.6em 0 .4em; }
.strip { display: flex; overflow-x: auto; gap: 6px; }
figure { margin: 0; text-align: center; } figcaption { color: #666; font-size: .85em; }
img { height: 420px; width: auto; }
.tall img { height: 1100px; }
table { border-collapse: collapse; } td, th { padding: .2em .9em .2em 0; text-align: left;
       border-bottom: 1px solid #e4e4e4; vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.good { color: #1a7f37; } .bad { color: #b42318; font-weight: 600; }
"""

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>An avatar from one photo</title>
<meta name="viewport" content="width=device-width"><style>{style}</style></head>
<body><h1>An avatar from one photo</h1><p>{provenance}</p>
{body}
</body></html>
"""
