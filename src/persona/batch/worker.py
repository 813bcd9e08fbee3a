"""A process that does jobs one after another: a line of JSON in, lines of JSON out.

``python -m persona.batch.worker URL``. Models stay loaded between jobs. It ends when its input
does, and dies with its parent, so that nobody works for a batch that is gone.
"""

import ctypes
import errno
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final

from persona.core.threads import wait_patiently

NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
"""Faults of the place where results go, not of a job."""
_PR_SET_PDEATHSIG: Final = 1


def main() -> int:
    """Work until there is no more."""
    _die_with_parent()
    wait_patiently()
    # What libraries print must not come between the lines of the protocol.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    url = sys.argv[1]

    def send(values: dict[str, Any]) -> None:
        answers.write(json.dumps(values) + "\n")

    for line in sys.stdin:
        send(answer(json.loads(line), url, heard=lambda name: send({"stage": name})))
    return 0


def answer(
    job: dict[str, Any],
    url: str,
    *,
    heard: Callable[[str], None] = lambda _: None,
    prepare: bool = False,
) -> dict[str, Any]:
    """Do a job; give ``receipt``, or ``storage`` or ``bug`` with what was raised.

    The receipt of what was only prepared is empty.
    """
    from persona.batch.work import do_job

    try:
        return {"receipt": do_job(job, url, heard=heard, prepare=prepare)}
    except OSError as error:
        if error.errno in NO_ROOM:
            return {"storage": f"{error.strerror}"}
        return {"bug": traceback.format_exc()}
    except Exception:  # noqa: BLE001  one job's bug must not end the others; it is reported whole
        return {"bug": traceback.format_exc()}


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
