"""Open thousands of damaged motion and body files: only typed errors, each soon, none large.

``make fuzz-motions`` runs this as a module: only the tests write VRM animations. One sound file of
each format is made, bytes of it are changed, cut or doubled, and it is opened as `persona motion
info` would. The same seed damages the same bytes.
Pickles are read by the child's own code in this process, under the limits it sets itself, because
ten thousand processes take half an hour; every hundredth goes through a real child.
"""

import argparse
import io
import os
import pickle
import resource
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from persona.animation.clips import clip
from persona.animation.exchange import open_motion, save_motion
from persona.animation.formats.asf_amc import read_amc
from persona.animation.formats.joint_map import read_joint_map
from persona.animation.resampling import trim
from persona.core import pickle_child
from persona.core.errors import PersonaError
from tests.vrma_files import write_vrma

SLOWEST = 1.0
"""Most processor time that one file may take, its child's included [s]."""
LARGEST_MB = 300
"""Most that the largest resident size may grow by over all files of a format."""
CHILD_EVERY = 100
STRANGE = (b"nan", b"1e999", b"-1", b"999999999", b"1e300", b"0", b"", b"-0", b"inf", b"1e-320")
ASF = """:units
  angle deg
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  orientation 0 0 0
:bonedata
  begin
    name thorax
    direction 0 1 0
    length 8
    axis 0 10 0 ZYX
    dof rx ry rz
  end
  begin
    name head
    direction 0 1 0
    length 3
    axis 0 0 0 XYZ
    dof rx
  end
:hierarchy
  begin
    root thorax
    thorax head
  end
"""
AMC = ":DEGREES\n" + "".join(f"{k}\nroot 0 1 0 1 2 3\nthorax 1 2 3\nhead 4\n" for k in range(9))


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file, or one member of a zip, whose checksums would else catch it all."""
    if whole[:2] != b"PK" or rng.random() < 0.2:
        return spoiled(whole, rng)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(out, "w") as new:
        names = old.namelist()
        victim = names[rng.integers(len(names))]
        for name in names:
            content = old.read(name)
            new.writestr(name, spoiled(content, rng) if name == victim else content)
    return out.getvalue()


def spoiled(whole: bytes, rng: np.random.Generator) -> bytes:
    """Change, cut or double bytes; or put a strange number where a number is."""
    data = bytearray(whole)
    if not data:
        return b"\0"
    if rng.random() < 0.4:
        place = rng.integers(0, len(data))
        end = place
        while end < len(data) and chr(data[end]) in "0123456789.-":
            end += 1
        data[place:end] = STRANGE[rng.integers(len(STRANGE))]
        return bytes(data)
    for place in rng.integers(0, min(len(data), 400) if rng.random() < 0.3 else len(data), 2):
        data[place] = rng.integers(0, 256)
    way = rng.random()
    if way < 0.15:
        data = data[: rng.integers(0, len(data))]
    elif way < 0.25:
        a, b = sorted(rng.integers(0, len(data), 2))
        data[a:a] = data[a:b]
    return bytes(data)


def sound_files(folder: Path) -> dict[str, Path]:
    """Make one sound file of each format."""
    motion = trim(clip("wave"), end=0.15)
    found = {}
    for kind, ending in (("persona", "npz"), ("amass", "npz"), ("bvh", "bvh")):
        found[kind] = folder / f"{kind}.{ending}"
        save_motion(motion, found[kind], kind=kind)
    found["vrma"] = folder / "wave.vrma"
    write_vrma(found["vrma"], motion)
    frames = motion.frame_count
    pose = motion.params.full_pose
    found["gvhmr"] = folder / "hmr4d_results.pt"
    group = {"body_pose": pose[:, 1:22].flatten(1), "global_orient": pose[:, 0]}
    torch.save({"smpl_params_global": group | {"transl": torch.zeros(frames, 3)}}, found["gvhmr"])
    found["wham"] = folder / "wham_output.pkl"
    people = {0: {"pose_world": np.zeros((frames, 72)), "trans_world": np.zeros((frames, 3))}}
    found["wham"].write_bytes(pickle.dumps(people, protocol=2))
    (folder / "07.asf").write_text(ASF)
    found["amc"] = folder / "07_01.amc"
    found["amc"].write_text(AMC)
    found["asf"] = folder / "07.asf"
    found["joint map"] = folder / "map.toml"
    found["joint map"].write_text('[joints]\nleft_hip = "a"\nright_hip = "b"\n')
    found["json"] = folder / "json"
    save_motion(trim(motion, end=0.05), found["json"], kind="json")
    return found


def in_this_process(path: Path) -> None:
    """Read a pickle as the child does; what it refuses or cannot read is as it should be."""
    with path.open("rb") as file:
        data = file.read()
    try:
        zipped = data[:2] == b"PK"
        reader = pickle_child.Reader(io.BytesIO(data))
        value = pickle_child.read_zip(io.BytesIO(data), 1 << 24) if zipped else reader.load()
        pickle_child.chosen(value, set(), 1 << 24)
    # The child has the same wide net, for the same reason.
    except Exception as error:
        if isinstance(error, SystemExit | KeyboardInterrupt):
            raise


def opener(kind: str, path: Path) -> tuple[Path, Callable[[int], object]]:
    """Say which file of a format is damaged, and how it is then opened."""
    if kind == "joint map":
        return path, lambda _: read_joint_map(path)
    if kind in ("amc", "asf"):
        return path, lambda _: read_amc(path.with_name("07_01.amc"))
    if kind == "json":
        return path / "smplx_params" / "0.json", lambda _: open_motion(path, feet="keep")
    if kind in ("gvhmr", "wham"):
        return path, lambda k: open_motion(path) if k % CHILD_EVERY == 0 else in_this_process(path)
    return path, lambda _: open_motion(path, feet="keep")


def processor_time() -> float:
    """Give the seconds that this process and its children have computed."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def main() -> int:
    """Damage and open; return 1 when a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=int, default=1000, help="damaged files of each format")
    parser.add_argument("--only", default="", help="one format")
    args = parser.parse_args()
    broken = 0
    with tempfile.TemporaryDirectory() as name:
        for kind, path in sound_files(Path(name)).items():
            if args.only not in ("", kind):
                continue
            target, reopen = opener(kind, path)
            whole, rng = target.read_bytes(), np.random.default_rng(args.seed)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            slowest, read = 0.0, 0
            for k in range(args.files):
                target.write_bytes(damaged(whole, rng))
                start = processor_time()
                try:
                    reopen(k)
                    read += 1
                except PersonaError:
                    pass
                except Exception as error:  # noqa: BLE001
                    broken += 1
                    sys.stdout.write(f"{kind} file {k}: {type(error).__name__}: {error}\n"[:500])
                slowest = max(slowest, processor_time() - start)
            target.write_bytes(whole)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            late = slowest > SLOWEST or grown > LARGEST_MB
            broken += late
            sys.stdout.write(
                f"{kind:10} {args.files} files, {read} still read, slowest {slowest:.2f} s, "
                f"{grown:.0f} MB{'  TOO MUCH' if late else ''}\n"
            )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
