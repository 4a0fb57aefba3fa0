"""Why something ended: one line for a person, whatever the failure was."""

from __future__ import annotations

import errno
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet import error
from twisted.python.failure import Failure

from nbclient import errors
from nbclient.connection.connecting import ConnectedToItself
from nbclient.connection.wording import explain
from nbclient.endpoints.tls_endpoint import CertificateRefused, HandshakeFailed


class Odd(error.ConnectionLost):
    """A kind of loss that nobody here has heard of."""


def ssl_error(*reasons: str) -> SSL.Error:
    """As pyOpenSSL raises it."""
    return SSL.Error([("SSL routines", "", reason) for reason in reasons])


NO_NETWORK = "no route to the network, or a firewall rejects the connection"

EXPLAINED = [
    # How connections end.
    (error.ConnectionDone(), "the peer closed the connection"),
    (error.ConnectionLost(), "the connection was lost (reset, or a write failed)"),
    (error.ConnectionAborted(), "the connection was aborted"),
    # How attempts end; the numbers do not matter where there are words.
    (error.ConnectionRefusedError(), "connection refused"),
    (
        error.ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        "connection refused",
    ),
    (error.NoRouteError(errno.ENETUNREACH, "Network is unreachable"), NO_NETWORK),
    (error.NoRouteError(), NO_NETWORK),
    (ConnectedToItself(), "connected to itself: nothing listens there"),
    (
        error.ConnectError(string=Failure(error.ConnectionDone())),  # type: ignore[arg-type]
        "the connection attempt failed, and the system's reason is lost",
    ),
    (error.TCPTimedOutError(errno.ETIMEDOUT, "…"), "the connection attempt timed out"),
    (error.TimeoutError(), "the connection attempt timed out"),
    (error.DNSLookupError("no results for nowhere.example"), None),
    # Errors of the operating system without a class of their own.
    (
        error.ConnectError(errno.EHOSTUNREACH, "whatever"),
        "no route to the host, or a firewall rejects the connection",
    ),
    (
        error.ConnectError(errno.ENOPROTOOPT, "Protocol not available"),
        "a firewall rejects the connection (protocol unreachable)",
    ),
    (error.ConnectError(errno.EADDRNOTAVAIL, "x"), "no local address or port is free for it"),
    (error.ConnectError(errno.ENOENT, "/run/feed.sock"), "no such file or directory"),
    (error.ConnectError(errno.EACCES), "permission denied, here or by a firewall"),
    (error.ConnectBindError(errno.EACCES, "x"), "permission denied"),
    (error.ConnectBindError(errno.EADDRINUSE, "x"), "address already in use"),
    (error.ConnectBindError(errno.EMFILE, "x"), "too many open files"),
    # Ours say it themselves.
    (errors.ConnectTimeout(10), "not connected within 10 s (name, connect and TLS together)"),
    (errors.OpeningFailed("login refused"), "login refused"),
    (errors.LinkStopped("feed:1 was stopped"), "feed:1 was stopped"),
    (errors.SilenceTimeout(60), "the peer sent nothing for 60 s"),
    # TLS.
    (
        CertificateRefused("self-signed", "it is self-signed", "sha256:00"),
        "the server's certificate was refused: it is self-signed",
    ),
    (HandshakeFailed("the server hung up"), "the server hung up"),
    (
        ssl_error("certificate verify failed"),
        "the server's certificate could not be verified",
    ),
    (
        ssl_error("wrong version number"),
        "the server does not answer in TLS (is this a plain text port?)",
    ),
    (ssl_error("something new"), "TLS failed: something new"),
    # The rest.
    (ValueError("twelve"), "ValueError: twelve"),
    (Odd("strange"), None),
]


@pytest.mark.parametrize(
    ("reason", "words"),
    [(reason, words) for reason, words in EXPLAINED if words is not None],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_kind_of_failure_is_told_in_plain_words(reason: Exception, words: str) -> None:
    assert explain(Failure(reason)) == words


@pytest.mark.parametrize(
    "reason", [reason for reason, _ in EXPLAINED], ids=lambda reason: type(reason).__name__
)
def test_it_is_one_line_without_the_name_of_a_class_where_words_will_do(
    reason: Exception,
) -> None:
    line = explain(Failure(reason))
    assert len(line.splitlines()) == 1
    assert "Traceback" not in line
    if not isinstance(reason, ValueError | Odd):
        assert type(reason).__name__ not in line


def test_a_name_that_cannot_be_resolved_is_named() -> None:
    line = explain(Failure(error.DNSLookupError("no results for nowhere.example")))
    assert line == "the name cannot be resolved: no results for nowhere.example"


def test_a_lookup_that_failed_without_words_is_still_told() -> None:
    line = explain(Failure(error.DNSLookupError()))
    assert line == "the name cannot be resolved: DNS lookup failed."


def test_a_lookup_that_failed_with_an_error_of_the_system_is_still_told() -> None:
    # Twisted's own resolver passes on what the platform gave it.
    line = explain(Failure(error.DNSLookupError(socket.gaierror(-2, "Name not known"))))
    assert line == "the name cannot be resolved: [Errno -2] Name not known"


@pytest.mark.parametrize(
    "number", [None, 10**6, "ENOENT"], ids=["none", "unknown to the system", "not a number"]
)
def test_an_attempt_that_failed_without_a_known_number_is_told_by_its_own_text(
    number: object,
) -> None:
    line = explain(Failure(error.ConnectError(number, "the moon was full")))
    assert line.startswith("An error occurred while connecting")
    assert "the moon was full" in line


def test_an_error_of_a_kind_unknown_here_keeps_its_name_because_there_is_nothing_better() -> None:
    assert explain(Failure(Odd("strange"))).startswith("Odd: ")


@given(st.text(min_size=1).filter(str.strip), st.sampled_from(range(4)))
def test_no_text_whoever_wrote_it_makes_a_second_line(text: str, which: int) -> None:
    kinds = (errors.OpeningFailed, error.DNSLookupError, ValueError, HandshakeFailed)
    line = explain(Failure(kinds[which](text)))
    assert len(line.splitlines()) == 1
    assert line == line.strip()


@pytest.mark.parametrize("reason", [errors.OpeningFailed(), HandshakeFailed(), ValueError()])
def test_an_error_raised_without_words_is_not_a_blank_in_the_log(reason: Exception) -> None:
    # `raise OpeningFailed` in an application's opening is a natural thing to write.
    line = explain(Failure(reason))
    assert line
    assert not line.endswith(":")
