"""Measure the live page in a headless Chromium with software WebGL, and the webcam's path.

``PYTHONPATH=. python benchmarks/serve_page.py NAME.persona [--clip FILM]``, in the checkout.
Software drawing on two cores is many times slower than any graphics chip: sorting and latency are
measured, frames a second say nothing.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from persona.avatar import Avatar
from persona.images.clips import open_clip
from persona.serving import PoseSender
from persona.serving.app import Rooms
from persona.serving.hub import Client, Hub
from persona.serving.schema import SentPose
from persona.serving.server import PageServer
from persona.serving.show import Show
from persona.tracking.live import live_poses, paced
from tests.serving.browser import Browser

SIZES = ((320, 240), (640, 480), (1280, 800))
"""Windows of which latency is measured [px]; the panel takes 320 of the width above 760."""
POSES = 150
CAMERA_FPS = 15.0
"""As the page films."""
SCRIPT = """(async () => {
  const { mixer, player } = persona;
  persona.fixed = true;
  await new Promise((done) => setTimeout(done, 4000));
  const pose = [], sort = [];
  for (let k = 0; k < 60; k++) {
    const begin = performance.now();
    player.setPose(mixer.step(1 / 60, begin / 1000), 1 / 60);
    pose.push(performance.now() - begin);
    await new Promise((done) => player.waiting.set(player.ask(persona.scene().camera), done));
    sort.push(player.sortMilliseconds);
  }
  persona.release();
  const at = (list, share) => list.sort((a, b) => a - b)[Math.floor(share * (list.length - 1))];
  return [at(pose, 0.5), at(pose, 0.95), at(sort, 0.5), at(sort, 0.95)];
})()"""
"""Posing on the page's thread, sorting in its worker, while nothing is drawn [ms]."""


class Timed(Hub):
    """A hub that notes when each pose went out."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[int, float] = {}
        self.took: list[float] = []
        """From publishing a pose to a page's word that it is drawn [s]."""

    def publish(self, pose: SentPose) -> None:
        """Note when, and show it."""
        self.sent[self._sequence + 1] = time.perf_counter()
        super().publish(pose)

    def listen(self, client: Client) -> None:
        """Note a page's acknowledgements."""
        told = client.acknowledge

        def acknowledge(sequence: int) -> None:
            self.took.append(time.perf_counter() - self.sent[sequence])
            told(sequence)

        client.acknowledge = acknowledge


def page(avatar: Avatar) -> list[dict]:
    """Measure loading, sorting, and latency at some sizes."""
    hub = Timed()
    server = PageServer(Rooms(show=Show(avatar, name="page"), hub=hub), port=0)
    ready, found = threading.Event(), []
    threading.Thread(target=server.run, kwargs={"ready": ready.set}, daemon=True).start()
    ready.wait()
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(Path(folder))
        for width, height in SIZES:
            begin = time.perf_counter()
            browser.open(server.link, width=width, height=height)
            browser.wait("window.persona", seconds=120)
            loaded = time.perf_counter() - begin
            while not hub.clients:
                time.sleep(0.05)
            time.sleep(3)
            (client,) = hub.clients
            hub.listen(client)
            hub.took.clear()
            with PoseSender(server.link) as sender:
                for k in range(POSES):
                    pose = np.zeros((55, 3), np.float32)
                    pose[16, 2] = np.sin(k / 10)
                    sender.send(pose, [0, 1, 0])
                    time.sleep(1 / 30)
            time.sleep(1)
            fps, pixels = browser.run(
                "[persona.fps, "
                "[document.getElementById('view').width, document.getElementById('view').height]]"
            )
            times = [round(ms, 2) for ms in browser.run(SCRIPT)]
            took = 1000 * np.array(hub.took)
            found.append(
                {
                    "window": [width, height],
                    "pixels": pixels,
                    "load_s": round(loaded, 2),
                    "posing_ms_p50_p95": times[:2],
                    "sort_ms_p50_p95": times[2:],
                    "software_fps": round(fps, 1),
                    "drawn": len(took),
                    "latency_ms_p50_p95": [round(float(v)) for v in np.percentile(took, [50, 95])],
                }
            )
            browser.open("about:blank")
            while hub.clients:
                time.sleep(0.05)
        browser.close()
    server.stop()
    return found


def webcam(avatar: Avatar, clip: Path) -> dict:
    """Play a film as the page's camera would, and count the poses it gives."""
    frames = paced(open_clip(clip, fps=CAMERA_FPS).frames())
    times, late = [], []
    for pose in live_poses(frames, body=avatar.body, identity=avatar.identity):
        times.append(time.perf_counter())
        late.append(1000 * pose.latency)
    return {
        "clip": clip.name,
        "camera_fps": CAMERA_FPS,
        "poses_a_second": round((len(times) - 1) / (times[-1] - times[0]), 1),
        "latency_ms_p50_p95": [round(float(v)) for v in np.percentile(late, [50, 95])],
    }


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("--clip", type=Path)
    args = parser.parse_args()
    avatar = Avatar.load(args.avatar)
    found: dict = {"gaussians": avatar.count, "pages": page(avatar)}
    if args.clip:
        found["webcam"] = webcam(avatar, args.clip)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
