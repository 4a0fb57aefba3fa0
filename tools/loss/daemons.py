"""rsyslog and syslog-ng, configured as their manuals show it.

Both read the frames from a file and forward each as a line. rsyslog's settings are
those of its manual's "reliable forwarding": a disk-assisted queue, and trying again
for ever. syslog-ng has the reliable kind of disk buffer, and flow control; it looks for new
lines ten times a second.
"""

from __future__ import annotations

from pathlib import Path

RSYSLOG = """
global(workDirectory="{folder}"{authority})
module(load="imfile")
template(name="line" type="string" string="%msg%\\n")
ruleset(name="forward") {{
    action(
        type="omfwd" target="{host}" port="{port}" protocol="tcp" template="line"
        queue.type="LinkedList" queue.filename="queue" queue.saveOnShutdown="on"
        queue.maxDiskSpace="1g"
        action.resumeRetryCount="-1" action.resumeInterval="1"{secure}
    )
}}
input(type="imfile" file="{folder}/frames" tag="frame:" ruleset="forward")
"""

SYSLOG_NG = """@version: 3.38
options {{ time-reopen(1); stats-freq(0); }};
source frames {{ file("{folder}/frames" follow-freq(0.1) flags(no-parse)); }};
destination peer {{
    network(
        "{host}" port({port}) transport("{transport}") template("${{MESSAGE}}\\n")
        disk-buffer(reliable(yes) dir("{folder}")
            disk-buf-size(104857600) mem-buf-size(10485760)){secure}
    );
}};
log {{ source(frames); destination(peer); flags(flow-control); }};
"""


def rsyslog(host: str, port: int, folder: Path, ca: str | None) -> str:
    """A configuration for rsyslogd."""
    authority = secure = ""
    if ca:
        authority = f' defaultNetstreamDriverCAFile="{ca}"'
        secure = (
            ' streamDriver="ossl" streamDriverMode="1"'
            ' streamDriverAuthMode="x509/name" streamDriverPermittedPeers="localhost"'
        )
    return RSYSLOG.format(host=host, port=port, folder=folder, authority=authority, secure=secure)


def syslog_ng(host: str, port: int, folder: Path, ca: str | None) -> str:
    """A configuration for syslog-ng."""
    transport, secure = "tcp", ""
    if ca:
        transport = "tls"
        secure = f' tls(ca-file("{ca}") peer-verify(required-trusted))'
    return SYSLOG_NG.format(host=host, port=port, folder=folder, transport=transport, secure=secure)
