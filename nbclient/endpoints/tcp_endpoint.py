"""A host and port over TCP, a UNIX socket, or a string that describes an endpoint.

Each function returns a Twisted `IStreamClientEndpoint`; nothing here decides
when or how often to connect."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
import sys
from typing import Any, cast

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import HostnameAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    SSL4ClientEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    clientFromString,
)
from twisted.internet.error import ConnectBindError, ConnectingCancelledError, DNSLookupError
from twisted.internet.interfaces import (
    IHostnameResolver,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import alsoProvides, directlyProvides, implementer, providedBy

from nbclient.connection.connecting import binds_again, refine
from nbclient.connection.timers import timers_of
from nbclient.core.arguments import check, check_text, check_timeout, check_whole, is_clock
from nbclient.endpoints import resolver as _resolver
from nbclient.endpoints.resolver import Address, Resolver
from nbclient.errors import LinkError, SpecError

LONGEST_SOCKET = 107 if sys.platform == "linux" else 103
"""Most bytes of a UNIX socket's path (unix(7))."""

CONNECT_TIMEOUT = 10.0
"""Default time for the name and the connection together, seconds."""

AT_ONCE = 10
"""Addresses of a name that one attempt tries; the next attempt tries the next."""

_FAMILIES = {None: socket.AF_UNSPEC, "4": socket.AF_INET, "6": socket.AF_INET6}


class BindFailed(LinkError):
    """The local address to connect from is not to be had now.

    It may be later: an address comes and goes with its interface.
    """


def tcp(
    reactor: Any,
    host: str,
    port: int,
    *,
    timeout: float = CONNECT_TIMEOUT,
    bind: tuple[str, int] | None = None,
    family: str | None = None,
    resolver: Resolver | None = None,
) -> IStreamClientEndpoint:
    """An endpoint that connects to a host and port over TCP.

    A name is looked up anew at each attempt, in threads that nothing waits
    for. Several addresses are tried as RFC 8305 (happy eyeballs) has it.

    :param host: a name, or an IPv4 or IPv6 literal (without brackets).
    :param port: 1 to 65535.
    :param timeout: seconds for the name and the connection together (and 0.3 s
        for each further address that is tried).
    :param bind: local address (a literal, or "" for any) and port (0 for any);
        where it cannot be had, `connect` fails with `BindFailed`.
    :param family: "4" or "6" restricts to IPv4 or IPv6.
    :param resolver: looks names up; default the one this process shares.
    :raises SpecError: an argument is out of its domain, or two contradict each other.
    """
    check_text("host", host)
    _check_port(port, lowest=1)
    if not host:
        raise SpecError("the host is empty")
    chosen = _choose_family(host, bind, family)
    check_timeout("timeout", timeout)
    _check_reactor(reactor, "connectTCP")
    return _TCPEndpoint(reactor, host, port, timeout, bind, chosen, resolver)


def unix(reactor: Any, path: str, *, timeout: float = CONNECT_TIMEOUT) -> IStreamClientEndpoint:
    """An endpoint that connects to a UNIX stream socket.

    :param timeout: seconds.
    :raises SpecError: the path is empty, or longer than the system takes.
    """
    check_text("path", path)
    if not path:
        raise SpecError("the path of the UNIX socket is empty")
    if len(os.fsencode(path)) > LONGEST_SOCKET:
        raise SpecError(f"the path of the UNIX socket is longer than {LONGEST_SOCKET} bytes")
    check_timeout("timeout", timeout)
    _check_reactor(reactor, "connectUNIX")
    return UNIXClientEndpoint(reactor, path, timeout=timeout)


