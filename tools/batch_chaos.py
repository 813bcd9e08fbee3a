"""Kill the workers of a real batch at random, then its head, and see that nothing is lost.

``python -m tools.batch_chaos PHOTOS WORK``. PHOTOS is a folder of pictures; crops of them make up
the count. Prints what was killed, what was kept, and what is wrong; leaves with 1 if anything is.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from persona.batch.receipts import Receipt, all_keys, is_whole, read_receipt
from persona.batch.storage import Shelf

CROPPED = 0.04
"""Most that a crop takes away at each side."""


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")


def make_inputs(photos: Path, folder: Path, count: int, draw: random.Random) -> int:
    """Write ``count`` different pictures: the photos, then crops of them; return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    readable = [path for path in sorted(photos.iterdir()) if _opens(path)]
    for number in range(count):
        source = readable[number % len(readable)]
        picture = Image.open(source).convert("RGB")
        if number >= len(readable):
            width, height = picture.size
            cut = [draw.uniform(0, CROPPED) for _ in range(4)]
            right, low = round((1 - cut[2]) * width), round((1 - cut[3]) * height)
            picture = picture.crop((round(cut[0] * width), round(cut[1] * height), right, low))
        picture.save(folder / f"{number:03d}_{source.stem}.png", compress_level=1)
    return count


def _opens(path: Path) -> bool:
    try:
        with Image.open(path) as picture:
            picture.load()
    except (UnidentifiedImageError, OSError):
        return False
    return True


def children(pid: int) -> list[int]:
    """List the children of a process."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(word) for word in text.split()]


def state_of(shelf: Shelf) -> dict[str, tuple[Receipt, str]]:
    """Read every receipt, and hash what it vouches for."""
    found = {}
    for key in all_keys(shelf):
        receipt = read_receipt(shelf, key)
        if receipt is not None:
            avatar = shelf.root / receipt.output / "avatar.safetensors"
            made = hashlib.sha256(avatar.read_bytes()).hexdigest() if avatar.is_file() else ""
            found[key] = (receipt, made)
    return found


def kill_at_random(head: subprocess.Popen[bytes], kills: int, draw: random.Random) -> int:
    """End ``kills`` workers and then the head; return how many workers were."""
    killed = 0
    while killed < kills and head.poll() is None:
        time.sleep(draw.uniform(5, 30))
        workers = children(head.pid)
        if workers:
            os.kill(draw.choice(workers), signal.SIGKILL)
            killed += 1
    time.sleep(draw.uniform(5, 30))
    if head.poll() is None:
        head.send_signal(signal.SIGKILL)
        head.wait()
        say("the head was killed")
    return killed


def main() -> int:
    """Make, kill, go on, look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    draw = random.Random(args.seed)
    folder, out = args.work / "photos", args.work / "out"
    count = make_inputs(args.photos, folder, args.count, draw)
    command = [sys.executable, "-m", "persona", "batch", str(folder), "--out", str(out)]
    command += ["--preset", "draft", "--workers", "2", "--retry-failed"]
    killed = kill_at_random(subprocess.Popen(command), args.kills, draw)
    shelf = Shelf(str(out))
    before = state_of(shelf)
    began = time.time()
    subprocess.run(command, check=False)
    after = state_of(shelf)
    done = {key for key, (receipt, _) in before.items() if receipt.state == "done"}
    wrong = [f"{key[:8]} was done again" for key in done if before[key] != after[key]]
    wrong += [f"{r.name} is {r.state}" for r, _ in after.values() if r.state == "quarantined"]
    wrong += [f"{r.name} is not whole" for r, _ in after.values() if not _right(shelf, r)]
    wrong += [f"{path.name} is left over" for path in _leftovers(out)]
    if len(after) != count:
        wrong.append(f"{len(after)} receipts for {count} inputs")
    finished = sum(receipt.state == "done" for receipt, _ in after.values())
    say(f"{killed} workers killed; {len(done)} were done before, {finished} in the end,")
    say(f"{count - finished} refused; the second run took {time.time() - began:.0f} s")
    say("\n".join(wrong) or "nothing is wrong")
    return 1 if wrong else 0


def _right(shelf: Shelf, receipt: Receipt) -> bool:
    return receipt.state != "done" or is_whole(shelf, receipt)


def _leftovers(out: Path) -> list[Path]:
    """List files that were being written, and runs that did not end, of jobs that are done."""
    runs = [path for path in (out / "results").iterdir() if path.name.startswith(".")]
    return runs + [path for path in out.rglob(".partial-*") if path not in runs]


if __name__ == "__main__":
    sys.exit(main())
