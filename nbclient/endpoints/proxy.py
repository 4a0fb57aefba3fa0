"""Through a proxy: SOCKS5 (RFC 1928 and 1929) and HTTP CONNECT (RFC 9110, 9.3.6).

::

    proxy = endpoints.tcp(reactor, "proxy.example", 1080)
    peer = proxies.via_socks5(proxy, "feed.example", 5000)
    secure = endpoints.tls(proxies.via_http_connect(proxy, "feed.example", 443), "feed.example")
    login = functools.partial(proxies.read_credentials, "/etc/feed/proxy-login")
    private = proxies.via_socks5(proxy, "feed.example", 5000, login)  # read at each connect

The proxy looks the peer's name up, not this host. A connection counts as made
when the proxy has said so; from then on the protocol has the transport for
itself, as if there were no proxy, and what arrived behind the proxy's answer is
its first data. A proxy that never answers is bounded by whoever waits: a link
by its ``connectTimeout``, others by cancelling the Deferred of ``connect``.

What `written` and `tcp` delivery promise ends at the proxy: it acknowledges for
the peer. And a login is as secret as the way to the proxy: put `endpoints.tls`
around the proxy's endpoint where that way is not trusted.

The bytes of the handshakes are the libraries' (the extra ``proxy``): `socksio`
and `h11`. Importing this module needs neither.
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Callable, Generator
from functools import partial
from importlib import import_module
from typing import Any, cast
from typing import Protocol as Interface

from attrs import field, frozen
from twisted.internet.address import HostnameAddress
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import ConnectingCancelledError, ConnectionDone, NoProtocol
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IProtocol,
    IProtocolFactory,
    ISSLTransport,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from nbclient.connection.wording import explain
from nbclient.core.arguments import check_endpoint, check_text, check_whole
from nbclient.endpoints.resolver import ascii_name
from nbclient.endpoints.tcp_endpoint import BindFailed
from nbclient.endpoints.tls_endpoint import too_open
from nbclient.errors import LinkError, LocalError, SpecError

SHOWN = 100
"""How much of a proxy's own words is repeated at most, bytes or characters."""


class ProxyFailed(LinkError):
    """The proxy was not reached, or did not connect us."""


@frozen
class Credentials:
    """A login at a proxy; the password does not show in the repr."""

    username: str
    password: str = field(repr=False)


Login = Credentials | Callable[[], Credentials]
"""A login, or what gives it, asked anew at each connect."""


