"""A real browser shows live poses of programs, VMC and its webcam, or says why there are none."""

import io
import itertools
import math
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from persona.body.skeleton import JOINT_IDS
from persona.images.clips import open_clip
from persona.serving import PoseSender
from persona.serving.app import Rooms
from persona.serving.hub import Hub
from persona.serving.sources import play_source
from persona.serving.stature import stature_of
from persona.serving.vmc import hear_vmc, vmc_ear
from persona.serving.webcam import Webcam
from tests.serving.browser import Browser, find_browser
from tests.serving.conftest import NO_BROWSER, start
from tests.serving.test_page import opened
from tests.serving.test_vmc import HALF, golden

CLIP = Path(__file__).parents[3] / "shared" / "data" / "videos" / "v02_squats.mp4"


@pytest.fixture
def serve(running):
    """Start servers that end with the test."""
    started = []

    def begin(**rooms):
        server, thread = start(
            Rooms(show=running.show, **{"webcam": None, "vmc_port": None, **rooms})
        )
        started.append((server, thread))
        return server

    yield begin
    for server, thread in started:
        server.stop()
        thread.join(20)


def live_page(browser, link):
    opened(browser, link, width=300, height=300)
    browser.wait("document.body.textContent.includes('Waiting for poses')")


def shown(browser, joint: int) -> np.ndarray:
    """Quaternion of a joint, wxyz."""
    at = f"persona.player.pose.turns.slice({4 * joint}, {4 * joint + 4})"
    return np.array(browser.run(f"Array.from({at})"))


def send_until_shown(browser, send) -> None:
    end = time.monotonic() + 60
    said = "document.body.textContent.includes('Poses are coming')"
    while not browser.run(f"persona.mixer.liveShare >= 1 && {said}"):
        send()
        assert time.monotonic() < end


@pytest.mark.parametrize("mirrored", [False, True])
def test_live_poses_take_over_and_losing_them_eases_back(browser, running, mirrored):
    live_page(browser, running.link)
    if mirrored:
        browser.run("[...document.querySelectorAll('label.check')]"
                    ".find((l) => l.textContent === 'As in a mirror').click()")  # fmt: skip
    pose = np.zeros((55, 3), np.float32)
    pose[16, 2] = 0.8
    with PoseSender(running.link) as sender:
        send_until_shown(browser, lambda: sender.send(pose, [0, 1.3, 0]))
        # The arm is up: a quaternion's z is the sine of half the angle.
        z = shown(browser, 17 if mirrored else 16)[3]
        assert z == pytest.approx(math.sin(0.4) * (-1 if mirrored else 1), abs=0.01)
    browser.wait("persona.mixer.liveShare === 0")
    browser.wait("document.body.textContent.includes('Waiting for poses')")
    assert browser.problems == []


def test_the_slider_sets_how_much_is_smoothed(browser, serve):
    hub = Hub()
    live_page(browser, serve(hub=hub).link)
    browser.run(
        """(() => {
          const slider = document.querySelector("input[aria-label='Smoothing']");
          slider.value = 0.9;
          slider.dispatchEvent(new Event("input"));
        })()"""
    )
    end = time.monotonic() + 20
    while hub.smoother.strength != pytest.approx(0.9):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_page_that_does_not_draw_is_not_flooded(browser, serve):
    hub = Hub()
    server = serve(hub=hub)
    live_page(browser, server.link)
    browser.run("persona.fixed = true")
    (client,) = hub.clients
    with PoseSender(server.link) as sender:
        for _ in range(30):
            sender.send(np.zeros(165), [0, 1, 0])
            time.sleep(0.01)
    assert client.sent == 2
    browser.run("persona.release()")
    end = time.monotonic() + 30
    while client.sent == 2:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_vmc_reaches_the_page(browser, serve, avatar):
    hub, ear = Hub(), vmc_ear(0)
    stature, port = stature_of(avatar), ear.getsockname()[1]
    server = serve(
        hub=hub, vmc_port=port, background=(lambda: hear_vmc(ear, stature, hub.publish),)
    )
    live_page(browser, server.link)
    assert f"Send VMC to UDP port {port}" in browser.run("document.body.textContent")
    packet = golden(b"LeftUpperArm", 0, 0, 0, 0, 0, HALF, HALF)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
        send_until_shown(browser, lambda: mouth.sendto(packet, ("127.0.0.1", port)))
    np.testing.assert_allclose(shown(browser, 16), [HALF, 0, 0, -HALF], atol=1e-3)
    assert browser.problems == []