def from_string(reactor: Any, text: str) -> IStreamClientEndpoint:
    """The endpoint a string describes, as Twisted's `clientFromString` reads it.

    For what only such strings can say. The name of a ``tcp:`` is looked up as by `tcp`, for
    IPv4 only; others by the reactor. The files of `tls:` are read once: `tls` does better.

    :raises SpecError: the string is not understood, or asks for `ssl:`, which
        accepts any certificate; use `tls:`.
    """
    check_text("text", text)
    if text.lower().startswith("ssl:"):
        raise _refuse_ssl(text)
    _check_string(text)
    try:
        endpoint: IStreamClientEndpoint = clientFromString(_Refining(reactor), text)
    except Exception as error:  # parsers are plugins: they raise what they like
        raise SpecError(f"endpoint {text!r}: {_one_line(error)}") from error
    if isinstance(endpoint, SSL4ClientEndpoint):  # written in another way
        raise _refuse_ssl(text)
    if isinstance(endpoint, TCP4ClientEndpoint) and not _family_of(endpoint._host):
        # Twisted's own dials one address of a name, at each attempt the first.
        bind = cast("tuple[str, int] | None", endpoint._bindAddress)
        where = (endpoint._host, endpoint._port, endpoint._timeout, bind)
        return _TCPEndpoint(reactor, *where, int(socket.AF_INET), None)
    return endpoint


def parse_host_port(text: str) -> tuple[str, int | None]:
    """Read "host:port", "[::1]:80", "host" or "::1".

    :return: the host without brackets, and the port or None.
    :raises SpecError: it is none of these.
    """
    host, colon, port = text.rpartition(":")
    if (text.count(":") > 1 and isIPv6Address(text)) or text.endswith("]") or not colon:
        host, colon = text, ""
    bare = _unbracket(host, text)
    return bare, parse_port(port) if colon else None


def parse_port(text: str, *, lowest: int = 1) -> int:
    """Read a port number.

    :param lowest: 0 where "any port" has a meaning.
    :raises SpecError: not a number, or out of range.
    """
    if not (text.isascii() and text.isdigit()):
        raise SpecError(f"port {text!r} is not a number")
    return _check_port(int(text[:20]), lowest=lowest)


def _check_port(port: int, *, lowest: int) -> int:
    check_whole("port", port)
    if not lowest <= port <= 65535:
        raise SpecError(f"port {port} is out of range ({lowest} to 65535)")
    return port


def _check_reactor(reactor: object, way: str) -> None:
    fits = is_clock(reactor) and callable(getattr(reactor, way, None))
    check("reactor", reactor, fits, f"a reactor, which has {way}")


