"""`persona export --to html`: one file that a real browser opens without any server."""

import base64
import gzip
import html
import json
import re

import pytest
import torch
from safetensors.numpy import load

from persona.avatar.avatar import RECORD_NAME
from persona.cli.main import main
from persona.core.conventions import PROVENANCE, RIGHTS
from persona.records.storage import save_record

LICENSES = {"photo": "her <own>"}


@pytest.fixture(scope="module")
def page(avatar, tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    who = folder / "ada <b>.persona"
    save_record(who / RECORD_NAME, avatar, about={"licenses": LICENSES})
    out = folder / "ada.html"
    words = ["--motion", "wave", "walk", "--out", str(out), "--json"]
    assert main(["export", str(who), "--to", "html", *words]) == 0
    return out


def block(page, name: str) -> bytes:
    found = re.search(rf'id="{name}">([^<]*)<', page.read_text())
    assert found is not None
    return gzip.decompress(base64.b64decode(found[1]))


def test_notice_and_avatar_are_in_the_file(page, avatar):
    text = page.read_text()
    for told in (PROVENANCE, RIGHTS, "license of photo: her <own>"):
        assert f'<meta name="rights" content="{html.escape(told)}" />' in text
    asset = block(page, "persona-asset")
    assert len(load(asset)["means"]) == avatar.count
    size = int.from_bytes(asset[:8], "little")
    head = json.loads(json.loads(asset[8 : 8 + size])["__metadata__"]["head"])
    assert head["about"]["licenses"] == LICENSES
    assert head["about"]["rights"] == RIGHTS
    moves = load(block(page, "persona-motion-1"))["rotations"]
    assert torch.from_numpy(moves).abs().max() > 0.3


def test_nothing_is_fetched(page):
    text = page.read_text()
    assert "connect-src" not in text
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href)=\"(?!data:,)", text)


def test_it_opens_plays_and_says_whose_it_is(browser, page, tmp_path):
    browser.open(page.as_uri(), width=500, height=400)
    browser.wait("window.persona")
    assert browser.run("document.title") == "ada <b> · persona"
    first = browser.run("persona.mixer.time")
    browser.wait(f"persona.mixer.time > {first}")
    names = browser.run("[...document.querySelectorAll('.chips button')].map((b) => b.title)")
    assert names[:2] == ["wave", "walk"]
    browser.run("document.querySelectorAll('.chips button')[1].click()")
    browser.wait("persona.mixer.current.name === 'walk'")
    assert "license of photo: her <own>" in browser.run("document.body.textContent")
    assert RIGHTS in browser.run("document.body.textContent")
    browser.run("document.getElementById('play').click()")
    # Somebody stands in the middle, and nobody at the edge.
    seen = browser.run(
        """(() => {
          persona.background = [[0, 0, 0], [0, 0, 0]];
          persona.shadow = false;
          return persona.player.drawExactly(persona.scene()).then(() => {
            const view = document.getElementById("view");
            const copy = Object.assign(document.createElement("canvas"),
              { width: view.width, height: view.height });
            const drawing = copy.getContext("2d");
            drawing.drawImage(view, 0, 0);
            const { data } = drawing.getImageData(0, 0, copy.width, copy.height);
            const columns = new Array(copy.width).fill(0);
            for (let k = 0; k < data.length; k += 4)
              columns[(k / 4) % copy.width] += data[k] + data[k + 1] + data[k + 2] > 30;
            return [Math.max(...columns.slice(copy.width / 3, (2 * copy.width) / 3)), columns[2]];
          });
        })()"""
    )
    assert seen[0] > 80
    assert seen[1] == 0
    assert browser.problems == []
