"""What the peers with many idle connections, as far as they are in Python, share.

They say "start", wait for a line, connect, say "connected LINKS BYTES" and stay until
their input ends. BYTES is what tracemalloc saw of one link, where BENCH_TRACEMALLOC is
set, else 0.
"""

import os
import resource
import sys
import tracemalloc

WAVE = 250
"""Connections begun at a time."""

ADDRESSES = 8
"""127.0.0.1 and the next: one pair of addresses has too few ports."""

traced = 0


def begin():
    """Everything is imported: from here on what is used is the links'."""
    global traced
    if os.environ.get("BENCH_TRACEMALLOC"):
        tracemalloc.start()
        traced = tracemalloc.get_traced_memory()[0]
    print("start", flush=True)
    sys.stdin.readline()


def connected(links):
    took = tracemalloc.get_traced_memory()[0] - traced if tracemalloc.is_tracing() else 0
    print(f"connected {links} {took // links}", flush=True)


def address(number):
    return f"127.0.0.{1 + number % ADDRESSES}"


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def most(each):
    """How many links there can be at so many descriptors a link."""
    return (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100) // max(each, 1)