def _unbracket(host: str, text: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not isIPv6Address(host):
            raise SpecError(f"{text!r}: {host!r} in brackets is no IPv6 address")
        return host
    if not host:
        raise SpecError(f"{text!r} names no host")
    if not isIPv6Address(host) and re.search(r"[\s\[\]/:]", host):
        raise SpecError(f"{text!r} is not HOST:PORT (an IPv6 address goes in brackets)")
    return host


def _choose_family(host: str, bind: tuple[str, int] | None, family: str | None) -> int:
    """The one address family that all three allow; AF_UNSPEC where any will do."""
    if family not in _FAMILIES:
        raise SpecError(f"family {family!r} is neither '4' nor '6'")
    said = {f"family {family}": int(_FAMILIES[family]), f"host {host}": _family_of(host)}
    if bind is not None:
        pair = isinstance(bind, tuple) and len(bind) == 2
        check("bind", bind, pair, 'a pair of address and port, ("192.0.2.1", 0), or None')
        check_text("bind", bind[0])
        _check_port(bind[1], lowest=0)
        said[f"bind {bind[0]}"] = _family_of(bind[0])
        if bind[0] and not said[f"bind {bind[0]}"]:
            raise SpecError(f"bind {bind[0]!r} is not an IP address")
        if bind[0] and ipaddress.ip_address(bind[0]).is_multicast:
            raise SpecError(f"bind {bind[0]} is a multicast address, and no machine's own")
    firm = {who: which for who, which in said.items() if which}
    if len(set(firm.values())) > 1:
        raise SpecError(f"IPv4 and IPv6 do not meet: {', '.join(firm)}")
    return next(iter(firm.values()), int(socket.AF_UNSPEC))


def _family_of(host: str) -> int:
    if isIPAddress(host):
        return int(socket.AF_INET)
    if isIPv6Address(host):
        return int(socket.AF_INET6)
    return int(socket.AF_UNSPEC)


@implementer(IStreamClientEndpoint)
class _TCPEndpoint:
    """See `tcp`."""

    def __init__(
        self,
        reactor: Any,
        host: str,
        port: int,
        timeout: float,
        bind: tuple[str, int] | None,
        family: int,
        resolver: Resolver | None,
    ) -> None:
        self._reactor = reactor
        self._host = host
        self._port = port
        self._timeout = timeout
        self._bind = bind
        self._family = family
        self._resolver = resolver
        self._tried: frozenset[str] = frozenset()  # where there are more than `AT_ONCE`

    def __repr__(self) -> str:
        host = f"[{self._host}]" if isIPv6Address(self._host) else self._host
        return f"<tcp {host}:{self._port}>"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        connecting = self._connect(protocolFactory)
        return connecting if self._bind is None else connecting.addErrback(self._unbound)

    def _unbound(self, failure: Failure) -> Failure:
        """Whoever reads "cannot assign requested address" must know which."""
        address, port = self._bind or ("", 0)
        number = getattr(failure.value, "osError", None)
        if not failure.check(ConnectBindError):
            if not (port and number == errno.EADDRNOTAVAIL):
                return failure
            why = (
                "there is a connection from there to this peer: our last one, in TIME_WAIT for a"
                " minute at most, or one of another process"
            )
        elif number == errno.EADDRNOTAVAIL:
            why = "it is not an address of this machine"
        else:
            why = os.strerror(cast(int, number)).lower()
        host = f"[{address}]" if port and isIPv6Address(address) else address
        return Failure(BindFailed(f"bind {host}{f':{port}' if port else ''}: {why}"))

    def _connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        if _family_of(self._host):
            return self._dial(self._host, self._timeout, protocolFactory)
        deadline = self._reactor.seconds() + self._timeout
        lookup = (self._resolver or _resolver.shared()).lookup(
            self._reactor, self._host, self._port, self._family
        )
        lookup.addBoth(self._looked_up, _Limit(self._reactor, self._timeout, lookup))
        return lookup.addCallback(self._dial_addresses, deadline, protocolFactory)

    def _dial_addresses(
        self, addresses: list[Address], deadline: float, factory: IProtocolFactory
    ) -> Deferred[IProtocol]:
        addresses = self._next(addresses)
        left = max(0.0, deadline - self._reactor.seconds())
        if len(addresses) == 1:
            return self._dial(addresses[0].host, left, factory)
        # The first address stands for the name: HostnameEndpoint refuses names
        # that are not IDNA, and has no need of it, the answer being here.
        endpoint = HostnameEndpoint(
            _ReactorWithAnswer(self._reactor, addresses),
            addresses[0].host,
            self._port,
            timeout=left,
            bindAddress=self._bind,
        )
        return endpoint.connect(factory).addCallback(self._found)

    def _next(self, addresses: list[Address]) -> list[Address]:
        """Those of them whose turn it is: after an attempt that failed, those not tried yet."""
        if len(addresses) <= AT_ONCE:
            return addresses
        fresh = [each for each in addresses if each.host not in self._tried]
        if not fresh:
            self._tried, fresh = frozenset(), addresses
        chosen = fresh[:AT_ONCE]
        self._tried |= {each.host for each in chosen}
        return chosen

    def _found(self, connected: IProtocol) -> IProtocol:
        self._tried = frozenset()
        return connected

    def _dial(self, host: str, timeout: float, factory: IProtocolFactory) -> Deferred[IProtocol]:
        kind = TCP6ClientEndpoint if isIPv6Address(host) else TCP4ClientEndpoint
        endpoint = kind(_Refining(self._reactor), host, self._port, timeout, self._bind)
        return endpoint.connect(factory)

    def _looked_up(self, result: Any, limit: _Limit) -> Any:
        """Cancelled while looking up: say so as every Twisted endpoint does."""
        limit.over()
        if not (isinstance(result, Failure) and result.check(CancelledError)):
            return result
        if limit.passed:
            words = f"{self._host!r}: no answer within {self._timeout:g} s"
            return Failure(DNSLookupError(words))
        address = HostnameAddress(self._host.encode("utf-8"), self._port)
        return Failure(ConnectingCancelledError(address))


class _Limit:
    """Cancels a Deferred when its time is up, as judged after a read
    (`nbclient.connection.timers`).

    :ivar passed: it did.
    """

    def __init__(self, clock: Any, seconds: float, deferred: Deferred[Any]) -> None:
        self.passed = False
        self._timers = timers_of(clock)
        self._timer = self._timers.after(seconds, self._pass, deferred)

    def _pass(self, deferred: Deferred[Any]) -> None:
        self.passed = True
        deferred.cancel()

    def over(self) -> None:
        """There is a result."""
        self._timers.cancel(self._timer)


class _Refining:
    """The reactor, but what it dials is refined (`nbclient.connection.connecting`)."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        directlyProvides(self, providedBy(reactor))

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = CONNECT_TIMEOUT,
        bindAddress: tuple[str, int] | None = None,
    ) -> Any:
        ours = bindAddress if binds_again(self._reactor, bindAddress) else None
        theirs = bindAddress if ours is None else None
        connector = self._reactor.connectTCP(host, port, factory, timeout, theirs)
        refine(connector, ours)
        return connector

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


class _ReactorWithAnswer(_Refining):
    """The same, and its name resolver gives an answer that is here already."""

    def __init__(self, reactor: Any, addresses: list[Address]) -> None:
        super().__init__(reactor)
        alsoProvides(self, IReactorPluggableNameResolver)
        self.nameResolver = _Answer(addresses)

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        raise NotImplementedError("the answer is here already")


@implementer(IHostnameResolver, IHostResolution)
class _Answer:
    """A name resolver that knows one answer, and the resolution it begins."""

    def __init__(self, addresses: list[Address]) -> None:
        self._addresses = addresses
        self.name = addresses[0].host

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: object = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        resolutionReceiver.resolutionBegan(self)
        for address in self._addresses:
            resolutionReceiver.addressResolved(address)
        resolutionReceiver.resolutionComplete()
        return self

    def cancel(self) -> None:
        """It was complete before anybody could."""


def _refuse_ssl(text: str) -> SpecError:
    return SpecError(
        f"endpoint {text!r}: ssl: accepts any certificate and is refused; use tls:HOST:PORT"
    )


def _check_string(text: str) -> None:
    """What Twisted finds only when connecting, or says in riddles."""
    parts = re.split(r"(?<!\\):", text)
    named = dict(part.split("=", 1) for part in parts if "=" in part)
    kind, *plain = [part for part in parts if "=" not in part] or [""]
    if not kind:
        raise SpecError(f"endpoint {text!r} does not begin with its kind (tcp:, tls:, unix:)")
    if kind.lower() not in ("tcp", "tls"):
        return
    at = 0 if "host" in named else 1
    port = named.get("port", plain[at] if len(plain) > at else None)
    if port is None:
        raise SpecError(f"endpoint {text!r} names no port")
    try:
        parse_port(port)
    except SpecError as error:
        raise SpecError(f"endpoint {text!r}: {error}") from None


def _one_line(error: Exception) -> str:
    """What a parser complained about, without the name of its function."""
    text = " ".join(str(error).split())
    return re.sub(r"^[\w.]+\(\) ", "", text) or type(error).__name__
