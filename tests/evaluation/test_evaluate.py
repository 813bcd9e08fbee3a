"""A whole evaluation: specification, frames of others, report, numbers, resuming, gate."""

import json
import re
from dataclasses import dataclass, replace

import pytest
import torch

from persona.core.errors import BackendError, FileFormatError, InputError
from persona.evaluation.avatar_drawer import AvatarDrawer
from persona.evaluation.evaluate import NUMBERS, PAGE, Evaluation, evaluate
from persona.evaluation.frames_of_others import (
    FramesDrawer,
    FramesMethod,
    OtherFrames,
    OtherMethod,
    filled,
)
from persona.evaluation.methods import Drawn
from persona.evaluation.protocol import Rules
from persona.evaluation.readers.opening import Opener
from persona.evaluation.refit import RefitConfig
from persona.evaluation.results import load_results
from persona.evaluation.spec import EvaluationSpec, SubjectSpec, load_spec
from persona.images.files import write_png
from persona.images.masks import overlap
from tests.evaluation.scenes import drawn_of, subject_of

COUNT = 4


@pytest.fixture(scope="module")
def subject(plain_avatar):
    moving = subject_of(plain_avatar, COUNT, scale=0.4)
    frames = list(moving.frames())
    return replace(moving, read=lambda start: iter(frames[start:]))


@dataclass(frozen=True, kw_only=True)
class Ready(Opener):
    """Opens the one subject, whatever is asked for."""

    subject: object

    def open(self, spec):
        if spec.name == "nobody":
            raise FileFormatError("nobody is missing", why="gone", fix="look")
        return replace(self.subject, name=spec.name)


@dataclass(frozen=True)
class AvatarMethod:
    avatar: object
    name: str = "ours"
    about: str = "the truth's own avatar"

    def prepare(self, subject):
        return AvatarDrawer.of(self.avatar, subject)

    def made_seconds(self, subject):
        return 12.0


@dataclass(frozen=True)
class ShiftedMethod:
    name: str = "shifted"
    about: str = "the truth, three pixels beside"

    def prepare(self, subject):
        if subject.name == "bob":
            raise InputError("bob has no pixels", why="a test", fix="none")
        return self

    def draw(self, frame, *, camera=None, maps=False):
        drawn = drawn_of(frame)
        return Drawn(color=drawn.color.roll(3, 1), alpha=drawn.alpha.roll(3, 1))


def job_of(subject, avatar, tmp_path, **more):
    names = more.pop("names", ("ada", "bob"))
    spec = EvaluationSpec(
        name="small",
        subjects=tuple(SubjectSpec(name=name, kind="video", path="x.mp4") for name in names),
        methods=("ours", "shifted"),
        rules=Rules(fitted_every=2, refit=RefitConfig(steps=2, rows=64), batch=2),
        published=("neuman",),
    )
    return Evaluation(
        spec=replace(spec, **more),
        opener=Ready(subject=subject, root=tmp_path, truth=tmp_path, cache=tmp_path),
        methods={"ours": AvatarMethod(avatar), "shifted": ShiftedMethod()},
        command="persona evaluate small.toml --out report",
    )


