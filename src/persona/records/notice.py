"""Notice: where an avatar comes from and under which terms, for every file made from it."""

from dataclasses import dataclass
from pathlib import Path

import persona
from persona.core.conventions import PROVENANCE, RIGHTS
from persona.core.errors import FileFormatError
from persona.records.storage import read_about


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What travels with every export."""

    provenance: str = PROVENANCE
    """What it was made from and by."""
    rights: str = RIGHTS
    """Whose it is."""
    licenses: tuple[tuple[str, str], ...] = ()
    """What went into it, each with its licence."""
    made_with: str = f"persona {persona.__version__}"
    """Program and version."""

    def lines(self) -> list[str]:
        """Give it as lines of text, for headers and side files."""
        terms = [f"license of {what}: {terms}" for what, terms in self.licenses]
        return [self.provenance, self.rights, *terms, f"made with {self.made_with}"]

    def as_json(self) -> dict[str, object]:
        """Give it as a JSON object."""
        return {
            "provenance": self.provenance,
            "rights": self.rights,
            "licenses": dict(self.licenses),
            "made_with": self.made_with,
        }


def notice_of(record: Path) -> Notice:
    """Read the licences that a saved record names.

    Args:
        record: As for `storage.load_record`, without an ending.

    Raises:
        FileFormatError: The record is missing or damaged, or its licences are no texts.
    """
    licenses = read_about(record).get("licenses", {})
    if not isinstance(licenses, dict) or not all(isinstance(v, str) for v in licenses.values()):
        raise FileFormatError(
            f"{record.name}.json has licences that are no texts",
            why="they are copied into every export",
            fix="create the avatar again",
        )
    return Notice(licenses=tuple(licenses.items()))
