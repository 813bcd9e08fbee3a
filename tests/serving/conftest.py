"""One running server with a small dressed avatar, and one headless browser."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import torch

from persona.avatar import Avatar
from persona.records.notice import Notice
from persona.serving.app import Rooms
from persona.serving.hub import Hub
from persona.serving.server import PageServer
from persona.serving.show import Show
from tests.plain_avatar import dressed, make_plain_avatar
from tests.serving.browser import Browser, find_browser

COUNT = 6000
NO_BROWSER = "no Chromium on this machine (Debian: apt-get install chromium)"
NOTICE = Notice(licenses=(("photo", "hers"),))


@pytest.fixture(scope="session")
def avatar() -> Avatar:
    """Coloured at random, so that a wrong order of drawing shows."""
    plain = dressed(make_plain_avatar(COUNT), nodes=300)
    colors = torch.rand(COUNT, 3, generator=torch.Generator().manual_seed(1))
    mixed = 0.5 * plain.canonical.colors + 0.5 * colors
    return replace(plain, canonical=replace(plain.canonical, colors=mixed))


@dataclass
class Running:
    server: PageServer
    hub: Hub
    show: Show

    @property
    def link(self) -> str:
        return self.server.link


def start(rooms: Rooms) -> tuple[PageServer, threading.Thread]:
    server = PageServer(rooms, port=0)
    ready = threading.Event()
    thread = threading.Thread(target=server.run, kwargs={"ready": ready.set}, daemon=True)
    thread.start()
    assert ready.wait(20)
    return server, thread


@pytest.fixture(scope="session")
def running(avatar) -> Iterator[Running]:
    hub = Hub()
    show = Show(avatar, name="Ada", notice=NOTICE)
    rooms = Rooms(show=show, hub=hub, webcam=None, vmc_port=None)
    server, thread = start(rooms)
    yield Running(server, hub, show)
    server.stop()
    thread.join(20)


@pytest.fixture
def browser(tmp_path, request) -> Iterator[Browser]:
    """A browser; parametrize indirectly with flags to give it some."""
    if find_browser() is None:
        pytest.skip(NO_BROWSER)
    profile = tmp_path / "profile"
    profile.mkdir()
    browser = Browser(profile, *getattr(request, "param", ()))
    yield browser
    browser.close()
