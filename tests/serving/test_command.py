"""`persona serve` as a person runs it: the link, a port that is taken, what is no avatar."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
from urllib.parse import urlparse

import pytest
from websockets.sync.client import connect

from persona.avatar.avatar import RECORD_NAME
from persona.cli.main import main
from persona.records.storage import save_record
from persona.serving.sending import live_address
from tests.plain_avatar import make_plain_avatar


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("people") / "ada.persona"
    save_record(path / RECORD_NAME, make_plain_avatar(500), about={"licenses": {"photo": "hers"}})
    return path


@contextlib.contextmanager
def served(folder, *more: str):
    command = [sys.executable, "-m", "persona", "serve", str(folder), "--port", "0", "--json"]
    with subprocess.Popen(
        [*command, "--no-browser", *more], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            found = (json.loads(line) for line in process.stdout)
            yield next(line["link"] for line in found if "link" in line)
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) in (0, 130)


def start_of(link: str) -> dict:
    parts = urlparse(link)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", f"{parts.path}start.json")
        return json.loads(connection.getresponse().read())


@pytest.mark.parametrize("render", ["browser", "server"])
def test_the_link_answers_and_ctrl_c_ends_it(folder, render):
    with served(folder, "--render", render, "--source", "wave", "--vmc", "0") as link:
        told = start_of(link)
    assert (told["name"], told["render"], told["vmc"]) == ("ada", render, None)
    assert "license of photo: hers" in told["notice"]


def test_a_taken_vmc_port_is_said_on_the_page(folder):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with served(folder, "--vmc", str(port)) as link:
            assert start_of(link)["vmc"] is None
            with connect(live_address(link), proxy=None) as viewer:
                said = json.loads(viewer.recv(timeout=20))["say"]
    assert f"VMC is not heard: UDP port {port} cannot be used" in said


def test_a_taken_port_is_said_in_words(folder, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        words = ["--port", str(other.getsockname()[1]), "--no-browser", "--vmc", "0"]
        assert main(["serve", str(folder), *words]) == 2
    said = capsys.readouterr().err
    assert "another program listens there" in said
    assert "--port 0" in said


def test_what_is_no_avatar_is_refused(tmp_path, capsys):
    assert main(["serve", str(tmp_path / "nobody.persona"), "--no-browser"]) == 2
    assert "nobody.persona" in capsys.readouterr().err
