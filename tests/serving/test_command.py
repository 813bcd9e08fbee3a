"""`persona serve` as a person runs it: the link, a port that is taken, what is no avatar."""

import http.client
import json
import signal
import socket
import subprocess
import sys
from urllib.parse import urlparse

import pytest

from persona.avatar.avatar import RECORD_NAME
from persona.cli.main import main
from persona.records.storage import save_record
from tests.plain_avatar import make_plain_avatar


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("people") / "ada.persona"
    save_record(path / RECORD_NAME, make_plain_avatar(500), about={"licenses": {"photo": "hers"}})
    return path


@pytest.mark.parametrize("render", ["browser", "server"])
def test_the_link_answers_and_ctrl_c_ends_it(folder, render):
    command = [sys.executable, "-m", "persona", "serve", str(folder), "--port", "0", "--vmc", "0"]
    more = ["--no-browser", "--json", "--render", render, "--source", "wave"]
    with subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            found = (json.loads(line) for line in process.stdout)
            link = urlparse(next(line["link"] for line in found if "link" in line))
            connection = http.client.HTTPConnection(link.hostname or "", link.port, timeout=20)
            connection.request("GET", f"{link.path}start.json")
            told = json.loads(connection.getresponse().read())
            connection.close()
        finally:
            process.send_signal(signal.SIGINT)
            ended = process.wait(20)
    assert ended in (0, 130)
    assert (told["name"], told["render"], told["vmc"]) == ("ada", render, None)
    assert "license of photo: hers" in told["notice"]


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
