"""Measure how good avatars are: on clips, turns, several cameras, data sets and generated people.

Each method is given one photo of each person and draws all other frames. Writes one page,
index.html, and one file of numbers, results.json. A run that was stopped goes on where it was.
"""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import tyro

from persona.core.errors import InputError
from persona.core.progress import current

if TYPE_CHECKING:
    from persona.evaluation.evaluate import Evaluation
    from persona.evaluation.picture_metrics import PictureMeter
    from persona.evaluation.results import Results
    from persona.evaluation.spec import EvaluationSpec


@dataclass(frozen=True, kw_only=True)
class Args:
    """What `persona evaluate` takes."""

    spec: Annotated[str, tyro.conf.Positional]
    """A TOML file, or a built-in name: truth (six generated people, one frame in four),
    truth-full (all of them)."""
    out: Path
    """Folder of the report."""
    methods: str | None = None
    """Which methods, with commas between, instead of those of the specification: ours, rigid, copy,
    stiff, baked, physics, photo-only, draft, refined, unbalanced."""
    subjects: str | None = None
    """Only these of its subjects, with commas between."""
    every: int | None = None
    """Compare one frame in so many."""
    fitted_every: int | None = None
    """Refine the pose in one compared frame in so many; 0 in none."""
    surface_every: int | None = None
    """Compare known surfaces in one frame in so many."""
    truth: Path | None = None
    """Where generated people are kept, and made where they are not there; by default in --out."""
    avatars: Path | None = None
    """Where avatars are kept; by default in --out."""
    finished: Path | None = None
    """Folder of finished avatars, SUBJECT.persona: used for ours instead of making them."""
    cache: Path | None = None
    """Where tracks and masks of clips are kept; by default in --out."""
    lpips: Path | None = None
    """Folder with weights of LPIPS: vgg16.pth and lpips_vgg.pth, alexnet.pth and lpips_alex.pth,
    or one of the pairs. Left out, LPIPS is not measured."""
    gate: bool = False
    """Compare with the baseline, and leave with code 5 when a number is worse than it allows."""
    baseline: Path = Path("benchmarks/quality/baseline.json")
    """The numbers to compare with."""
    save_baseline: bool = False
    """Write the numbers of this run as the baseline."""


_WITHOUT_VALUE: Final = ("gate", "save_baseline")


def run(args: Args) -> int:
    """Evaluate, write, and compare if asked; return 0, or `gate.EXIT_WORSE`."""
    if args.gate and not args.baseline.is_file():
        raise InputError(
            f"there is no baseline {args.baseline.name}",
            why="--gate compares with numbers of an earlier run",
            fix="write one with --save-baseline, or say where it is with --baseline",
        )
    from persona.evaluation.evaluate import NUMBERS, PAGE, evaluate
    from persona.evaluation.gate import EXIT_WORSE, find_worse, save_baseline

    results = evaluate(_job(args), args.out)
    voice = current()
    for line in _lines(results):
        voice.say(line)
    worse = find_worse(results, args.baseline) if args.gate else []
    for finding in worse:
        voice.warn(f"worse: {finding.text}")
    if args.save_baseline:
        save_baseline(args.baseline, results)
    said: dict[str, object] = {"report": args.out / PAGE, "numbers": args.out / NUMBERS}
    if args.gate:
        said["gate"] = f"{len(worse)} numbers are worse" if worse else "nothing is worse"
    voice.result(said)
    if not results.rows:
        raise InputError(
            "nothing was compared",
            why="; ".join(f"{r.subject}, {r.method}: {r.what}" for r in results.refusals),
            fix="correct what was refused; the report repeats it",
        )
    return EXIT_WORSE if worse else 0


def _job(args: Args) -> "Evaluation":
    from persona.evaluation.evaluate import Evaluation
    from persona.evaluation.readers.opening import Opener
    from persona.evaluation.spec import load_spec
    from persona.pipeline.creations import Finished, Workshop
    from persona.pipeline.evaluated import our_methods

    spec, root = load_spec(args.spec)
    spec = _narrowed(spec, args)
    work = args.out / "work"
    workshop = Workshop(root=args.avatars or work / "avatars")
    there = {}
    if args.finished is not None:
        folders = {s.name: args.finished / f"{s.name}.persona" for s in spec.subjects}
        there = {name: folder for name, folder in folders.items() if folder.is_dir()}
    return Evaluation(
        spec=spec,
        opener=Opener(
            root=root,
            truth=args.truth or work / "truth",
            cache=args.cache or work / "clips",
            truth_height=spec.truth_height,
        ),
        methods=our_methods(Finished(folders=there, others=workshop)),
        meter=_meter(args.lpips),
        command=_command(args),
    )


def _narrowed(spec: "EvaluationSpec", args: Args) -> "EvaluationSpec":
    """Put what the command line says in place of what the specification says."""
    names = ("every", "fitted_every", "surface_every")
    given = {name: value for name in names if (value := getattr(args, name)) is not None}
    spec = replace(spec, rules=replace(spec.rules, **given))
    if args.methods is not None:
        spec = replace(spec, methods=tuple(filter(None, args.methods.split(","))))
    if args.subjects is None:
        return spec
    wanted = args.subjects.split(",")
    known = {subject.name: subject for subject in spec.subjects}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise InputError(
            f"no subject is called {unknown[0]!r}",
            why=f"the specification has {', '.join(known)}",
            fix="correct --subjects",
        )
    return replace(spec, subjects=tuple(known[name] for name in wanted))


def _meter(folder: Path | None) -> "PictureMeter":
    from persona.evaluation.picture_metrics import PictureMeter
    from persona.images.lpips import ALEX, VGG, has_lpips, load_lpips

    if folder is None:
        return PictureMeter()
    trunks = {"alex": ALEX, "vgg": VGG}
    there = {name: trunk for name, trunk in trunks.items() if has_lpips(folder, trunk)}
    if not there:
        load_lpips(folder, ALEX)  # says which files are missing
    return PictureMeter(lpips={n: load_lpips(folder, trunk) for n, trunk in there.items()})


def _command(args: Args) -> str:
    """Write the command as somebody else would, without folders of this machine."""
    words = ["persona", "evaluate", Path(args.spec).name]
    for name, value in vars(args).items():
        if name == "spec" or value is None or value == getattr(Args, name, None):
            continue
        flag = "--" + name.replace("_", "-")
        if name in _WITHOUT_VALUE:
            words += [flag]
        else:
            words += [flag, value.name if isinstance(value, Path) else str(value)]
    return shlex.join(words)


def _lines(results: "Results") -> list[str]:
    """Say the main numbers, one line a row."""
    from persona.evaluation.margins import margin_over
    from persona.evaluation.picture_metrics import PICTURE_METRICS

    shown = ("psnr_box", "ssim_box", "iou", "psnr_published", "vertex_mm")
    lines = []
    for row in results.rows:
        cells = [
            f"{PICTURE_METRICS[name].label} {PICTURE_METRICS[name].written(found.mean)} "
            f"{PICTURE_METRICS[name].unit}"
            for name in shown
            if (found := row.numbers.get(name)) is not None
        ]
        lines.append(f"{row.subject}, {row.method}, {row.mode}: {'; '.join(cells)}")
    margin = margin_over(results)
    lines += [] if margin is None else [margin.text]
    lines += [f"{r.subject}, {r.method}: refused: {r.what}" for r in results.refusals]
    return lines
