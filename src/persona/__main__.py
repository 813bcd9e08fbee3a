"""Run the command line as ``python -m persona``."""

import sys

from persona.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