def read_credentials(path: str) -> Credentials:
    """The login in a file, ``user:password`` on its first line. Only the password may hold colons.

    :raises LocalError: it cannot be read, others can read it, or it holds something else.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # reading a FIFO would hang
            raise LocalError(f"{path}: is not a regular file")
        if too_open(status.st_mode, status.st_uid, os.geteuid()):
            mode = stat.S_IMODE(status.st_mode)
            raise LocalError(
                f"{path}: others can read this password (mode {mode:04o}); chmod 600 it"
            )
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # a NUL in the path, or not UTF-8
        raise LocalError(f"{path}: cannot be read ({type(error).__name__})") from error
    username, colon, password = lines[0].partition(":") if lines else ("", "", "")
    if not (username and colon):
        raise LocalError(f"{path}: the first line is not user:password")
    return Credentials(username, password)


def via_socks5(
    proxy: IStreamClientEndpoint,
    host: str,
    port: int,
    credentials: Login | None = None,
    *,
    name: str = "",
) -> IStreamClientEndpoint:
    """An endpoint that connects to a host and port through a SOCKS5 proxy.

    :param proxy: where the proxy is; over TCP, a UNIX socket, or TLS.
    :param host: a name, which the proxy looks up, or an IPv4 or IPv6 literal.
    :param port: 1 to 65535.
    :param credentials: offered beside "no login"; at most 255 bytes each. What a
        callable gives is tried at each connect, which fails with what it raises.
    :param name: what errors call the proxy, where there are several.
    :raises SpecError: an argument is out of its domain.
    :raises LocalError: `socksio` is not installed.
    """
    _need("socksio", "SOCKS5")
    check_endpoint("proxy", proxy)
    target = _target(host, port)
    return _ProxyEndpoint(
        "socks5",
        proxy,
        target,
        port,
        partial(_Socks5, target, port),
        _login(credentials, _check_socks5),
        name,
    )


def via_http_connect(
    proxy: IStreamClientEndpoint,
    host: str,
    port: int,
    credentials: Login | None = None,
    *,
    name: str = "",
) -> IStreamClientEndpoint:
    """An endpoint that connects to a host and port through an HTTP proxy.

    :param proxy: where the proxy is; over TCP, a UNIX socket, or TLS.
    :param host: a name, which the proxy looks up, or an IPv4 or IPv6 literal.
    :param port: 1 to 65535. Many proxies allow 443 only.
    :param credentials: sent unasked, as "Basic" (RFC 7617); a callable as in `via_socks5`.
    :param name: as in `via_socks5`.
    :raises SpecError: an argument is out of its domain.
    :raises LocalError: `h11` is not installed.
    """
    _need("h11", "HTTP CONNECT")
    check_endpoint("proxy", proxy)
    target = _target(host, port)
    return _ProxyEndpoint(
        "http",
        proxy,
        target,
        port,
        partial(_HTTPConnect, target, port),
        _login(credentials, _check_http),
        name,
    )


def _check_socks5(credentials: Credentials) -> Credentials:
    for what in (credentials.username, credentials.password):
        if not 0 < len(what.encode()) <= 255:
            raise SpecError("SOCKS5 takes a user name and a password of 1 to 255 bytes")
    return credentials


def _check_http(credentials: Credentials) -> Credentials:
    if ":" in credentials.username:
        raise SpecError("HTTP takes no colon in a user name (RFC 7617)")
    return credentials


def _login(
    given: Login | None, check: Callable[[Credentials], Credentials]
) -> Callable[[], Credentials | None]:
    """What to ask for the login at each connect; a fixed one is checked now."""
    if callable(given):
        return lambda: check(given())
    if given is not None:
        check(given)
    return lambda: given


def _need(module: str, what: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise LocalError(
            f"{what} needs {module}: pip install 'twisted-nbclient[proxy]' ({error})"
        ) from error


def _target(host: str, port: int) -> str:
    """The host as it goes to the proxy."""
    check_text("host", host)
    check_whole("port", port)
    if not 1 <= port <= 65535:
        raise SpecError(f"port {port} is out of range (1 to 65535)")
    try:
        name = ascii_name(host)
    except UnicodeError as error:
        raise SpecError(f"{host!r} is not a host name: {error}") from error
    if not (0 < len(name) <= 255 and name.isprintable() and not set(name) & set(" []/@")):
        raise SpecError(f"{host!r} is not a host name")
    return name


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# The handshakes, without I/O.


class _Handshake(Interface):
    """What is said to a proxy.

    :ivar hello: what to send first.
    :ivar rest: None until the proxy has connected us, then the bytes behind its answer.
    """

    hello: bytes
    rest: bytes | None

    def feed(self, data: bytes) -> bytes:
        """Take what the proxy sent.

        :return: what to send next.
        :raises ProxyFailed: it does not connect us.
        """
        ...


_NOT_SOCKS5 = "the proxy does not answer in SOCKS5"
_NAME = 3
_SIZES = {1: 4, 4: 16}  # RFC 1928, section 5: IPv4 and IPv6

_Talk = Generator[tuple[bytes, int], bytes, None]


class _Socks5:
    """Cuts what arrives into the proxy's messages; `socksio` takes them whole."""

    def __init__(self, host: str, port: int, credentials: Credentials | None) -> None:
        self.rest: bytes | None = None
        self._socksio = _need("socksio", "SOCKS5")
        self._talk = self._script(host, port, credentials)
        self._buffer = b""
        self.hello, self._needed = next(self._talk)

    def feed(self, data: bytes) -> bytes:
        self._buffer += data
        answer = b""
        while self.rest is None and len(self._buffer) >= self._needed:
            message, self._buffer = self._buffer[: self._needed], self._buffer[self._needed :]
            try:
                more, self._needed = self._talk.send(message)
                answer += more
            except StopIteration:
                self.rest = self._buffer
        return answer

    def _script(self, host: str, port: int, credentials: Credentials | None) -> _Talk:
        """Yields what to send and how many bytes to wait for; is sent these."""
        socksio = self._socksio
        method = socksio.SOCKS5AuthMethod
        connection = socksio.SOCKS5Connection()
        methods = [method.NO_AUTH_REQUIRED]
        if credentials is not None:
            methods.append(method.USERNAME_PASSWORD)
        connection.send(socksio.SOCKS5AuthMethodsRequest(methods))
        reply = yield connection.data_to_send(), 2
        if reply[0] != 5:
            raise ProxyFailed(_NOT_SOCKS5)
        if reply[1:] not in methods:
            login = "another kind of login" if credentials else "a login"
            raise ProxyFailed(f"the proxy asks for {login}")
        if connection.receive_data(reply).method is method.USERNAME_PASSWORD:
            yield from self._log_in(connection, cast(Credentials, credentials))
        request = socksio.SOCKS5CommandRequest
        connection.send(request.from_address(socksio.SOCKS5Command.CONNECT, (host, port)))
        yield from self._await_reply(connection, _authority(host, port))

    def _log_in(self, connection: Any, credentials: Credentials) -> _Talk:
        username, password = credentials.username.encode(), credentials.password.encode()
        connection.send(self._socksio.SOCKS5UsernamePasswordRequest(username, password))
        reply = yield connection.data_to_send(), 2
        if not connection.receive_data(reply).success:
            raise ProxyFailed("the proxy refused the login")

    def _await_reply(self, connection: Any, target: str) -> _Talk:
        # A refusal is read by its first two bytes: not every proxy sends an address then.
        reply = yield connection.data_to_send(), 2
        if reply[0] != 5:
            raise ProxyFailed(_NOT_SOCKS5)
        if reply[1]:
            raise ProxyFailed(f"the proxy cannot connect to {target}: {self._words(reply[1:])}")
        # Then the proxy's own address and port, which nobody asks for.
        _, kind = yield b"", 2
        if kind == _NAME:
            (size,) = yield b"", 1
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise ProxyFailed(_NOT_SOCKS5)
        yield b"", size + 2

    def _words(self, code: bytes) -> str:
        try:
            name: str = self._socksio.SOCKS5ReplyCode(code).name
        except ValueError:
            return f"SOCKS5 error {code[0]}"
        return name.lower().replace("_", " ")


