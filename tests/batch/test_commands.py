"""Jobs that are commands: real avatars, animated and measured in processes of their own."""

import json

import numpy as np
import pytest
from PIL import Image

from persona.avatar import Avatar
from persona.batch.commands import run_command
from persona.batch.head import run_batch
from persona.batch.jobs import plan_jobs
from persona.batch.pool import Limits, LocalPool
from persona.batch.receipts import read_receipt
from persona.batch.recorder import Recorder
from persona.batch.storage import Shelf
from persona.batch.summary import write_summary
from persona.cli.main import main
from persona.core.errors import InputError
from persona.synthesis.sample.person import draw_sample_person
from tests.batch.test_batch import Heard
from tests.plain_avatar import make_plain_avatar

SPEC = """
methods = ["ours"]
truth_height = 96
[rules]
fitted_every = 0
[[subjects]]
name = "tight"
kind = "truth"
frames = 3
"""


@pytest.fixture(scope="module")
def plain_avatar():
    return make_plain_avatar(2000)


def test_a_command_that_refuses_says_why(tmp_path):
    with pytest.raises(InputError) as told:
        run_command(
            ["animate", str(tmp_path / "no.persona"), f"--out={tmp_path}/a.mp4"], Recorder()
        )
    assert told.value.fix


def test_many_avatars_move(plain_avatar, tmp_path):
    source = tmp_path / "ada-0123abcd.persona"
    plain_avatar.save(source)
    shelf = Shelf(str(tmp_path / "out"))
    jobs = list(plan_jobs("animate", [str(source)], {"motion": "walk", "size": 64}))
    pool = LocalPool(shelf.url, workers=1, threads=1, limits=Limits())
    assert run_batch(jobs, shelf, pool, progress=Heard()).done == 1
    receipt = read_receipt(shelf, jobs[0].key)
    assert receipt.numbers["height"] == 64
    assert receipt.stages
    assert (shelf.root / receipt.output).stat().st_size > 1000


@pytest.mark.slow
def test_photos_become_avatars_and_the_gallery_shows_them(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    picture = (draw_sample_person(seed=3, height=720) * 255).round().byte().numpy()
    Image.fromarray(picture).save(photos / "ada.png")
    Image.fromarray(np.full_like(picture, 200)).save(photos / "wall.png")
    out = tmp_path / "out"
    words = ["batch", str(photos), "--out", str(out), "--preset", "draft", "--workers", "1"]
    assert main(words) == 6
    done, refused = sorted(json.loads((out / "results.json").read_text()), key=lambda r: r["state"])
    assert Avatar.load(out / done["output"]).count > 1000
    assert {"perceive", "fit", "optimize"} <= set(done["stages"])
    assert done["numbers"]["iou"] > 0.8
    assert "nobody was found" in refused["error"]["what"]
    with Image.open(out / "thumbnails" / f"{done['key']}.jpg") as shown:
        assert shown.height > 100
    page = (out / "report.html").read_text()
    assert f"iou {done['numbers']['iou']:.3g}" in page
    assert page.index("nobody was found") < page.index(f"{done['output']}/report.html")
    assert not [path for path in (out / "results").iterdir() if path.name.startswith(".")]


@pytest.mark.slow
def test_many_avatars_are_measured(plain_avatar, tmp_path):
    plain_avatar.save(tmp_path / "tight-0123abcd.persona")
    plain_avatar.save(tmp_path / "nobody.persona")
    spec = tmp_path / "small.toml"
    spec.write_text(SPEC)
    out = tmp_path / "out"
    words = ["batch", "evaluate", str(tmp_path / "tight-0123abcd.persona")]
    words += [str(tmp_path / "nobody.persona"), "--out", str(out), "--spec", str(spec)]
    assert main([*words, "--workers", "1"]) == 6
    measured, unknown = sorted(
        json.loads((out / "results.json").read_text()), key=lambda r: r["state"]
    )
    assert measured["numbers"]["psnr_box"] > 5
    assert "no subject is called 'nobody'" in unknown["error"]["what"]
    assert sorted(measured["files"]) == ["index.html", "results.json"]
    write_summary(Shelf(str(out)))
    assert f"{measured['output']}/index.html" in (out / "report.html").read_text()
