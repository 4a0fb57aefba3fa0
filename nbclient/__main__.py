"""``python -m nbclient HOST PORT``: see docs/command-line.md."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run the command line; Ctrl-C while it is still being loaded ends it without a word.

    A signal that ended it in good order is not a status but ends the process: the
    shell's ``$?`` is the same, and systemd takes it for success.

    :return: the exit status.
    :raises SystemExit: status 2, one line on stderr: wrong usage, or another
        distribution has put files into our folder.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from nbclient.tap import refuse_clash

    refuse_clash()
    from nbclient.daemon.cli import shell
    from nbclient.daemon.process import signals

    status = shell.main()
    if status > signals.BY_SIGNAL:
        signals.die_by(status - signals.BY_SIGNAL)
    return status


if __name__ == "__main__":
    sys.exit(main())
