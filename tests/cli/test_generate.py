"""`persona generate`: physics by an avatar, and one film by one or two processes, killed or not."""

import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from persona.animation import program
from persona.avatar.avatar import neutral_vertices
from persona.cli.main import main
from persona.images.files import write_png
from persona.pipeline.create import OUTFIT
from persona.pipeline.dressed_motion import SynthesizeFrames
from persona.records.frame_set import FrameSet
from persona.records.outfit import Outfit
from persona.records.storage import load_record, save_record
from persona.synthesis.physics.frames import GeneratePhysics, PhysicsConfig
from persona.synthesis.physics.patterns import cut_skirt
from persona.synthesis.physics.pictures import PictureConfig
from tests.cli.generate_tiny import run, see_the_sitter
from tests.pipeline.conftest import CountingStages
from tests.plain_avatar import make_plain_avatar

# Tiny weights of the published layout.
from tests.synthesis.diffusion.conftest import parts, published  # noqa: F401

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stages():
    return CountingStages(make_plain_avatar(3_000))


@pytest.fixture
def photo(stages, tmp_path):
    write_png(tmp_path / "who.png", stages.photo.rgb)
    return tmp_path / "who.png"


@pytest.fixture
def short(monkeypatch):
    """Half a second of a kick is taught, and less of a faster one held out."""
    piece = program.Piece(name="kick", speed=1.0, start=1.0, seconds=0.4)
    monkeypatch.setattr(program, "TAUGHT", (piece,))
    monkeypatch.setattr(program, "JUDGED", (replace(piece, speed=1.3, seconds=0.3),))
    monkeypatch.setattr(program, "WANDER_SECONDS", 0.2)
    pictures = PictureConfig(every=10, height=96)
    physics = GeneratePhysics(config=PhysicsConfig(nodes=100, repeated=0.2, pictures=pictures))
    monkeypatch.setattr(
        "persona.pipeline.generators.SynthesizeFrames", lambda: SynthesizeFrames(physics=physics)
    )


@pytest.mark.usefixtures("short")
def test_physics_moves_a_finished_avatar(stages, photo, monkeypatch, tmp_path):
    see_the_sitter(monkeypatch, stages)
    avatar, folder, out = stages.avatar, tmp_path / "who.persona", tmp_path / "frames"
    avatar.save(folder)
    rest = neutral_vertices(avatar.body, avatar.identity)
    outfit = Outfit(garments=(cut_skirt(avatar.body, rest, around=40, rows=12),))
    save_record(folder / OUTFIT, outfit)
    command = ["generate", str(photo), "--generator", "physics", "--out", str(out)]
    assert main([*command, "--avatar", str(folder)]) == 0
    frames = load_record(out / "frames", FrameSet)
    shown = [picture for clip in frames.clips for picture in clip.pictures]
    # Clips count their frames alone: no picture may take another's name.
    assert len(list(out.glob("*.png"))) == len(shown) > len(frames.clips) > 1
    assert all(float(picture.mask.max()) > 0.9 for picture in shown)


@pytest.mark.usefixtures("short")
def test_physics_without_an_avatar_says_which_option_is_missing(
    stages, photo, monkeypatch, tmp_path, capsys
):
    see_the_sitter(monkeypatch, stages)
    command = ["generate", str(photo), "--generator", "physics", "--out", str(tmp_path / "frames")]
    assert main(command) == 2
    assert "--avatar" in capsys.readouterr().err


def apart(one, other):
    """Largest difference of the pictures of two folders [levels], and of their trust."""
    first, second = (load_record(folder / "frames", FrameSet).clips[0] for folder in (one, other))
    assert len(first.pictures) == len(second.pictures) == 9
    pairs = list(zip(first.pictures, second.pictures, strict=True))
    return (
        max(int((a.image_8.int() - b.image_8.int()).abs().max()) for a, b in pairs),
        max(abs(a.trust - b.trust) for a, b in pairs),
    )


@pytest.mark.slow
def test_two_processes_make_one_film_and_go_on_where_they_were_killed(
    photo,
    published,  # noqa: F811
    tmp_path,
):
    base, checkpoint = published
    command = [str(photo), "--base", str(base), "--checkpoint", str(checkpoint), "--device", "cpu"]
    command += ["--frames", "9", "--every", "1", "--steps", "2", "--out"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    started += ["--master-port", str(port), "-m", "tests.cli.generate_tiny"]

    def by_two(kill_at):
        call = [*started, str(tmp_path), str(kill_at), *command, str(tmp_path / "two")]
        return subprocess.run(
            call, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
        )

    def ticks():
        counted = [(tmp_path / f"ticks-{rank}").read_text().count("tick") for rank in (0, 1)]
        for rank in (0, 1):
            (tmp_path / f"ticks-{rank}").unlink()
        return counted

    killed = by_two(5)
    assert killed.returncode != 0
    assert not (tmp_path / "two").exists()
    before = ticks()
    done = by_two(0)
    assert done.returncode == 0, done.stderr[-3000:]
    after = ticks()
    # Three windows, two halves, two steps for two, then four chunks for two.
    assert before[0] == 5
    assert after[0] < 6 + 2
    assert before[0] + after[0] <= 6 + 2 + 1
    assert list(tmp_path.glob(".two.run*")) == []
    alone = tmp_path / "alone"
    alone.mkdir()
    assert run(alone, 0, [*command, str(tmp_path / "one")]) == 0
    levels, trust = apart(tmp_path / "one", tmp_path / "two")
    assert levels <= 1
    assert trust < 0.01
    # The film is none that anything would make.
    pictures = load_record(tmp_path / "one" / "frames", FrameSet).clips[0].pictures
    assert float(torch.stack([p.image_8.float() for p in pictures]).std(0).mean()) > 0.5
