"""Measure methods on generated people: ``python tools/truth_table.py --data DIR --cache DIR``.

People and avatars that are not there yet are made: about 6 minutes of processor time for a person's
200 frames and 4 for an avatar. The table goes to standard output and, with everything needed to
repeat it, to ``--json``.
"""

import argparse
import json
import logging
from dataclasses import asdict
from pathlib import Path

import persona
from persona.core.atomic import write_text
from persona.core.fingerprint import code_version
from persona.evaluation.truth.dataset import truth_subjects
from persona.evaluation.truth.generate import TruthSettings
from persona.evaluation.truth.people import PEOPLE
from persona.evaluation.truth_table import margin_over_rigid, measure_truth, table_of
from persona.pipeline.creations import Finished, Workshop
from persona.pipeline.evaluated import our_methods

log = logging.getLogger("truth_table")


def main() -> None:
    """Parse the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="where generated people are kept")
    parser.add_argument("--cache", type=Path, required=True, help="where avatars are kept")
    parser.add_argument("--finished", type=Path, help="folder of finished avatars, PERSON.persona")
    parser.add_argument("--people", default=",".join(PEOPLE), help="whom, with commas between")
    parser.add_argument("--methods", default="ours,rigid", help="which, with commas between")
    parser.add_argument("--every", type=int, default=1, help="compare one frame in so many")
    parser.add_argument("--surface-every", type=int, default=1, help="likewise of known surfaces")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)8.0f ms  %(message)s")
    people = options.people.split(",")
    workshop = Workshop(root=options.cache)
    there = {name: options.finished / f"{name}.persona" for name in people if options.finished}
    methods = our_methods(Finished(folders=there, others=workshop) if there else workshop)
    settings = TruthSettings()
    rows = measure_truth(
        [methods[name] for name in options.methods.split(",")],
        truth_subjects(options.data, people, settings),
        every=options.every,
        surface_every=options.surface_every,
        heard=lambda row: log.info("%s %s: %.2f dB", row.subject, row.method, row.psnr_db),
    )
    log.info("\n%s", table_of(rows))
    found: dict[str, object] = {
        "persona": persona.__version__,
        "code": code_version()[:12],
        "every": options.every,
        "surface_every": options.surface_every,
        "settings": asdict(settings),
        "rows": [asdict(row) for row in rows],
    }
    if {"ours", "rigid"} <= set(options.methods.split(",")):
        margin = margin_over_rigid(rows)
        found["margin"] = asdict(margin)
        log.info("over rigid: %+.2f dB, %.0f %% closer", margin.gain_db, 100 * margin.avoided)
    if options.json:
        write_text(options.json, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
