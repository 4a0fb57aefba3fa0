"""``python -m nbclient.spool COMMAND DIR``: see docs/spool.md."""

from __future__ import annotations

import sys

from nbclient.daemon.spooltool import main

sys.exit(main())
