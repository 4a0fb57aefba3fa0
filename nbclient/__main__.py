"""``python -m nbclient HOST PORT``: see docs/command-line.md."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run the command line; Ctrl-C while it is still being loaded ends it without a word."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from nbclient.daemon import shell

    return shell.main()


if __name__ == "__main__":
    sys.exit(main())
