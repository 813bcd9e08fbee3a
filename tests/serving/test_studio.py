"""Pages that cannot draw get pictures of our own renderer, at their own pace."""

import io
import json
import time

import numpy as np
import pytest
import torch
from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from persona.animation.player import draw_frame
from persona.core.errors import InputError
from persona.geometry.cameras import look_at
from persona.serving import PoseSender
from persona.serving.app import Rooms
from persona.serving.hub import Hub
from persona.serving.schema import ACK, HEAD, Kind, unpack_view
from persona.serving.sending import live_address
from persona.serving.studio import Studio, _backdrop, _jpeg
from tests.serving.conftest import start
from tests.serving.test_page import opened

SIZE = [120, 160]


def the_view() -> dict:
    rows = look_at(torch.tensor([0.7, 1.2, 3.2]), torch.tensor([0.0, 0.9, 0.0]))[:3]
    return {"rows": rows.flatten().tolist(), "focal": 230.0, "size": SIZE}


@pytest.fixture
def drawing(running, avatar):
    hub, studio = Hub(), Studio(avatar, "idle")
    hub.also.append(studio.act.take)
    rooms = Rooms(
        show=running.show, hub=hub, webcam=None, vmc_port=None, studio=studio,
        background=(studio.run,),
    )  # fmt: skip
    server, thread = start(rooms)
    yield server
    server.stop()
    thread.join(20)


def next_picture(viewer) -> np.ndarray:
    data = viewer.recv(timeout=20, decode=False)
    kind, sequence, _ = HEAD.unpack_from(data)
    assert kind == Kind.PICTURE
    viewer.send(ACK.pack(Kind.ACK, sequence))
    return np.asarray(Image.open(io.BytesIO(data[HEAD.size :])).convert("RGB")) / 255


def test_the_picture_is_our_renderers_of_the_live_pose(drawing, avatar):
    turns = torch.zeros(55, 3)
    turns[16, 2], turns[1, 0] = 0.8, -0.5
    params = avatar.photo_params.with_full_pose(turns)
    params.transl[:] = torch.tensor([0.0, 1.0, 0.0])
    camera = unpack_view(the_view())
    drawn = draw_frame(avatar.pose(params), camera, background=_backdrop(*SIZE))
    # Colours at random lose much as JPEG; the picture beyond that is what is compared.
    wanted = np.asarray(Image.open(io.BytesIO(_jpeg(drawn)))) / 255
    with connect(live_address(drawing.link), proxy=None) as viewer, PoseSender(drawing.link) as it:
        viewer.send(json.dumps({"view": the_view(), "smoothing": 0}))
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            it.send(turns.numpy(), params.transl.numpy(), params.expression.numpy())
            got = next_picture(viewer)
    assert wanted.std() > 0.05
    assert np.abs(got - wanted).mean() < 0.002


def test_who_does_not_acknowledge_gets_two_pictures(drawing):
    with connect(live_address(drawing.link), proxy=None) as viewer:
        viewer.send(json.dumps({"view": the_view()}))
        for _ in range(2):
            viewer.recv(timeout=20)
        with pytest.raises(TimeoutError):
            viewer.recv(timeout=0.5)


def test_a_motion_is_played_for_all_and_an_unknown_one_refused(drawing):
    with (
        connect(live_address(drawing.link), proxy=None) as viewer,
        connect(live_address(drawing.link), proxy=None) as other,
    ):
        viewer.send(json.dumps({"view": the_view(), "motion": "dance"}))
        still = next_picture(viewer)
        end = time.monotonic() + 20
        while np.abs(next_picture(viewer) - still).mean() < 0.005:
            assert time.monotonic() < end
        other.send(json.dumps({"motion": "moonwalk"}))
        with pytest.raises(ConnectionClosed):
            other.recv(timeout=10)
        next_picture(viewer)


@pytest.mark.parametrize(
    "change",
    [
        {"size": [1 << 20, 1 << 20]}, {"size": [100.5, 100]}, {"size": [0, 0]},
        {"size": [True, 64]}, {"focal": 0}, {"focal": float("nan")}, {"focal": "x"},
        {"rows": [0.0] * 12},
        {"rows": [1e300] * 12}, {"rows": [[1.0]] * 12}, {"rows": 3}, {"more": 1},
    ],
)  # fmt: skip
def test_views_without_sense_are_refused(change):
    with pytest.raises(InputError):
        unpack_view(the_view() | change)


def test_a_browser_shows_the_pictures_and_turns_the_camera(browser, drawing):
    browser.open(drawing.link, width=500, height=500)
    browser.wait("document.getElementById('loading')?.hidden")
    picture = "document.getElementById('view').toDataURL()"
    browser.wait("document.getElementById('view').width !== 300")
    front = browser.run(picture)
    assert len(front) > 3000
    browser.run("[...document.querySelectorAll('.chips button')]"
                ".find((b) => b.textContent === 'dance').click()")  # fmt: skip
    browser.wait(f"{picture} !== {json.dumps(front)}")
    browser.wait("document.getElementById('facts').textContent.match(/^[1-9]/)")
    assert browser.problems == []


def test_other_pages_draw_themselves(browser, running):
    opened(browser, running.link, width=300, height=300)
    assert browser.run("typeof persona.player") == "object"
