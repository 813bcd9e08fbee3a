"""Call every entry point of the native core at random, to be run with a sanitized library.

``make fuzz`` builds one and runs this with it. Arguments are valid as the C ABI defines it, and
otherwise as bad as they come: empty, huge, tiny, NaN, behind the camera, off the picture. Every
array is its own allocation, of exactly its size. The same seed makes the same calls.
"""

import argparse
import ctypes
import sys
import time
from pathlib import Path

import numpy as np

from persona.kernels import cloth_native, native_core
from persona.kernels.cloth_mesh import SKINS
from persona.kernels.native_core import (
    BodyStruct,
    CameraStruct,
    PoseStruct,
    RigStruct,
    native_library,
)

STRANGE = (0.0, -0.0, 1e-38, 1e30, -1e30, 3e38, np.inf, -np.inf, np.nan, 1e-20, 255.0, -1.0)
"""Numbers that break what was only thought of for ordinary ones."""
COUNTS = (0, 1, 2, 15, 16, 17, 31, 33, 70, 257)
SIDES = (1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 48, 65)
CHANNELS = (1, 2, 3, 4, 5, 8, 9, 12, 13, 16, 17, 24, 25, 32)
BLOCK = 16
"""Gaussians, and vertices, of a block."""
KNOWN_STATUS = range(10)
TELL_EVERY = 5.0
"""Seconds between two lines of progress."""