class _HTTPConnect:
    """One request, one answer; `h11` bounds the answer at 16 KiB."""

    def __init__(self, host: str, port: int, credentials: Credentials | None) -> None:
        self.rest: bytes | None = None
        self._h11 = _need("h11", "HTTP CONNECT")
        self._authority = target = _authority(host, port)
        self._connection = self._h11.Connection(self._h11.CLIENT)
        headers = [("Host", target)]
        if credentials is not None:
            login = f"{credentials.username}:{credentials.password}".encode()
            headers.append(("Proxy-Authorization", "Basic " + base64.b64encode(login).decode()))
        request = self._h11.Request(method="CONNECT", target=target, headers=headers)
        self.hello = self._connection.send(request)
        self._connection.send(self._h11.EndOfMessage())

    def feed(self, data: bytes) -> bytes:
        self._connection.receive_data(data)
        try:
            event = self._connection.next_event()
            while isinstance(event, self._h11.InformationalResponse):
                event = self._connection.next_event()
        except self._h11.RemoteProtocolError as error:
            raise ProxyFailed(f"the proxy does not answer in HTTP: {str(error)[:SHOWN]}") from None
        if isinstance(event, self._h11.Response):
            self._judge(event)
        return b""

    def _judge(self, response: Any) -> None:
        if 200 <= response.status_code < 300:
            self.rest = self._connection.trailing_data[0]
        elif response.status_code == 407:
            raise ProxyFailed("the proxy asks for a login, or for another one (407)")
        else:
            words = bytes(response.reason)[:SHOWN].decode("utf-8", "backslashreplace")
            why = f"{response.status_code} {words}".rstrip()
            raise ProxyFailed(f"the proxy cannot connect to {self._authority}: {why}")


# The endpoint around them.


