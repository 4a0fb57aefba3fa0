"""What ``twistd nbclient`` loads: `Options` and `makeService`.

Jupyter's package ``nbclient`` has our import name. Where both are installed,
they share one folder, and whichever came last owns ``__init__.py``; whichever is
uninstalled takes it along. So this module imports nothing of ours before it has
looked, and refuses such a mixture, or what is left of one, with one line and
status 2.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from typing import TYPE_CHECKING, NoReturn, cast

if TYPE_CHECKING:
    from twisted.application.service import IService
    from twisted.python.usage import Options as UsageOptions

    from nbclient.daemon.cli.twistd import TwistdOptions

DISTRIBUTION = "twisted-nbclient"

_MARK = "_HOMES"
"""A name that our ``__init__.py`` has, and no other."""


def _canonical(name: str) -> str:
    """Return a distribution's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def clashing_distributions() -> list[str]:
    """Return the names of other installed distributions that hold an ``nbclient``.

    Empty where there is none, also where this package runs from a checkout
    without being installed.
    """
    holders = metadata.packages_distributions().get("nbclient", ())
    return sorted({name for name in holders if _canonical(name) != DISTRIBUTION})


def refuse_clash() -> None:
    """Leave with one line on stderr and status 2 where the import name is, or was, shared.

    :raises SystemExit: another distribution has put files into our folder, or took
        our ``__init__.py`` along when it went.
    """
    others = clashing_distributions()
    if others:
        _leave(
            f"{' and '.join(others)} and {DISTRIBUTION} are installed in one environment "
            f"and overwrite each other's files (both are imported as nbclient); "
            f"give {DISTRIBUTION} an environment of its own, and reinstall {others[0]} in this one"
        )
    if not hasattr(sys.modules["nbclient"], _MARK):
        _leave(
            f"{DISTRIBUTION} is damaged: its nbclient/__init__.py is missing, or another's, as "
            f"after Jupyter's nbclient was removed from the same environment; "
            f"reinstall {DISTRIBUTION}, in an environment of its own"
        )


def _leave(why: str) -> NoReturn:
    print(f"nbclient: {why}", file=sys.stderr)
    raise SystemExit(2)


def Options() -> UsageOptions:
    """Return the options of ``twistd nbclient``, not parsed yet.

    :raises SystemExit: another distribution shares our import name; status 2.
    """
    refuse_clash()
    from nbclient.daemon.cli.twistd import TwistdOptions

    return TwistdOptions()


def makeService(options: UsageOptions) -> IService:
    """Return the service that these parsed options describe."""
    from nbclient.daemon.cli.twistd import make_service

    return make_service(cast("TwistdOptions", options))
