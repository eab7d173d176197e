"""A script that ends with the process that started it.

``python -m speechbrain_e2v.report.with_parent SCRIPT ...`` with a pipe for
standard input: a parent that is killed cannot say so, but its end of the pipe
is closed, whichever way it ends.
"""

import os
import runpy
import signal
import sys
import threading
from pathlib import Path


def _end_with_parent() -> None:
    os.read(0, 1)  # nothing is ever written
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.argv = sys.argv[1:]
    # As for any script: what lies beside it can be imported.
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name="__main__")
