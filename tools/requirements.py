"""Print the requirements that pyproject.toml names, one a line, for the Makefile."""

import sys
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())


def requirements(group: str) -> list[str]:
    """Return the requirements of ``build``, ``run`` or an extra."""
    if group == "build":
        return PROJECT["build-system"]["requires"]
    if group == "run":
        return PROJECT["project"]["dependencies"]
    return PROJECT["project"]["optional-dependencies"][group]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        for line in requirements(name):
            sys.stdout.write(f"{line}\n")
