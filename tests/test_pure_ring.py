"""The pure ring: it loads, and so is usable and testable, where there is no Twisted."""

from __future__ import annotations

import subprocess
import sys

import pytest

PURE = [
    "nbclient",
    "nbclient.backoff",
    "nbclient.delivery.ledger",
    "nbclient.delivery.outbox",
    "nbclient.delivery.outstanding",
    "nbclient.delivery.replies",
    "nbclient.errors",
    "nbclient.framing",
    "nbclient.liveness",
    "nbclient.states",
    "nbclient.talking",
    "nbclient.terminal",
]

# Runs in an interpreter of its own: here, Twisted is loaded already.
PROBE = """
import sys

SHUT = {"twisted", "zope", "OpenSSL", "hyperlink", "incremental", "constantly", "automat"}
LOOPS = {"asyncio", "selectors", "socket", "ssl"}

class Shut:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in SHUT:
            raise ImportError("the pure ring may not load " + name)

sys.meta_path.insert(0, Shut())
sys.path.insert(0, sys.argv[2])
before = set(sys.modules)
__import__(sys.argv[1])
loaded = {name.partition(".")[0] for name in set(sys.modules) - before} & (SHUT | LOOPS)
sys.exit("loaded: " + ", ".join(sorted(loaded)) if loaded else 0)
"""


def probe(module: str, folder: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        # -I: nothing of the environment, so that no site hook loads Twisted first.
        [sys.executable, "-I", "-c", PROBE, module, folder],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_loads_without_twisted(module: str, pytestconfig: pytest.Config) -> None:
    done = probe(module, str(pytestconfig.rootpath))
    assert done.returncode == 0, done.stderr


def test_the_probe_finds_a_module_that_is_not_pure(pytestconfig: pytest.Config) -> None:
    done = probe("nbclient.protocol", str(pytestconfig.rootpath))
    assert done.returncode != 0
    assert "the pure ring may not load" in done.stderr