def test_a_motion_plays_as_a_live_source(browser, serve, avatar):
    hub = Hub()
    server = serve(hub=hub, background=(lambda: play_source("wave", avatar, hub),))
    opened(browser, server.link, width=300, height=300)
    browser.wait("persona.mixer.liveShare === 1")
    assert browser.problems == []


@pytest.mark.parametrize("source", ["absent.mp4", "moonwalk", "77"])
def test_a_source_that_fails_is_said_in_words_on_the_page(browser, serve, avatar, source):
    hub = Hub()
    server = serve(hub=hub, background=(lambda: play_source(source, avatar, hub),))
    opened(browser, server.link, width=300, height=300)
    browser.wait(f"document.body.textContent.includes('{source} gives no poses')")


def press_webcam(browser) -> None:
    browser.run(
        "[...document.querySelectorAll('button')]"
        ".find((b) => b.textContent === 'Start the webcam').click()"
    )


@pytest.mark.parametrize(
    ("browser", "setting", "words"),
    [
        ((), "granted", "No camera was found"),
        (("--use-fake-device-for-media-stream",), "denied", "The camera was not allowed"),
    ],
    indirect=["browser"],
)
def test_no_camera_and_no_permission_are_said_in_words(browser, serve, avatar, setting, words):
    hub = Hub()
    server = serve(hub=hub, webcam=Webcam(avatar, hub))
    opened(browser, server.link, width=400, height=400)
    browser.permit("camera", setting, f"http://127.0.0.1:{server.port}")
    text = browser.run("document.body.textContent")
    assert "Nothing is stored, nothing leaves this computer" in text
    press_webcam(browser)
    browser.wait("!document.getElementById('message').hidden")
    assert words in browser.run("document.getElementById('message').textContent")
    assert browser.problems == []


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """What a camera in front of somebody who squats gives."""
    if not CLIP.exists():
        pytest.skip("no clip of a person here")
    film = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    with film.open("wb") as file:
        for frame in itertools.islice(open_clip(CLIP).frames(), 150):
            picture, data = Image.fromarray(frame.picture), io.BytesIO()
            picture.thumbnail((640, 480))
            picture.save(data, "JPEG", quality=85)
            file.write(data.getvalue())
    return film


@pytest.fixture
def browser_with_camera(filmed, tmp_path):
    if find_browser() is None:
        pytest.skip(NO_BROWSER)
    flags = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    browser = Browser(tmp_path, *flags, f"--use-file-for-fake-video-capture={filmed}")
    yield browser
    browser.close()


def test_the_webcam_moves_the_person(browser_with_camera, serve, avatar):
    browser, hub = browser_with_camera, Hub()
    live_page(browser, serve(hub=hub, webcam=Webcam(avatar, hub)).link)
    press_webcam(browser)
    browser.wait("document.body.textContent.includes('You are followed')")
    browser.wait("persona.mixer.liveShare === 1")
    shoulder = shown(browser, JOINT_IDS["left_shoulder"])
    assert abs(shoulder[0]) < 0.99, "the arms are not in a T"
    browser.run(
        "[...document.querySelectorAll('button')]"
        ".find((b) => b.textContent === 'Stop the webcam').click()"
    )
    browser.wait("document.body.textContent.includes('The webcam is off')")
    browser.wait("persona.mixer.liveShare === 0")
    assert browser.problems == []