@pytest.fixture(scope="module")
def report(subject, plain_avatar, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    names = ("ada", "bob", "nobody")
    results = evaluate(job_of(subject, plain_avatar, folder, names=names), folder)
    return folder, results


def test_numbers_are_there_in_both_modes_with_what_could_not_be_done(report):
    folder, results = report
    assert load_results(folder / NUMBERS) == results
    ours = results.row("ada", "ours", "unfitted").numbers
    assert ours["iou"].mean > 0.85
    assert ours["iou"].low <= ours["iou"].mean <= ours["iou"].high
    assert ours["create_seconds"].mean == 12
    assert ours["frames_per_second"].mean > 0
    assert results.row("ada", "ours", "fitted").numbers["iou"].count == 2
    assert results.row("ada", "shifted", "fitted") is None
    assert [(r.subject, r.method) for r in results.refusals] == [
        ("bob", "shifted"),
        ("nobody", "all"),
    ]
    # bob counts in no mean, since one method has nothing for him.
    mean = results.row("mean", "ours", "unfitted").numbers
    assert mean["psnr_box"].mean == pytest.approx(ours["psnr_box"].mean)
    assert {c.stage for c in results.costs} == {"prepare", "draw a frame", "refine a pose"}


def test_the_page_needs_nothing_beside_it_and_tells_everything(report):
    folder, results = report
    page = (folder / PAGE).read_text()
    for text in (
        *("fitted", "unfitted, same frames", "PSNR in the box", "published by others"),
        *("bob has no pixels", "nobody is missing", "ExAvatar", "error of ours", "dB in the box"),
        *("persona evaluate small.toml", results.provenance.code, "Side by side"),
    ):
        assert text.lower() in page.lower(), text
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert str(folder) not in page
    assert str(folder) not in (folder / NUMBERS).read_text()
    assert len(re.findall("<h3>[^<]*in the box", page)) == 8, "the worst of two people"


def test_a_second_run_takes_everything_from_the_first(report, subject, plain_avatar):
    folder, results = report
    before = {p: p.stat().st_mtime_ns for p in (folder / "work").rglob("*.json")}
    names = ("ada", "bob", "nobody")
    again = evaluate(job_of(subject, plain_avatar, folder, names=names), folder)
    assert before == {p: p.stat().st_mtime_ns for p in (folder / "work").rglob("*.json")}
    assert again.rows == results.rows


def test_a_report_without_a_number_is_no_success(tmp_path, capsys):
    from persona.cli.main import main

    spec = tmp_path / "small.toml"
    subject = '[[subjects]]\nname = "a"\nkind = "video"\npath = "a.mp4"\n'
    spec.write_text('methods = ["copy"]\n' + subject)
    assert main(["evaluate", str(spec), "--out", str(tmp_path / "out")]) == InputError.exit_code
    said = "".join(capsys.readouterr())
    assert "nothing was compared" in said
    assert "a, all: a.mp4 cannot be read: there is no such file" in said
    assert "there is no such file" in (tmp_path / "out" / PAGE).read_text()


@dataclass(frozen=True)
class BrokenMethod(ShiftedMethod):
    def prepare(self, subject):
        raise BackendError("no core", why="it is not built", fix="build it")


def test_a_core_that_cannot_run_is_not_written_off_as_refused(subject, plain_avatar, tmp_path):
    job = job_of(subject, plain_avatar, tmp_path, names=("ada",))
    job = replace(job, methods={**job.methods, "shifted": BrokenMethod()})
    with pytest.raises(BackendError, match="no core"):
        evaluate(job, tmp_path)


def test_unknown_methods_and_equal_names_are_refused(subject, plain_avatar, tmp_path):
    with pytest.raises(InputError, match="no method is called 'best'"):
        evaluate(job_of(subject, plain_avatar, tmp_path, methods=("best",)), tmp_path)
    other = OtherMethod(name="ours", frames=())
    with pytest.raises(InputError, match="3 methods with 2 names"):
        evaluate(job_of(subject, plain_avatar, tmp_path, others=(other,)), tmp_path)


def write_others(folder, subject, *, how):
    """Somebody's frames of the subject: cut out, before white, cropped, or placed freely."""
    for frame in subject.frames():
        path = folder / f"{10 + 2 * frame.index:04d}.png"
        drawn = drawn_of(frame)
        own = frame.picture
        white = drawn.over()
        if how == "alpha":
            write_png(path, own, alpha=frame.mask)
        elif how == "white":
            write_png(path, white)
        elif how == "masks":
            write_png(path, own)
            mask = frame.mask[..., None].expand(-1, -1, 3).contiguous()
            write_png(folder / f"mask_{frame.name}.png", mask)
        elif how == "crop":
            write_png(path, white[20:220, 30:170].contiguous())
        elif how == "free":
            small = torch.nn.functional.interpolate(
                white.permute(2, 0, 1)[None], scale_factor=0.75, mode="area"
            )[0].permute(1, 2, 0)
            write_png(path, torch.nn.functional.pad(small, (0, 0, 9, 4, 3, 6), value=1.0))


HOW = {
    "alpha": {},
    "white": {},
    "masks": {"masks": "mask_{name}.png"},
    "crop": {"crop": (30.0, 20.0, 140.0, 200.0)},
    "free": {"align": "mask"},
}


@pytest.mark.parametrize("how", sorted(HOW))
def test_frames_of_others_lie_where_their_specification_says(subject, tmp_path, how):
    write_others(tmp_path, subject, how=how)
    frames = OtherFrames(subject="ada", frames="{index:04d}.png", first=10, step=2, **HOW[how])
    drawer = FramesMethod(other=OtherMethod(name="LHM", frames=(frames,)), root=tmp_path).prepare(
        subject
    )
    assert isinstance(drawer, FramesDrawer)
    for frame in subject.frames():
        drawn = drawer.draw_fitted(frame) if how == "free" else drawer.draw(frame)
        assert overlap(drawn.alpha, frame.mask) > (0.9 if how == "free" else 0.95)
        solid = (frame.mask > 0.99) & (drawn.alpha > 0.99)
        assert float((drawn.color - frame.picture)[solid].abs().mean()) < 0.05
    assert drawer.only_fitted == (how == "free")


def test_frames_that_were_laid_onto_the_truth_are_never_called_unfitted(
    subject, plain_avatar, tmp_path
):
    write_others(tmp_path, subject, how="free")
    frames = OtherFrames(subject="ada", frames="{index:04d}.png", first=10, step=2, align="mask")
    other = OtherMethod(name="Champ", frames=(frames,))
    job = job_of(
        subject, plain_avatar, tmp_path, names=("ada",), methods=("shifted",), others=(other,)
    )
    results = evaluate(job, tmp_path / "report")
    assert results.row("ada", "Champ", "unfitted") is None
    assert results.row("ada", "Champ", "fitted").numbers["iou"].mean > 0.9
    assert results.row("mean", "shifted", "unfitted") is not None


def test_missing_frames_of_others_are_named(subject, tmp_path):
    write_others(tmp_path, subject, how="white")
    frames = OtherFrames(subject="ada", frames="{index:05d}.png")
    method = FramesMethod(other=OtherMethod(name="LHM", frames=(frames,)), root=tmp_path)
    with pytest.raises(FileFormatError, match=r"00000\.png is missing"):
        method.prepare(subject).draw(next(subject.frames()))
    with pytest.raises(InputError, match="has no frames of eve"):
        method.prepare(replace(subject, name="eve"))


def test_patterns_hold_numbers_and_names_and_nothing_else():
    assert filled("a/{index:05d}_{name}.png", index=3, name="x") == "a/00003_x.png"
    assert filled("{index}.{index.__class__}", index=3, name="x") == "3.{index.__class__}"
    assert filled("{0} {name:3d}", index=3, name="7") == "{0} 007"


def test_specifications_are_read_and_mistakes_in_them_named(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        'methods = ["ours"]\n[[subjects]]\nname = "ada"\nkind = "video"\npath = "a.mp4"\n'
        '[[others]]\nname = "LHM"\n[[others.frames]]\nsubject = "ada"\nframes = "{index}.png"\n'
        "crop = [0, 0, 10, 10]\n[rules]\nevery = 2\n"
    )
    spec, root = load_spec(str(path))
    assert (spec.name, spec.methods, spec.rules.every, root) == ("mine", ("ours",), 2, tmp_path)
    assert spec.others[0].frames[0].crop == (0, 0, 10, 10)
    for text, said in (
        ("name = 3", "name"),
        ("methods = [", "cannot be read"),
        ('[[subjects]]\nname = "a"\nkind = "film"', "one of"),
        ('[[subjects]]\nname = "a/b"\nkind = "video"', "is called"),
        ("subjects = []", "0 subjects"),
        ('colour = 1\n[[subjects]]\nname = "a"\nkind = "truth"', "colour is no setting"),
        ('published = ["x"]\n[[subjects]]\nname = "a"\nkind = "truth"', "nothing published"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=said):
            load_spec(str(path))
    with pytest.raises(FileFormatError, match="choose truth"):
        load_spec(str(tmp_path / "none.toml"))
    built, _ = load_spec("truth")
    assert len(built.subjects) == 6


def test_opening_says_what_a_kind_needs(tmp_path):
    opener = Opener(root=tmp_path, truth=tmp_path, cache=tmp_path)
    for kind, name in (("video", "path"), ("turntable", "path")):
        with pytest.raises(InputError, match=f"has no {name}"):
            opener.open(SubjectSpec(name="a", kind=kind))
    with pytest.raises(InputError, match="has no other"):
        opener.open(SubjectSpec(name="a", kind="multiview", path="a.mp4"))
    with pytest.raises(FileFormatError, match="no such file"):
        opener.open(SubjectSpec(name="a", kind="video", path="a.mp4"))


def test_the_gate_of_the_command_passes_and_fails(plain_avatar, tmp_path, capsys):
    """A small run of generated truth: made, measured, compared with itself and with better."""
    from persona.cli.main import main
    from persona.evaluation.gate import EXIT_WORSE

    plain_avatar.save(tmp_path / "tight.persona")
    spec = tmp_path / "small.toml"
    spec.write_text(
        'methods = ["ours"]\ntruth_height = 96\n[rules]\nfitted_every = 0\n'
        '[[subjects]]\nname = "tight"\nkind = "truth"\nframes = 3\n'
    )
    baseline = tmp_path / "baseline.json"
    words = ["evaluate", str(spec), "--out", str(tmp_path / "out"), "--finished", str(tmp_path)]
    words += ["--truth", str(tmp_path / "truth"), "--baseline", str(baseline)]
    assert main([*words, "--gate"]) == 2, "there is no baseline yet"
    assert main([*words, "--save-baseline"]) == 0
    assert main([*words, "--gate"]) == 0
    values = json.loads(baseline.read_text())
    row = next(row for row in values["rows"] if row["subject"] == "tight")
    assert "vertex_mm" in row["numbers"]
    row["numbers"]["psnr_box"] += 1.0
    baseline.write_text(json.dumps(values))
    capsys.readouterr()
    assert main([*words, "--gate"]) == EXIT_WORSE
    said = "".join(capsys.readouterr())
    assert "worse: tight, ours, unfitted: PSNR in the box" in said
    page = (tmp_path / "out" / PAGE).read_text()
    assert str(tmp_path) not in page
    assert "persona evaluate small.toml --out out" in page