class Fuzzer:
    """Random calls; keeps the arrays of a call alive, and a workspace over many calls."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.library = native_library()
        self.isas = [code for code in range(3) if self.library.persona_isa_runs(code)]
        self.workspace = self.library.persona_workspace_create()
        self.held: list[np.ndarray] = []

    def call(self) -> None:
        """Make one call, or a forward pass with its way back."""
        self.held.clear()
        entry = self.random.choice(
            [
                self.project,
                self.rasterize,
                self.pose,
                self.mesh,
                self.draw_posed,
                self.similarity,
                self.cloth,
                self.small,
            ]
        )
        entry()

    def floats(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        """Give numbers about zero, of which some calls have strange ones among them."""
        values = (scale * self.random.standard_normal(shape)).astype(np.float32)
        if values.size and self.random.random() < 0.3:
            bad = self.random.random(shape) < self.random.choice([0.02, 0.5])
            values[bad] = self.random.choice(STRANGE, size=int(bad.sum())).astype(np.float32)
        return self.hold(values)

    def ids(self, below: int, *shape: int) -> np.ndarray:
        """Give whole numbers from 0 to ``below`` - 1."""
        return self.hold(self.random.integers(0, max(1, below), shape).astype(np.int32))

    def room(self, *shape: int, dtype: type = np.float32) -> np.ndarray:
        """Give an array to be written; what is in it must not matter."""
        return self.hold(np.full(shape, 77, dtype))

    def hold(self, array: np.ndarray) -> np.ndarray:
        """Keep an array until the next call."""
        self.held.append(array)
        return array

    def pick(self, values: tuple[int, ...]) -> int:
        """Choose one."""
        return int(self.random.choice(values))

    def start(self) -> tuple[int, int]:
        """Choose an instruction set and a number of threads."""
        return int(self.random.choice(self.isas)), self.pick((1, 1, 2, 3))

    def window(self) -> tuple[int, int, int, int]:
        """Choose left, top, width and height."""
        left, top = (self.pick((0, 0, -7, 5, 1 << 24, -(1 << 24))) for _ in range(2))
        return left, top, self.pick(SIDES), self.pick(SIDES)

    def camera(self) -> CameraStruct:
        """Choose a camera, sometimes one without sense."""
        turn = self.floats(9).astype(float)
        if self.random.random() < 0.8:
            turn = np.linalg.qr(self.random.standard_normal((3, 3)))[0].ravel()
        return CameraStruct(
            rotation=(ctypes.c_double * 9)(*turn),
            translation=(ctypes.c_double * 3)(*self.random.standard_normal(3) * 2),
            focal=(40.0, 40.0),
            center=(20.0, 16.0),
            tan_min=(-1.0, -1.0),
            tan_max=(1.0, 1.0),
            eps2d=float(self.random.choice([0.0, 0.3])),
            near=0.01,
        )

    def small(self) -> None:
        """Count, and ask for what does not exist."""
        values = self.floats(self.pick(COUNTS))
        found = self.library.persona_count_unfinite(self.start()[0], values.size, at(values))
        if found != np.count_nonzero(~np.isfinite(values)):
            raise SystemExit(f"{found} of {values} were found not to be finite")
        self.check(self.library.persona_pose_gaussians(9, 1, 0, *[None] * 7, 3.0, *[None] * 3))
        self.library.persona_workspace_bytes(self.workspace)
        if self.random.random() < 0.05:
            self.library.persona_workspace_destroy(self.workspace)
            self.workspace = self.library.persona_workspace_create()

    def project(self) -> None:
        """Project, and go back."""
        n, start, view = self.pick(COUNTS), self.start(), self.camera()
        means = self.floats(n, 3)
        shapes: list[np.ndarray | None] = [self.floats(n, 6), None, None]
        if self.random.random() < 0.5:
            shapes = [None, self.floats(n, 4), self.floats(n, 3, scale=0.1)]
        inputs = (n, ctypes.addressof(view), at(means), *map(at, shapes))
        outputs = [self.room(n, 2), self.room(n, 3), self.room(n)]
        self.check(self.library.persona_project_forward(*start, *inputs, *map(at, outputs)))
        upstream = [self.floats(n, 2), self.floats(n, 3), self.floats(n)]
        grads = [None if s is None else self.room(*s.shape) for s in (means, *shapes)]
        status = self.library.persona_project_backward(
            *start, *inputs, *map(at, upstream), *map(at, grads)
        )
        self.check(status)

    def rasterize(self) -> None:
        """Draw, and mostly go back."""
        n, channels = self.pick(COUNTS), self.pick(CHANNELS)
        left, top, width, height = self.window()
        means2d = self.hold(self.floats(n, 2, scale=20.0) + np.float32(left + 10))
        conics = self.floats(n, 3, scale=0.2)
        if self.random.random() < 0.7:
            spread = self.pick((1, 100))
            conics[:, [0, 2]] = np.abs(conics[:, [0, 2]]) + 0.5 / spread**2
            conics[:, 1] *= 0.1 / spread
        opacities = self.hold(self.random.random(n).astype(np.float32))
        features, depths = self.floats(n, channels), self.floats(n)
        isa, threads = self.start()
        image, alpha = self.room(channels, height, width), self.room(height, width)
        inputs = (means2d, conics, opacities, features, depths)
        size = (left, top, width, height)
        status = self.library.persona_rasterize_forward(
            self.workspace, isa, threads, n, channels, *map(at, inputs), *size, at(image), at(alpha)
        )
        self.check(status)
        if status or self.random.random() < 0.3:
            return
        upstream = [self.floats(channels, height, width), self.floats(height, width)]
        grads = [self.room(n, 2), self.room(n, 3), self.room(n), self.room(n, channels)]
        status = self.library.persona_rasterize_backward(
            *(self.workspace, isa, self.pick((1, 2))),
            *map(at, (opacities, features, image, alpha, *upstream, *grads)),
        )
        self.check(status)

    def rig(self, n: int, vertices: int, bones: int) -> list[np.ndarray]:
        """Give packed Gaussians at rest."""
        blocks = -(-n // BLOCK)
        begin = np.cumsum([0, *self.random.integers(0, 4, blocks)]).astype(np.int32)
        count = int(begin[-1])
        return [
            self.floats(blocks, 15, BLOCK),
            self.ids(vertices, blocks, 3, BLOCK),
            self.hold(begin),
            self.ids(bones, count),
            self.floats(count, 4, BLOCK),
        ]

    def pose(self) -> None:
        """Carry Gaussians along."""
        n, vertices, bones = self.pick(COUNTS), self.pick((1, 5, 40)), self.pick((1, 7))
        rig = self.rig(n, vertices, bones)
        inputs = (*rig, self.floats(vertices, 3), self.floats(bones, 4, 4))
        outputs = (self.room(n, 3), self.room(n, 6), self.room(n, 3))
        self.check(
            self.library.persona_pose_gaussians(
                *self.start(), n, *map(at, inputs), 3.0, *map(at, outputs)
            )
        )

    def mesh(self) -> None:
        """Draw triangles, some of which name vertices that are not there."""
        vertices, faces = self.pick((0, 1, 3, 20)), self.pick((0, 1, 5, 30))
        outside = 1 if self.random.random() < 0.1 else 0
        ids = self.ids(vertices + outside, faces, 3) - outside
        inputs = (self.floats(vertices, 2, scale=30.0), self.floats(vertices), self.hold(ids))
        width, height = self.pick(SIDES), self.pick(SIDES)
        outputs = (
            self.room(height, width, dtype=np.int32),
            self.room(height, width, 3),
            self.room(height, width),
        )
        status = self.library.persona_rasterize_mesh(
            *(self.start()[1], vertices, faces, *map(at, inputs)),
            *(width, height, 0.01, *map(at, outputs)),
        )
        self.check(status)

    def similarity(self) -> None:
        """Compare two pictures in a box, which may leave them, and mostly go back."""
        channels = self.pick((0, *CHANNELS, 33))
        width, height = self.pick(SIDES), self.pick(SIDES)
        room = channels, height, width
        pictures = self.floats(*room), self.floats(*room)
        box = self.pick((0, 0, 3, -1)), self.pick((0, 0, 5)), self.pick(SIDES), self.pick(SIDES)
        box = box if self.random.random() < 0.5 else (0, 0, width, height)
        inputs = (channels, width, height, *map(at, pictures), *box)
        mean, upstream, grad = self.room(1), self.floats(1), self.room(*room)
        keep = int(self.random.random() < 0.7)
        status = self.library.persona_ssim_forward(
            self.workspace, *self.start(), *inputs, keep, at(mean)
        )
        self.check(status)
        if not status and keep:
            status = self.library.persona_ssim_backward(
                self.workspace, *self.start(), *inputs, at(upstream), at(grad)
            )
            self.check(status)

    def draw_posed(self) -> None:
        """Go from a pose to a picture."""
        n, vertices, joints = self.pick(COUNTS), self.pick((1, 15, 16, 40)), self.pick((1, 7))
        channels, expressions = self.pick(CHANNELS), self.pick((0, 1, 3))
        blocks = -(-vertices // BLOCK)
        begin = np.cumsum([0, *self.random.integers(0, 4, blocks)]).astype(np.int32)
        parents = self.hold(np.array([self.pick((-1, *range(j))) for j in range(joints)], np.int32))
        if self.random.random() < 0.05:
            parents[-1] = joints
        body = (
            parents,
            self.floats(joints, 3),
            self.floats(joints, 3, expressions),
            self.floats(blocks, 3 * expressions, BLOCK),
            self.hold(begin),
            self.ids(joints, int(begin[-1])),
            self.floats(int(begin[-1]), 27, BLOCK),
        )
        look = self.hold(self.random.random(n).astype(np.float32)), self.floats(n, channels)
        offsets = [
            self.floats(rows, 3) if self.random.random() < 0.5 else None for rows in (vertices, n)
        ]
        structures = (
            BodyStruct(vertices, joints, expressions, *map(at, body)),
            RigStruct(n, channels, *map(at, (*self.rig(n, vertices, joints), *look))),
            PoseStruct(
                *map(at, (self.floats(joints, 3), self.floats(expressions), *offsets)),
                translation=tuple(self.floats(3)),
                max_stretch=3.0,
            ),
            self.camera(),
        )
        width, height = self.pick(SIDES), self.pick(SIDES)
        means = self.room(n, 3) if self.random.random() < 0.5 else None
        outputs = (means, self.room(channels, height, width), self.room(height, width))
        status = self.library.persona_draw_posed(
            *(self.workspace, *self.start(), *map(ctypes.addressof, structures)),
            *(width, height, *map(at, outputs)),
        )
        self.check(status)

    def cloth_mesh(self, n: int, faces: int) -> cloth_native.MeshStruct:
        """Give cloth whose springs of a colour share no vertex, mostly; some name nobody."""
        pairs = [
            self.random.permutation(n)[: 2 * self.random.integers(0, n // 2 + 1)]
            for _ in range(self.pick((0, 1, 3)))
        ]
        springs = np.concatenate([*pairs, []]).astype(np.int32).reshape(-1, 2)
        if springs.size and self.random.random() < 0.1:
            springs[self.random.integers(0, len(springs))] = self.pick((-1, 0, n))
        begin = np.cumsum([0, *(len(p) // 2 for p in pairs)]).astype(np.int32)
        arrays = (
            *(self.ids(n, faces, 3), self.floats(n, 3), self.floats(n), self.floats(n)),
            *(self.floats(n, scale=0.01), self.ids(2, n), self.ids(2, n)),
            self.hold(self.random.integers(-1, max(1, n), n).astype(np.int32)),
            *(self.floats(n), self.hold(begin), self.hold(springs)),
            *(self.floats(len(springs)), self.floats(len(springs))),
        )
        edges = self.pick((0, len(pairs)))
        return cloth_native.MeshStruct(n, faces, len(pairs), edges, *map(at, arrays))

    def cloth_rules(self) -> cloth_native.RulesStruct:
        """Choose how cloth moves, sometimes without sense."""
        counts = (self.pick((0, 1, 1, 3)), self.pick((1, 1, 2)), self.pick((1, 1, 4)))
        numbers = np.abs(self.floats(12, scale=self.pick((1, 10)) / 30))
        return cloth_native.RulesStruct(*counts, *map(float, numbers))

    def cloth(self) -> None:
        """Make cloth, and move it some frames and a step."""
        faces, skins = self.pick((0, 1, 30)), self.pick((0, 1, 40))
        n, b = self.pick(COUNTS[1:] if faces else COUNTS), self.pick((1, 20))
        mesh, library = self.cloth_mesh(n, faces), self.library
        body = cloth_native.BodyStruct(b, skins, at(self.ids(b, skins, 3)))
        made = ctypes.c_void_p()
        status = library.persona_cloth_create(*map(ctypes.addressof, (mesh, body, made)))
        self.check(status)
        if (made.value is None) != (status != 0):
            raise SystemExit(f"cloth {made.value} came with status {status}")
        if status:
            return
        state = [self.floats(n, 3, scale=0.1), self.floats(n, 3)]
        for _ in range(self.pick((1, 2))):
            inputs = [self.floats(rows, 3, scale=0.1) for rows in (b, b, n, n)]
            rules = self.cloth_rules()
            start = made, self.pick((1, 2)), ctypes.addressof(rules)
            self.check(library.persona_cloth_frame(*start, *map(at, (*inputs, *state))))
        inputs = [self.floats(rows, 3, scale=0.1) for rows in (b, b, b, n)]
        near = self.hold(self.random.integers(-1, max(1, skins), (n, SKINS)).astype(np.int32))
        near = near if skins else self.hold(np.full((n, SKINS), -1, np.int32))
        count = self.pick((0, 9)) if n and faces else 0
        ids = [self.ids(n + self.pick((0, 0, 1)), count), self.ids(faces, count)]
        pairs = self.hold(np.ascontiguousarray(np.stack(ids, 1)))
        given = (*map(at, (*inputs, near)), count, *map(at, (pairs, self.floats(count), *state)))
        self.check(library.persona_cloth_substep(*start, *given))
        found = self.room(n, SKINS, dtype=np.int32)
        reach = abs(float(self.floats(1, scale=0.1)[0]))
        given = reach, *map(at, (self.floats(b, 3, scale=0.1), state[0], found))
        self.check(library.persona_cloth_nearest(made, 1, *given))
        if n and not ((found >= -1) & (found < max(1, skins))).all():
            raise SystemExit(f"cloth minds faces {found}, of {skins}")
        library.persona_cloth_bytes(made)
        library.persona_cloth_destroy(made)

    def check(self, status: int) -> None:
        """Refuse a status that the header does not know."""
        if status not in KNOWN_STATUS:
            raise SystemExit(f"an unknown status came back: {status}")


def at(array: np.ndarray | None) -> int | None:
    """Give where an array's numbers start."""
    return None if array is None else array.ctypes.data


def main() -> None:
    """Fuzz until the calls are done or the time is up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, help="a sanitized build; else the installed core")
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=900.0, help="stop after this long")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.library:
        native_core.LIBRARY = options.library.resolve()
    fuzzer = Fuzzer(options.seed)
    start = told = time.monotonic()
    done = 0
    with np.errstate(all="ignore"):
        while done < options.calls and time.monotonic() - start < options.seconds:
            fuzzer.call()
            done += 1
            if time.monotonic() - told > TELL_EVERY:
                told = time.monotonic()
                left = (told - start) / done * (options.calls - done)
                sys.stdout.write(f"{done} of {options.calls} calls, about {left:.0f} s left\n")
                sys.stdout.flush()
    sys.stdout.write(f"{done} calls with seed {options.seed}, nothing found\n")
    if done < options.calls:
        raise SystemExit(f"stopped after {options.seconds:g} s, {options.calls - done} calls short")


if __name__ == "__main__":
    main()
