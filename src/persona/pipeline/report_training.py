"""The report's table of joint training: every term, its price, its reason and where it came to."""

import html
from typing import Final

from persona.optimization.joint_objective import GENERATED_TERMS, PATCH_TERMS, PHOTO_FRAME_TERMS
from persona.pipeline.refined import Refined

KINDS: Final = {
    "photo": PHOTO_FRAME_TERMS,
    "face": PATCH_TERMS,
    "frames": GENERATED_TERMS,
}
"""Kind of picture -> its table of terms."""


def training_section(refined: Refined | None) -> str:
    """Write the objective as it was, with each term's first and last residual."""
    if refined is None:
        return (
            "<p>They were not learned from together: the avatar is the photo's, and only the "
            "movement of cloth is the generator's. <code>--refine STEPS</code> does it.</p>"
        )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in refined.notes)
    rows = []
    for kind, terms in KINDS.items():
        for term in terms:
            seen = [entry[term.name] for entry in refined.history if term.name in entry]
            if not seen:
                continue
            rows.append(
                f"<tr><td>{kind}</td><td>{term.name}</td><td class=number>{term.weight:g}</td>"
                f"<td class=number>{seen[0]:.4g}</td><td class=number>{seen[-1]:.4g}</td>"
                f"<td>{html.escape(term.unit)}</td><td>{html.escape(term.because)}</td></tr>"
            )
    head = "<tr><th>of<th>term<th>price<th>at first<th>at last<th>unit<th>why</tr>"
    return f"<ul>{notes}</ul><table>{head}{''.join(rows)}</table>"
