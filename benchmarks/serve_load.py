"""Measure the live page's server: many viewers, a slow one, thirty poses a second, for minutes.

``python benchmarks/serve_load.py NAME.persona --minutes 10``. A `persona serve` of its own, so that
its memory and time can be told from ours. Every viewer but one acknowledges at once and must skip
nothing; the slow one takes a third of a second to draw and must never show a pose older than one.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from websockets.asyncio.client import connect

from persona.serving import PoseSender
from persona.serving.schema import ACK, Kind, unpack_pose
from persona.serving.sending import live_address

SLOW_SECONDS = 0.33
"""What a slow viewer takes for a frame [s]."""
SETTLING_SECONDS = 10.0
"""After this the memory is compared with that at the end [s]."""


@dataclass
class Viewer:
    """What one viewer saw."""

    shown: int = 0
    skipped: int = 0
    ages: list[float] = field(default_factory=list)
    """From sending to showing [s]."""
    last: int | None = None

    async def look(self, link: str, takes: float, end: float) -> None:
        """Show poses until the end; drawing takes some seconds."""
        async with connect(live_address(link), proxy=None) as socket:
            await socket.send('{"smoothing": 0.5}')
            while time.monotonic() < end:
                try:
                    data = await asyncio.wait_for(socket.recv(decode=False), 2)
                except TimeoutError:
                    continue
                pose = unpack_pose(data)
                if takes:
                    await asyncio.sleep(takes)
                self.ages.append(time.monotonic() - pose.time)
                self.skipped += 0 if self.last is None else pose.sequence - self.last - 1
                self.last = pose.sequence
                self.shown += 1
                await socket.send(ACK.pack(Kind.ACK, pose.sequence))


def resident_mb(process: int) -> float:
    """Read how much memory a process holds [MB]."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def send(link: str, fps: float, end: float) -> None:
    """Send poses of somebody who waves, at a steady pace."""
    due, count = time.monotonic(), 0
    pose = np.zeros((55, 3), np.float32)
    with PoseSender(link) as sender:
        while time.monotonic() < end - 1:
            pose[16, 2] = np.sin(count / 10)
            sender.send(pose, [0, 1, 0], np.zeros(10))
            count += 1
            # Who is late goes on from now: a camera does not send two at once either.
            due = max(due + 1 / fps, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))


async def load(link: str, process: int, viewers: int, fps: float, minutes: float) -> dict:
    """Run the load; tell what was seen."""
    end = time.monotonic() + 60 * minutes
    fast, slow = [Viewer() for _ in range(viewers)], Viewer()
    looking = [asyncio.create_task(one.look(link, 0, end)) for one in fast]
    looking.append(asyncio.create_task(slow.look(link, SLOW_SECONDS, end)))
    await asyncio.sleep(1)
    threading.Thread(target=send, args=(link, fps, end), daemon=True).start()
    await asyncio.sleep(SETTLING_SECONDS)
    memory = [resident_mb(process)]
    while time.monotonic() < end - 2:
        await asyncio.sleep(2)
        memory.append(resident_mb(process))
    await asyncio.gather(*looking)
    ages = np.concatenate([one.ages for one in fast])
    return {
        "minutes": minutes,
        "viewers": viewers,
        "poses_shown_by_each": [min(v.shown for v in fast), max(v.shown for v in fast)],
        "skipped_by_fast": sum(one.skipped for one in fast),
        "fast_age_ms_p50_p95_max": [
            round(1000 * float(v), 1) for v in (*np.percentile(ages, [50, 95]), ages.max())
        ],
        "slow_shown": slow.shown,
        "slow_age_s_max": round(max(slow.ages), 3),
        "memory_mb_settled_end_most": [round(m, 1) for m in (memory[0], memory[-1], max(memory))],
    }


def main() -> int:
    """Run from the command line; 1 if a fast viewer skipped or the slow one was stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("avatar")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--fps", type=float, default=30)
    args = parser.parse_args()
    command = [sys.executable, "-m", "persona", "serve", args.avatar, "--port", "0"]
    options = ["--no-browser", "--vmc", "0", "--json"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        lines = (json.loads(line) for line in server.stdout)
        link = next(line["link"] for line in lines if "link" in line)
        threading.Thread(target=lambda: list(lines), daemon=True).start()
        found = asyncio.run(load(link, server.pid, args.viewers, args.fps, args.minutes))
        server.terminate()
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return int(found["skipped_by_fast"] > 0 or found["slow_age_s_max"] > 1)


if __name__ == "__main__":
    raise SystemExit(main())
