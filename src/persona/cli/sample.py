"""Draw a photo of a person who does not exist, to try things on.

Everything in it is drawn by this program: the picture belongs to nobody and shows nobody.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from persona.core.progress import current


@dataclass(frozen=True)
class Args:
    """What `persona sample` takes."""

    out: Path = Path("person.png")
    """PNG to write."""
    seed: int = 11
    """Chooses the person: body, skin, hair and clothes."""
    lower: Literal["trousers", "skirt"] = "trousers"
    """What covers the legs."""
    height: int = 1280
    """Rows of the picture [px], 256 to 4096; columns are three quarters."""


def run(args: Args) -> int:
    """Draw and write the picture."""
    from persona.images.files import write_png
    from persona.synthesis.sample.person import draw_sample_person

    voice = current()
    with voice.stage("draw"):
        picture = draw_sample_person(seed=args.seed, height=args.height, lower=args.lower)
    write_png(args.out, picture)
    voice.result({"photo": args.out})
    return 0
