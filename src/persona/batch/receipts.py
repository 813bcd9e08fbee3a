"""What became of a job: one small file, written after its result, read before it is repeated."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from persona.batch.jobs import Job
from persona.batch.storage import Shelf
from persona.core.errors import PersonaError

State = Literal["done", "failed", "quarantined"]
"""Failed: refused for a stated reason. Quarantined: took its worker with it, twice."""
FOLDER: Final = "receipts"
TRIES: Final = 2
"""Times that a job may take its worker with it."""
MAX_BYTES: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What became of a job."""

    key: str
    """Whose."""
    name: str
    """What people call it."""
    kind: str
    """What was done."""
    state: State
    """How it ended."""
    output: str = ""
    """Name of the result."""
    files: dict[str, int] = field(default_factory=dict)
    """Its files and their sizes [bytes]."""
    seconds: float = 0.0
    """Time on the clock [s]."""
    stages: dict[str, float] = field(default_factory=dict)
    """Time of each stage [s]; of a job that was killed and went on, those that ran last."""
    peak_memory: int = 0
    """Largest resident size of the worker up to then [bytes]."""
    numbers: dict[str, float] = field(default_factory=dict)
    """What was measured."""
    warnings: list[str] = field(default_factory=list)
    """What makes it worse than it could be."""
    error: dict[str, str] = field(default_factory=dict)
    """Kind, what, why and fix, where it did not end well."""
    tries: int = 1
    """Times that it was begun in this run."""
    finished_at: float = 0.0
    """When it ended [s since 1970]."""

    def text(self) -> str:
        """Write it."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


def refused(job: Job, state: State, error: PersonaError, **facts: Any) -> Receipt:
    """Make the receipt of a job that did not end well."""
    said = {
        "kind": type(error).__name__,
        "what": error.what,
        "why": error.why,
        "fix": error.fix,
    }
    return Receipt(key=job.key, name=job.name, kind=job.kind, state=state, error=said, **facts)


def write_receipt(shelf: Shelf, receipt: Receipt) -> None:
    """Put it on the shelf, in one step."""
    shelf.write(f"{FOLDER}/{receipt.key}.json", receipt.text())


def read_receipt(shelf: Shelf, key: str) -> Receipt | None:
    """Read one; None where there is none, or what is there is none: the job is done again."""
    data = shelf.read(f"{FOLDER}/{key}.json")
    if data is None or len(data) > MAX_BYTES:
        return None
    try:
        facts = json.loads(data)
        known = {k: v for k, v in facts.items() if k in Receipt.__dataclass_fields__}
        receipt = Receipt(**known)
    except (ValueError, TypeError, AttributeError):
        return None
    return receipt if receipt.key == key else None


def is_whole(shelf: Shelf, receipt: Receipt) -> bool:
    """Tell whether every file of a result is there in its size."""
    return bool(receipt.files) and shelf.sizes(receipt.output) == receipt.files


def all_keys(shelf: Shelf) -> list[str]:
    """List the keys of all receipts, sorted."""
    return [name.removesuffix(".json") for name in shelf.names(FOLDER)]
