"""The loss harness: what is lost when servers die, by nbclient and by what people use instead.

    python -m tools.loss [--quick] [--seed 1] [--count 100000] [--json FILE]

Numbered frames are sent to a server that works on them at a given rate, writes
down each one it has worked on, and dies at points drawn from the seed: by
SIGKILL, by a reset, by close and by a half-close, each time to come back a
moment later. The server is a process of its own, and so are the sender and,
in some cells, a relay that ends TCP. Afterwards the server's record says what was
lost, what came twice, what came out of order and what came in part.

A cell is one sender under one condition. All senders face the same deaths.
For nbclient the record is held against its own counters, connection by
connection; where they do not agree the harness fails (`tools.loss.judge`).

Everything is on loopback, the ports are the system's choice, and no process
outlives the harness. Linux only. TLS needs the extra ``tls``. rsyslog and
syslog-ng are left out where they are not installed.
"""
