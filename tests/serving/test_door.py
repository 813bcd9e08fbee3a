"""Strangers stay outside, and what they send hurts nobody."""

import contextlib
import http.client
import json
import socket

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from persona.core.errors import InputError
from persona.serving import PoseSender, send_pose
from persona.serving.app import Rooms
from persona.serving.schema import HEAD, Kind, unpack_pose
from persona.serving.sending import live_address
from persona.serving.server import PageServer

DOTS = ("..", "%2e%2e", "..%2f", "%2e%2e%2f", "..%5c", "....//")


def ask(running, path, *, method="GET", body=None, **headers):
    """Send a request exactly as written: no client of ours tidies the path."""
    connection = http.client.HTTPConnection("127.0.0.1", running.server.port, timeout=20)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection._encode_request = lambda request: request.encode("latin1")
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    with contextlib.closing(connection):
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())


@pytest.fixture
def dial():
    """Open WebSockets that are closed at the end of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda address, **more: stack.enter_context(connect(address, proxy=None, **more))


def inside(running, path="") -> str:
    return f"/{running.server.token}/{path}"


def test_the_page_comes_with_a_strict_policy(running):
    status, body, headers = ask(running, inside(running))
    assert status == 200
    assert b"<canvas" in body
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost.evil.example:80", ""])
def test_a_foreign_host_is_refused(running, host):
    assert ask(running, inside(running), Host=host)[0] in (400, 421)


def test_localhost_is_this_machine(running):
    assert ask(running, inside(running), Host=f"localhost:{running.server.port}")[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_a_foreign_origin_is_refused(running, origin):
    assert ask(running, inside(running, "start.json"), Origin=origin)[0] == 403


@pytest.mark.parametrize(
    "path", ["/", "/x/", "/start.json", "//", "/%00/", "/\u00e9".encode().decode("latin1")]
)
def test_without_the_token_there_is_nothing(running, path):
    assert ask(running, path)[0] in (400, 403)


@pytest.mark.parametrize("depth", [1, 2, 5, 12])
@pytest.mark.parametrize("dots", DOTS)
def test_no_path_leads_out(running, dots, depth):
    up = "/".join([dots] * depth)
    for path in (inside(running, f"{up}/etc/passwd"), inside(running, f"motion/{up}/etc/passwd")):
        status, body, _ = ask(running, path)
        assert status in (400, 403, 404, 422)
        assert b"root:" not in body


def test_nothing_is_listed(running):
    for path in ("page/", "motion/", "src", "sources.sha256", ".git/config"):
        assert ask(running, inside(running, path))[0] in (404, 422)


def test_an_oversize_file_is_refused(running, monkeypatch):
    monkeypatch.setattr("persona.serving.app.MOST_FILE_BYTES", 1000)
    status, body, _ = ask(
        running, inside(running, "motion?name=a.bvh"), method="POST", body=b"x" * 5000
    )
    assert status == 422
    assert "too large" in json.loads(body)["what"]


def test_a_damaged_file_is_refused_in_words(running):
    path = inside(running, "motion?name=../../a.bvh")
    status, body, _ = ask(running, path, method="POST", body=b"HIERARCHY nonsense")
    assert status == 422
    assert set(json.loads(body)) == {"what", "why", "fix"}


@pytest.mark.parametrize("place", ["live", "pose"])
def test_a_socket_needs_token_and_origin(running, dial, place):
    port = running.server.port
    with pytest.raises(InvalidStatus):
        dial(f"ws://127.0.0.1:{port}/{place}")
    with pytest.raises(InvalidStatus):
        dial(f"{live_address(running.link)[:-4]}{place}", origin="http://evil.example")


@pytest.mark.parametrize(
    "message",
    [
        b"", b"x", b"\0" * 16, b"\1\0\0\0" + b"\xff" * 900, HEAD.pack(Kind.POSE, 0, 0.0),
        "nonsense", "[]", '{"smoothing": 7}', '{"smoothing": NaN}', '{"else": 1}', "[" * 4000,
        HEAD.pack(99, 0, 0.0) + b"\0" * 672, "x" * 5000,
    ],
)  # fmt: skip
def test_a_malformed_message_ends_its_own_connection_alone(running, dial, message):
    other = dial(live_address(running.link))
    for place in ("live", "pose"):
        bad = dial(f"{live_address(running.link)[:-4]}{place}")
        bad.send(message)
        with pytest.raises(ConnectionClosed):
            bad.recv(timeout=10)
    send_pose(running.link, np.full(165, 0.1), [0, 1, 0])
    assert float(unpack_pose(other.recv(timeout=10)).transl[1]) == 1


def test_a_message_beyond_all_limits_is_cut_off(running, dial):
    bad = dial(live_address(running.link))
    with pytest.raises(ConnectionClosed):
        bad.send(b"\3\0\0\0" + b"\0" * (1 << 20))
        bad.recv(timeout=10)


def test_poses_arrive_with_their_numbers(running, dial):
    viewer = dial(live_address(running.link))
    pose = np.linspace(-1, 1, 165).reshape(55, 3)
    with PoseSender(running.link) as sender:
        sender.send(pose, [1, 2, 3], np.arange(10) / 10)
        got = unpack_pose(viewer.recv(timeout=10))
    np.testing.assert_allclose(got.rotations, pose, atol=1e-6)
    np.testing.assert_allclose(got.transl, [1, 2, 3])
    np.testing.assert_allclose(got.expression, np.arange(10) / 10, atol=1e-6)


def test_who_does_not_acknowledge_gets_two_and_then_the_latest(running, dial):
    viewer = dial(live_address(running.link))
    viewer.send('{"smoothing": 0}')
    with PoseSender(running.link) as sender:
        for k in range(20):
            sender.send(np.zeros(165), [0, k / 10, 0])
        first = [unpack_pose(viewer.recv(timeout=10)) for _ in range(2)]
        with pytest.raises(TimeoutError):
            viewer.recv(timeout=0.3)
        viewer.send(HEAD.pack(Kind.ACK, first[0].sequence, 0.0)[:8])
        latest = unpack_pose(viewer.recv(timeout=10))
        assert float(latest.transl[1]) == pytest.approx(1.9)


def test_a_pose_of_the_wrong_size_is_refused_before_it_is_sent(running):
    with PoseSender(running.link) as sender, pytest.raises(InputError, match="rotations"):
        sender.send(np.zeros(66))


def test_a_wrong_link_is_refused_in_words(running):
    with pytest.raises(InputError, match="did not answer") as caught:
        send_pose(f"http://127.0.0.1:{running.server.port}/wrong/", np.zeros(165))
    assert "token" in caught.value.fix


def test_a_taken_port_is_said_in_words(running):
    rooms = Rooms(show=running.show, hub=running.hub, webcam=None, vmc_port=None)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(InputError, match="cannot be used") as caught:
            PageServer(rooms, port=other.getsockname()[1])
    assert "--port" in caught.value.fix
