"""``python -m nbclient HOST PORT``: see docs/command-line.md."""

from __future__ import annotations

import sys

from nbclient.daemon.shell import main

if __name__ == "__main__":
    sys.exit(main())
