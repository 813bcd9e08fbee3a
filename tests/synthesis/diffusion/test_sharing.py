"""Two processes make the film that one makes; started as torchrun starts them."""

import socket
import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from persona.synthesis.diffusion.mimicmotion import MimicMotion
from persona.synthesis.diffusion.settings import MimicMotionSettings

WORKER = """
import sys
from pathlib import Path
import torch
from safetensors.torch import load_file, save_file
from persona.synthesis.diffusion.mimicmotion import MimicMotion
from persona.synthesis.diffusion.settings import MimicMotionSettings
from persona.synthesis.diffusion.sharing import leave_group, share_of_process

torch.set_num_threads(1)
base, checkpoint, film, out = map(Path, sys.argv[1:])
cpu = torch.device("cpu")
share = share_of_process(cpu)
settings = MimicMotionSettings(width=64, height=64, window=4, overlap=1, steps=2, decode_chunk=3)
made = MimicMotion.load(
    base, checkpoint, settings=settings, device=cpu, dtype=torch.float32, share=share
)
seen = load_file(film)
latents = made.latents(seen["photo"], seen["skeletons"])
save_file({"latents": latents, "pictures": made.decode(latents)}, out / f"{share.rank}.safetensors")
assert share.world == 2
leave_group()
"""


def test_two_processes_make_the_same_film(parts, published, film, tmp_path):
    save_file({"photo": film[0], "skeletons": film[1]}, tmp_path / "film.safetensors")
    (tmp_path / "worker.py").write_text(WORKER)
    options = {
        "settings": MimicMotionSettings(
            width=64, height=64, window=4, overlap=1, steps=2, decode_chunk=3
        ),
        "device": torch.device("cpu"),
        "dtype": torch.float32,
    }
    # Converts the checkpoint, too, so that the processes need not.
    alone = MimicMotion.load(*published, **options)
    latents = alone.latents(*film)
    pictures = alone.decode(latents)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-port", str(port), str(tmp_path / "worker.py"), *map(str, published)]
    command += [str(tmp_path / "film.safetensors"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for rank in (0, 1):
        made = load_file(Path(tmp_path) / f"{rank}.safetensors")
        apart = (made["latents"] - latents).abs()
        # Sums in another order; the first step computes with noise of 700 in float32.
        assert float(apart.max()) < 700 * 1e-6
        assert float(apart.mean()) < 1e-5 * float(latents.abs().mean())
        assert int((made["pictures"].int() - pictures.int()).abs().max()) <= 1
