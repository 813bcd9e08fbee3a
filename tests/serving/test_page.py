"""A real browser opens the page: it draws, moves, takes files and live poses, and is quiet."""

import base64
import io
import json
import math
import time

import numpy as np
import pytest
import torch
from PIL import Image

from persona.animation.clips import clip
from persona.animation.exchange import save_motion
from persona.animation.performance import perform
from persona.avatar.light import Light
from persona.avatar.lit import LitAvatar
from persona.geometry.cameras import Camera, look_at
from persona.rendering.compositing import over

PSNR_DB = 40.0
LIT_PSNR_DB = 28.0
"""Normals of a lit person are smoothed over patches once, at rest; ours are smoothed in the pose.
On finished avatars it is 30 to 37 dB; these Gaussians are large and coloured at random."""
SIZE = (300, 440)


def the_camera() -> Camera:
    eye, target = torch.tensor([0.7, 1.2, 3.2]), torch.tensor([0.0, 0.9, 0.0])
    width, height = SIZE
    return Camera(
        width=width, height=height, focal_px=620.0, center_px=(width / 2, height / 2),
        T_camera_world=look_at(eye, target),
    )  # fmt: skip


def drawn_by_the_page(browser, params, lamp: Light | None) -> np.ndarray:
    camera = the_camera()
    scene = {
        "camera": {
            "rows": camera.T_camera_world[:3].flatten().tolist(),
            "focal": camera.focal_px,
            "center": camera.center_px,
        },
        "background": [[1, 1, 1], [1, 1, 1]],
        "light": None if lamp is None else lamp.coefficients[:, 0].tolist(),
        "shadow": False,
    }
    pose = params.full_pose.flatten().tolist(), params.transl.tolist(), params.expression.tolist()
    told = ",".join(json.dumps(value) for value in (*pose, scene, SIZE))
    data = browser.run(
        f"persona.hold({told}).then(() => document.getElementById('view').toDataURL())"
    )
    picture = Image.open(io.BytesIO(base64.b64decode(data.split(",")[1]))).convert("RGB")
    return np.asarray(picture) / 255


def drop(browser, name: str, data: bytes) -> None:
    browser.run(
        f"""(() => {{
          const bytes = Uint8Array.from(atob("{base64.b64encode(data).decode()}"),
            (c) => c.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], "{name}"));
          window.dispatchEvent(new DragEvent("drop", {{ dataTransfer, cancelable: true }}));
        }})()"""
    )


def opened(browser, link, **more):
    browser.open(link, **more)
    browser.wait("window.persona")


@pytest.mark.parametrize("lit", [False, True], ids=["photo", "lamp"])
def test_the_picture_is_our_renderers(browser, running, avatar, lit):
    opened(browser, running.link)
    lamp = Light.from_direction(torch.tensor([1.0, 1.0, 0.5])) if lit else None
    who = LitAvatar(avatar=avatar, light=lamp) if lamp else avatar
    for motion, frame in (("walk", 5), ("dance", 12), ("squat", 30)):
        params = perform(avatar, clip(motion)).params.frame(frame)
        moved = avatar.cloth.offsets(params, None, baked=True)
        true = who.draw(params, the_camera(), gaussian_offsets=moved)
        wanted = over(true.image.permute(1, 2, 0), true.alpha, torch.ones(3)).clamp(0, 1).numpy()
        got = drawn_by_the_page(browser, params, lamp)
        person = true.alpha.numpy() > 0.5
        error = float(np.square(got - wanted)[person].mean())
        assert -10 * math.log10(error) > (LIT_PSNR_DB if lit else PSNR_DB), motion
    assert browser.problems == []


def test_it_moves_by_itself_and_stops_when_asked(browser, running):
    opened(browser, running.link, width=500, height=400)
    first = browser.run("persona.mixer.time")
    browser.wait(f"persona.mixer.time > {first} + 0.2")
    browser.run("document.getElementById('play').click()")
    stopped = browser.run("persona.mixer.time")
    time.sleep(0.5)
    assert browser.run("persona.mixer.time") == stopped
    assert browser.problems == []


def test_a_dropped_bvh_is_played(browser, running, tmp_path):
    save_motion(clip("wave"), tmp_path / "hello.bvh")
    opened(browser, running.link, width=500, height=400)
    drop(browser, "hello.bvh", (tmp_path / "hello.bvh").read_bytes())
    browser.wait("persona.mixer.current.name === 'hello'")
    length = browser.run("persona.mixer.current.duration")
    assert length == pytest.approx(clip("wave").duration, rel=0.01)
    assert browser.problems == []


def test_a_file_that_is_no_motion_is_refused_in_words(browser, running):
    opened(browser, running.link, width=500, height=400)
    drop(browser, "holiday.doc", b"hello")
    browser.wait("!document.getElementById('message').hidden")
    said = browser.run("document.getElementById('message').textContent")
    assert "motions are files that end in" in said
    assert browser.run("persona.mixer.current.name") == "idle"


def test_no_foreign_script_runs(browser, running):
    opened(browser, running.link, width=300, height=300)
    assert browser.problems == []
    browser.run(
        """(() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
        })()"""
    )
    assert browser.run("typeof window.ran") == "undefined"
    away = browser.run("fetch('http://127.0.0.1:9/').then(() => 'went', () => 'refused')")
    assert away == "refused"
    browser.run("1")
    assert any("Content Security Policy" in problem for problem in browser.problems)


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["desktop", "phone"])
def test_everything_fits_the_window(browser, running, size):
    opened(browser, running.link, width=size[0], height=size[1], phone=size[0] < 500)
    assert browser.run("document.documentElement.scrollWidth") <= size[0]
    for k in range(5):
        browser.run(f"document.querySelectorAll('#tabs button')[{k}].click()")
        inside = browser.run(
            """[...document.querySelectorAll("button, input, select")]
              .filter((e) => e.offsetParent && e.type !== "color")
              .map((e) => e.getBoundingClientRect())
              .every((r) => r.left >= -1 && r.right <= innerWidth + 1 && r.width > 8)"""
        )
        assert inside, k
    assert browser.problems == []
