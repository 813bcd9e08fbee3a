"""Throw mutated WebSocket and OSC messages at a live server: refused, alive, others unaffected.

``make fuzz-messages`` runs this. Sound messages of every kind have bytes changed, cut or doubled.
Half go to the parsers' doors as a client's would (a real server, real sockets, a fresh connection
after each refusal), half as datagrams. All the time a program sends sound poses and a viewer looks
on: it is never left waiting nor sent away, and memory does not grow. The same seed gives
the same messages.
"""

import argparse
import random
import resource
import socket
import sys
import threading
import time

import numpy as np
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from persona.avatar import Avatar
from persona.core.errors import InputError
from persona.serving import PoseSender
from persona.serving.app import Rooms
from persona.serving.hub import Hub
from persona.serving.schema import ACK, HEAD, Kind, SentPose, pack_pose, unpack_pose
from persona.serving.sending import live_address, pose_address
from persona.serving.server import PageServer
from persona.serving.show import Show
from persona.serving.stature import stature_of
from persona.serving.vmc import hear_vmc, vmc_ear, vmc_packet

LARGEST_MB = 200
"""Most that the resident size may grow by."""
LONGEST_SILENCE = 2.0
"""Most that an onlooker may wait for the next pose [s]."""
LOOK_SECONDS = 0.25
"""Time between two looks whether all is over [s]."""
SOUND_FPS = 30.0
"""Poses a second that are sent all the while."""
TEXT = '{"smoothing": 0.1, "webcam": true}'


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Damage bytes in one to four places."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(out) + 1)
        deed = chance.randrange(5)
        if deed == 0 and out:
            out[at % len(out)] ^= 1 << chance.randrange(8)
        elif deed == 1:
            del out[at:]
        elif deed == 2:
            out[at:at] = out[: chance.randrange(64)]
        elif deed == 3:
            out[at : at + 4] = chance.choice(
                (
                    b"\xff\xff\xff\xff",
                    b"\0\0\0\0",
                    b"\0\0\xc0\x7f",
                    b"\x7f\xc0\0\0",
                    b"\0\0\x80\x7f",
                )
            )
        else:
            out[at:at] = chance.randbytes(chance.randrange(16))
    return bytes(out)


class Attacker:
    """A client that is sent away, and comes again."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._context: connect | None = None
        self._socket: ClientConnection | None = None
        self.refusals = 0

    def send(self, message: bytes | str) -> None:
        """Send, on a new connection if the last message ended the old one."""
        try:
            if self._socket is None:
                self._context = connect(self._address, proxy=None)
                self._socket = self._context.__enter__()
            self._socket.send(message)
        except WebSocketException:
            self.refusals += 1
            self.leave()

    def leave(self) -> None:
        """Hang up."""
        if self._context is not None:
            self._context.__exit__(None, None, None)
        self._context = self._socket = None


def attack(
    server: PageServer, vmc_port: int, sound: dict[str, bytes], count: int, seed: int
) -> int:
    """Send ``count`` messages; return how many connections were ended."""
    chance = random.Random(seed)
    places = [Attacker(live_address(server.link)), Attacker(pose_address(server.link))]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
        for k in range(count):
            if k % 2:
                mouth.sendto(mutated(sound["osc"], chance)[:60_000], ("127.0.0.1", vmc_port))
                continue
            kind = chance.choice(("pose", "ack", "camera", "text"))
            message: bytes | str = mutated(sound[kind], chance)
            if kind == "text":
                message = message.decode("utf-8", "replace")
            chance.choice(places).send(message)
    for place in places:
        place.leave()
    return sum(place.refusals for place in places)


def survive(avatar: Avatar, count: int, seed: int) -> str | None:
    """Run the attack; return what went wrong, or None."""
    stature, hub, ear = stature_of(avatar), Hub(), vmc_ear(0)
    vmc_port = ear.getsockname()[1]
    rooms = Rooms(
        show=Show(avatar, name="fuzz"),
        hub=hub,
        webcam=None,
        vmc_port=vmc_port,
        background=(lambda: hear_vmc(ear, stature, hub.publish),),
    )
    server, ready = PageServer(rooms, port=0), threading.Event()
    thread = threading.Thread(target=server.run, kwargs={"ready": ready.set}, daemon=True)
    thread.start()
    ready.wait()
    pose = SentPose(
        sequence=1,
        time=0.0,
        rotations=np.full((55, 3), 0.1, np.float32),
        transl=np.zeros(3, np.float32),
        expression=np.zeros(10, np.float32),
    )
    sound = {
        "pose": pack_pose(pose),
        "ack": ACK.pack(Kind.ACK, 1),
        "camera": HEAD.pack(Kind.CAMERA, 0, 1.0) + b"\xff\xd8\xff\xe0" + b"\0" * 400,
        "text": TEXT.encode(),
        "osc": vmc_packet(pose, stature)[:2000],
    }
    try:
        attack(server, vmc_port, sound, min(count, 2000), seed + 1)  # fills caches
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with Onlooker(server.link) as onlooker:
            refusals = attack(server, vmc_port, sound, count, seed)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        sys.stdout.write(
            f"{count} messages, {refusals} connections ended, {grown:.0f} MB more; an onlooker saw "
            f"{onlooker.seen} poses and waited {onlooker.waited:.2f} s at most\n"
        )
        if grown > LARGEST_MB:
            return f"memory grew by {grown:.0f} MB"
        return onlooker.wrong
    finally:
        server.stop()
        thread.join(10)


class Onlooker:
    """A sound viewer and a sound program beside the attackers."""

    def __init__(self, link: str) -> None:
        self._link = link
        self._over = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._send, self._look)]
        self.seen = 0
        self.waited = 0.0
        """Longest silence [s]."""
        self.wrong: str | None = None
        """What went wrong, in words."""

    def __enter__(self) -> "Onlooker":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        try:
            with PoseSender(self._link) as sender:
                while not self._over.wait(1 / SOUND_FPS):
                    sender.send(np.zeros(165), [0, 1.25, 0])
        except InputError as error:
            self.wrong = f"the sound program was sent away: {error.what}"

    def _look(self) -> None:
        try:
            with connect(live_address(self._link), proxy=None) as viewer:
                begin = time.monotonic()
                while not self._over.is_set():
                    try:
                        got = unpack_pose(viewer.recv(timeout=LOOK_SECONDS, decode=False))
                    except TimeoutError:
                        # When all is over nobody sends any more, and that is no silence.
                        if time.monotonic() - begin > LONGEST_SILENCE and not self._over.is_set():
                            self.wrong = (
                                f"a viewer waited more than {LONGEST_SILENCE:g} s for a pose"
                            )
                            return
                        continue
                    viewer.send(ACK.pack(Kind.ACK, got.sequence))
                    self.seen += 1
                    self.waited = max(self.waited, time.monotonic() - begin)
                    begin = time.monotonic()
        except WebSocketException as error:
            self.wrong = f"the viewer was sent away: {error}"


def main() -> int:
    """Run from the command line; return 1 if something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("avatar", help="NAME.persona to serve")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    wrong = survive(Avatar.load(args.avatar), args.messages, args.seed)
    if wrong:
        sys.stderr.write(f"{wrong}\n")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
