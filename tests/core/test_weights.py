import hashlib
import http.server
import json
import threading
from functools import partial

import pytest

from persona.core.errors import FileFormatError, InputError, MissingPartError
from persona.core.weights import entry, matching, verify_weights, weights_path, weights_paths
from persona.core.weights_fetch import fetch_weights
from persona.core.weights_table import ENTRIES

NAME = "mimicmotion-1.1"
FILE = "MimicMotion_1-1.pth"
DATA = bytes(range(256)) * 5000


class Hub(http.server.BaseHTTPRequestHandler):
    """A hub with one repository; `stop_after` bytes it hangs up."""

    def __init__(self, state, *args):
        self.state = state
        super().__init__(*args)

    def log_message(self, *args): ...

    def do_GET(self):
        self.state["asked"].append((self.path, self.headers.get("Range")))
        if "/api/models/" in self.path:
            row = {"type": "file", "path": FILE, "size": len(DATA)}
            row["lfs"] = {"oid": self.state["sha256"]}
            self.answer(200, json.dumps([row, *self.state["more"]]).encode())
        elif self.state["status"] != 200:
            self.answer(self.state["status"], b"")
        else:
            begin = self.headers.get("Range")
            start = int(begin[6:-1]) if begin else 0
            self.answer(206 if begin else 200, DATA[start : self.state["stop_after"]])

    def answer(self, code, body):
        self.send_response(code)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def hub():
    state = {"asked": [], "more": [], "status": 200, "stop_after": None}
    state["sha256"] = hashlib.sha256(DATA).hexdigest()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, state))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    state["url"] = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_entry_states_its_terms():
    for known in ENTRIES.values():
        assert all((known.license, known.allows, known.purpose, known.gigabytes > 0))
        assert known.address.startswith("https://")
        assert set(known.needed) <= {name for name in known.needed if matching(known, [name])}, (
            "what is needed must be fetched"
        )


def test_what_is_missing_names_the_command(tmp_path):
    with pytest.raises(MissingPartError, match="nothing is fetched unasked") as caught:
        weights_path(NAME, tmp_path)
    assert f"persona weights fetch {NAME}" in caught.value.fix
    with pytest.raises(InputError, match="no weights called"):
        weights_path("nothing")


def test_all_that_is_missing_is_one_command(tmp_path):
    names = ("sapiens2-pose-0.4b", "vitmatte-small-composition-1k", "swin2sr-classical-sr-x2-64")
    folders = {name: tmp_path / name for name in names}
    for file in entry(names[1]).needed:
        folders[names[1]].mkdir(exist_ok=True)
        (folders[names[1]] / file).touch()
    with pytest.raises(MissingPartError, match="2 sets of weights are not here") as caught:
        weights_paths(folders)
    assert f"persona weights fetch {names[0]} {names[2]}   (about 1.75 GB)" in caught.value.fix
    with pytest.raises(MissingPartError, match="nothing is fetched unasked") as caught:
        weights_paths({name: folders[name] for name in names[1:]})
    assert f"persona weights fetch {names[2]}" in caught.value.fix
    assert weights_paths({names[1]: folders[names[1]]}) == {names[1]: folders[names[1]]}


def test_fetched_weights_verify_and_damage_is_seen(hub, tmp_path):
    where = fetch_weights(NAME, out=tmp_path, hub=hub["url"])
    assert (where / FILE).read_bytes() == DATA
    assert verify_weights(NAME, tmp_path) == {FILE: "ok"}
    asked = len(hub["asked"])
    fetch_weights(NAME, out=tmp_path, hub=hub["url"])
    assert len(hub["asked"]) == asked + 1, "what is whole is not fetched again"
    (where / FILE).write_bytes(DATA[:-1] + b"x")
    assert verify_weights(NAME, tmp_path) == {FILE: "damaged"}
    (where / FILE).write_bytes(DATA[:-1])
    assert verify_weights(NAME, tmp_path) == {FILE: "wrong size"}


def test_a_broken_download_goes_on(hub, tmp_path):
    hub["stop_after"] = 400_000
    with pytest.raises(FileFormatError, match="400000 bytes"):
        fetch_weights(NAME, out=tmp_path, hub=hub["url"])
    assert not (tmp_path / FILE).exists()
    hub["stop_after"] = None
    fetch_weights(NAME, out=tmp_path, hub=hub["url"])
    assert hub["asked"][-1][1] == "bytes=400000-"
    assert (tmp_path / FILE).read_bytes() == DATA


def test_other_bytes_are_refused(hub, tmp_path):
    hub["sha256"] = "0" * 64
    with pytest.raises(FileFormatError, match="publisher states"):
        fetch_weights(NAME, out=tmp_path, hub=hub["url"])
    assert list(tmp_path.glob("**/*.pth")) == []


def test_terms_offline_and_climbing_names_are_refused(hub, tmp_path):
    hub["status"] = 403
    with pytest.raises(InputError, match="refused") as caught:
        fetch_weights(NAME, out=tmp_path, hub=hub["url"])
    assert "HF_TOKEN" in caught.value.fix
    with pytest.raises(InputError, match="offline"):
        fetch_weights(NAME, out=tmp_path, hub=hub["url"], offline=True)
    hub["more"] = [{"type": "file", "path": "../../evil", "size": 1}]
    with pytest.raises(FileFormatError, match="outside"):
        fetch_weights(NAME, out=tmp_path, hub=hub["url"])