@implementer(IStreamClientEndpoint)
class _ProxyEndpoint:
    """See `via_socks5` and `via_http_connect`."""

    def __init__(
        self,
        kind: str,
        proxy: IStreamClientEndpoint,
        host: str,
        port: int,
        begin: Callable[[Credentials | None], _Handshake],
        login: Callable[[], Credentials | None],
        called: str,
    ) -> None:
        self.name = _authority(host, port)
        self._kind = kind
        self._proxy = proxy
        self._address = HostnameAddress(host.encode("ascii"), port)
        self._begin = begin
        self._login = login
        self._called = called

    def __repr__(self) -> str:
        return f"<{self._kind} {self.name} via {self._proxy!r}>"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        try:
            begin = partial(self._begin, self._login())
        except Exception:
            return fail()
        tunnels = _TunnelFactory(protocolFactory, self._address, begin)
        connecting: Deferred[Any] = self._proxy.connect(cast(IProtocolFactory, tunnels))
        connecting.addCallbacks(lambda tunnel: tunnel.established, _unreachable)
        return connecting.addErrback(self._name_it) if self._called else connecting

    def _name_it(self, failure: Failure) -> Failure:
        """Say which proxy it is."""
        if not failure.check(ProxyFailed):
            return failure
        text = str(failure.value).replace("the proxy", f"the proxy {self._called}", 1)
        return Failure(ProxyFailed(text))


def _unreachable(failure: Failure) -> Failure:
    """Whoever reads "connection refused" must know who refused it."""
    if failure.check(CancelledError, ConnectingCancelledError, LocalError, BindFailed):
        return failure
    return Failure(ProxyFailed(f"the proxy cannot be reached: {explain(failure)}"))


@implementer(IProtocolFactory)
class _TunnelFactory:
    """Builds the tunnel; the other factory's turn is when it stands."""

    def __init__(
        self, factory: IProtocolFactory, address: IAddress, begin: Callable[[], _Handshake]
    ) -> None:
        self._factory = factory
        self._address = address
        self._begin = begin

    def doStart(self) -> None:
        self._factory.doStart()

    def doStop(self) -> None:
        self._factory.doStop()

    def buildProtocol(self, addr: IAddress | None) -> _Tunnel:
        return _Tunnel(self._begin(), self._factory, self._address)


class _Tunnel(Protocol):
    """Speaks with the proxy, then leaves its place to the protocol that speaks with the peer.

    :ivar established: fires with that protocol once it is connected.
    """

    def __init__(self, handshake: _Handshake, factory: IProtocolFactory, address: IAddress) -> None:
        self.established: Deferred[Any] = Deferred(self._cancelled)
        self._handshake = handshake
        self._factory = factory
        self._address = address

    def connectionMade(self) -> None:
        cast(Any, self.transport).write(self._handshake.hello)

    def dataReceived(self, data: bytes) -> None:
        if self.established.called:
            return
        try:
            answer = self._handshake.feed(data)
        except ProxyFailed:
            self._fail(Failure())
            return
        if answer:
            cast(Any, self.transport).write(answer)
        if self._handshake.rest is not None:
            self._leave(self._handshake.rest)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.established.called:
            return
        if reason.check(ConnectionDone):
            text = "the proxy closed the connection without an answer"
        else:
            text = f"the connection to the proxy was lost: {explain(reason)}"
        self.established.errback(Failure(ProxyFailed(text)))

    def _cancelled(self, established: Deferred[Any]) -> None:
        self._fail(Failure(ConnectingCancelledError(self._address)))

    def _fail(self, reason: Failure) -> None:
        cast(Any, self.transport).abortConnection()
        self.established.errback(reason)

    def _leave(self, rest: bytes) -> None:
        """The transport is the protocol's own from here on, and knows nothing of us.

        A wrapper that stayed would have to pass on every interface that either
        side may ask for; half-closing was the first to get lost.
        """
        transport = cast(Any, self.transport)
        try:
            protocol: Any = self._factory.buildProtocol(self._address)
            if protocol is None:
                raise NoProtocol
        except Exception:
            self._fail(Failure())
            return
        secure = ISSLTransport.providedBy(transport)
        setattr(transport, "wrappedProtocol" if secure else "protocol", protocol)
        protocol.makeConnection(transport)
        if secure and IHandshakeListener.providedBy(protocol):
            protocol.handshakeCompleted()  # it was, before the proxy could answer
        self.established.callback(protocol)
        if rest:
            protocol.dataReceived(rest)
