"""From settings to a link: endpoint, framing, protocol, factory."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Literal, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure

from nbclient import endpoints, framing
from nbclient.connection.overrides import Result
from nbclient.connection.protocol import FrameProtocol
from nbclient.connection.wording import explain
from nbclient.core.backoff import Backoff
from nbclient.core.terminal import hexdump
from nbclient.daemon.cli.options import Settings
from nbclient.daemon.config.proxy import Proxy, ProxySilent
from nbclient.daemon.config.values import shown
from nbclient.daemon.links import automation
from nbclient.daemon.links.badframes import BadFrames
from nbclient.daemon.links.masking import Masker
from nbclient.daemon.links.opening import Step, run_script
from nbclient.daemon.outputs.base import NoOutput, Output
from nbclient.delivery.replies import Reply, Says
from nbclient.endpoints import proxy as proxies
from nbclient.endpoints.failover import alternatives
from nbclient.errors import ConnectTimeout, LinkError, LocalError, PeerError, SpecError
from nbclient.framing.base import MAX_FRAME, Framing
from nbclient.link.factory import ReconnectingFactory

DEMO_MAXIMUM = 3.0
"""Bound of each wait in the demo, seconds: it should be back before one stops looking."""

SETTLE_AFTER = 1.0
"""Default of --settle-after where it has one, seconds: whoever closes at once does so sooner,
and whoever waits for the end of a batch does not wait long."""

PASSED_OVER = "{link}: bad frames are passed over: {why} ({number} of them{within})"

DEMO_STABLE = 5.0
"""--stable-after in the demo, seconds: the outages of its server are told one by one."""

Wiretap = Callable[[Literal["in", "out"], bytes], None]


class Link(ReconnectingFactory):
    """The link of a job, and what its connections share.

    :ivar script: said at each connection before it is ready.
    :ivar opening_framing: of the script, None where that is the link's.
    :ivar outputs: where `DaemonProtocol` puts frames.
    :ivar rejected: shown the bad frames.
    :ivar bad_frames: keeps them, where that is asked for.
    :ivar masker: knows what was read for it and is not to be logged or kept.
    :ivar proxy: what it goes through, if anything.
    :ivar once: stop at the end of the first connection that was ready.
    :ivar was_ready: whether any connection was.
    :ivar tails: connections that ended inside a frame.
    """

    script: Sequence[Step] = ()
    opening_framing: Framing | None = None
    outputs: Output = NoOutput()
    rejected: Callable[[bytes, PeerError], object] | None = None
    bad_frames: BadFrames | None = None
    masker: Masker
    proxy: Proxy | None = None
    once = False
    was_ready = False
    tails = 0

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A connection that logs where the link does."""
        connection = super().buildProtocol(addr)
        if isinstance(connection, FrameProtocol):
            cast(Any, connection).log = self.log
            connection.rejected = self.rejected
            if self.opening_framing is not None:
                cast(DaemonProtocol, connection).openIn(self.opening_framing)
        return connection

    def _blame(self, reason: Failure) -> None:
        """Why an attempt ended, in the words of the command line."""
        if reason.check(endpoints.BindFailed):
            reason = Failure(LinkError(f"--{reason.value}"))
        # Without a connection of ours: the tunnel does not stand yet.
        elif reason.check(ConnectTimeout) and self.proxy is not None and self.connection is None:
            reason = Failure(ProxySilent(self.connectTimeout, self.proxy))
        super()._blame(reason)

    @property
    def _knowsWhatArrives(self) -> bool:
        return self.once or super()._knowsWhatArrives  # --once: there is no other connection

    def _answered(self, seq: int, says: Says, answer: bytes) -> None:
        """What the peer answered may be kept with a frame that it rejects."""
        super()._answered(seq, says, self.masker.mask(answer))

    def connectionOpened(self, connection: Any) -> None:
        """The opening is done."""
        self.was_ready = True
        super().connectionOpened(connection)

    def connectionSettled(self, connection: Any) -> None:
        """The last frame of a connection was delivered."""
        if self.once and self.was_ready:
            why = self.lastReason
            ours = self._machine.stopping  # then it was no end of the peer's
            if why is not None and why.check(ConnectionDone) and not ours:
                self.log.info("{link}: {why}", link=self.name, why=explain(why))
            self.stop()
        super().connectionSettled(connection)


class DaemonProtocol(FrameProtocol):
    """Runs the opening script and hands frames to the outputs; lives in a `Link`.

    A class for ``--protocol`` that keeps both derives from this one.
    """

    _framingToCome: Framing | None = None  # after an opening in another one

    def opening(self) -> Result:
        """The script of the command line."""
        script = cast(Link, self.factory).script
        if self._framingToCome is not None:
            return self._openApart(script, self._framingToCome)
        return run_script(script, self) if script else None

    def openIn(self, framing: Framing) -> None:
        """Speak in this framing until the opening is done; before the connection is made."""
        self._framingToCome, self.framing = self.framing, framing

    async def _openApart(self, script: Sequence[Step], framing: Framing) -> None:
        heard = await run_script(script, self, apart=True)
        self.setFraming(framing, ahead=heard.rest, skip=len(heard.passed))

    def framesReceived(self, frames: list[bytes]) -> Result:
        """To the outputs; a slow one pauses reading."""
        return cast(Link, self.factory).outputs.write(frames)

    def tailReceived(self, tail: bytes) -> None:
        """The connection ended inside a frame."""
        cast(Link, self.factory).tails += 1
        super().tailReceived(tail)


def load_protocol(spec: str | None) -> type[FrameProtocol]:
    """The class that --protocol names, by default `DaemonProtocol`.

    :raises SpecError: it cannot be imported, or is no `FrameProtocol`.
    """
    if spec is None:
        return DaemonProtocol
    module_name, colon, name = spec.partition(":")
    if not (module_name and colon and name):
        raise SpecError(f"--protocol: {shown(spec)!r} is not package.module:Class")
    try:
        found: Any = import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise SpecError(f"--protocol: {shown(spec)} cannot be loaded ({why})") from error
    if not (isinstance(found, type) and issubclass(found, FrameProtocol)):
        raise SpecError(f"--protocol: {shown(spec)} is not a subclass of nbclient.FrameProtocol")
    return found


def import_from_here() -> None:
    """Let --protocol and --framing find modules in the current folder, as scripts do."""
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)


def link_framing(settings: Settings, protocol: type[FrameProtocol]) -> Framing:
    """What the peer speaks: --framing, else the protocol class's own, else lines.

    With --framing-out what it understands is another.

    :raises SpecError: not understood, or options that would have no effect.
    """
    chosen = _received(settings, protocol)
    if settings.framing_out is None:
        return chosen
    try:
        sent = framing.named(settings.framing_out, max_frame=settings.max_frame)
    except SpecError as error:
        raise SpecError(f"--framing-out: {error}") from None
    if not sent.sends:
        raise SpecError(f"--framing-out: {sent} can only receive")
    return framing.pair(chosen, sent)


def _received(settings: Settings, protocol: type[FrameProtocol]) -> Framing:
    if settings.raw:
        return framing.raw()
    own = getattr(protocol, "framing", None)
    if settings.framing is None and own is not None:
        for name in ("max-frame", "on-bad-frame"):
            if name in settings.given:
                raise SpecError(f"--{name} and --protocol: needs --framing, the class has its own")
        return cast(Framing, own)
    try:
        found = framing.named(
            settings.framing or "lines",
            max_frame=settings.max_frame,
            on_bad_frame=settings.on_bad_frame,
        )
    except SpecError as error:
        raise SpecError(f"--framing: {error}") from None
    # What equals the default, `named` cannot tell from what was not said.
    if "max-frame" in settings.given and found.max_frame not in (settings.max_frame, MAX_FRAME):
        raise SpecError(
            f"--max-frame {settings.max_frame}: {shown(settings.framing or '')} has its own limit"
            f" of {found.max_frame} bytes"
        )
    if "on-bad-frame" in settings.given and skips(found) != (settings.on_bad_frame == "skip"):
        raise SpecError(
            f"--on-bad-frame {settings.on_bad_frame}: {shown(settings.framing or '')} has its own"
            " way with a bad frame, and skips it"
        )
    return found


def opening_framing(settings: Settings) -> Framing | None:
    """The framing of the opening, where it has one of its own.

    :raises SpecError: not understood, or it can only receive.
    """
    if settings.opening_framing is None:
        return None
    try:
        found = framing.named(settings.opening_framing, max_frame=settings.max_frame)
    except SpecError as error:
        raise SpecError(f"--opening-framing: {error}") from None
    if not found.sends:
        raise SpecError(f"--opening-framing: {found} can only receive")
    return found


def skips(chosen: Framing) -> bool:
    """Whether it passes over bad frames; one of a user's own may do so unasked."""
    return getattr(chosen, "on_bad_frame", "close") == "skip"


def input_framing(settings: Settings) -> Framing:
    """How the input separates frames.

    :raises SpecError: not understood.
    """
    if settings.raw:
        return framing.raw()
    try:
        return framing.named(settings.input_framing or "lines", max_frame=settings.max_frame)
    except SpecError as error:
        raise SpecError(f"--input-framing: {error}") from None


def describe(settings: Settings) -> str:
    """What logs call the link."""
    return settings.name or describe_peer(settings)


def describe_peer(settings: Settings) -> str:
    """Where the link goes, as text."""
    if settings.unix is not None:
        return settings.unix
    if settings.endpoint is not None:
        return shown(settings.endpoint)
    return " or ".join(_spelled(*peer) for peer in _peers(settings)) or "demo"


def _peers(settings: Settings) -> list[tuple[str, int]]:
    """Where to connect over TCP, in order of preference."""
    first = [] if settings.host is None else [(settings.host, settings.port or 0)]
    return [*first, *(given.value for given in settings.peer)]


def _spelled(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def make_endpoint(reactor: Any, settings: Settings, masker: Masker | None = None) -> Any:
    """Where to connect, an `IStreamClientEndpoint`.

    :param masker: gets to know the login for a proxy.
    :raises LocalError: a text is not understood, a file is not what it should be.
    """
    if settings.endpoint is not None:
        text = settings.endpoint
        return _named("endpoint", lambda: endpoints.from_string(reactor, text))
    if settings.unix is not None:
        inner = endpoints.unix(reactor, settings.unix, timeout=settings.connect_timeout)
        return _secured(reactor, settings, inner, settings.tls_name or "")
    peers = _peers(settings)
    made = []
    for host, port in peers:
        option = "host" if host == settings.host else "peer"
        inner = _dialled(reactor, settings, option, host, port, masker or Masker())
        made.append(_secured(reactor, settings, inner, host))
    if len(made) == 1:
        return made[0]
    return alternatives(
        made, settings.failback, clock=reactor, names=[_spelled(*peer) for peer in peers]
    )


def _secured(reactor: Any, settings: Settings, inner: Any, host: str) -> Any:
    if not settings.tls:
        return inner
    security = _tls_settings(settings)
    _named("tls", security.check)
    return endpoints.tls(inner, host, security, clock=reactor)


def _dialled(
    reactor: Any, settings: Settings, option: str, host: str, port: int, masker: Masker
) -> Any:
    """The way to a peer: TCP, or a tunnel through a proxy."""
    proxy = settings.proxy
    if proxy is None:
        return _named(option, partial(_tcp, reactor, settings, host, port))
    outer = _named("proxy", partial(_tcp, reactor, settings, proxy.host, proxy.port))
    if proxy.kind == "https":
        security = endpoints.TLSSettings(ca=settings.proxy_tls_ca)
        _named("proxy", security.check)
        outer = endpoints.tls(outer, proxy.host, security, clock=reactor)
    kind = proxies.via_socks5 if proxy.kind == "socks5" else proxies.via_http_connect
    via = partial(kind, name=str(proxy))
    # A target of no account shows whether the proxy's library is there, and the login fits.
    _named("proxy", partial(via, outer, "localhost", 1))
    login = None
    if settings.proxy_auth is not None:
        login = partial(_login, settings.proxy_auth, masker)
        _named("proxy-auth", lambda: via(outer, "localhost", 1, login()))
    return _named(option, partial(via, outer, host, port, login))


def _login(path: str, masker: Masker) -> proxies.Credentials:
    login = proxies.read_credentials(path)
    masker.add_login(login.username, login.password)
    return login


def _tcp(reactor: Any, settings: Settings, host: str, port: int) -> Any:
    family = "4" if settings.ipv4 else "6" if settings.ipv6 else None
    return endpoints.tcp(
        reactor,
        host,
        port,
        timeout=settings.connect_timeout,
        bind=settings.bind,
        family=family,
    )


def _tls_settings(settings: Settings) -> endpoints.TLSSettings:
    return endpoints.TLSSettings(
        ca=settings.tls_ca,
        cert=settings.tls_cert,
        key=settings.tls_key,
        name=settings.tls_name,
        pins=tuple(given.value for given in settings.tls_pin),
        insecure=settings.tls_insecure,
    )


def _named(option: str, make: Callable[[], Any]) -> Any:
    """What `make` makes; its complaint begins with the option's name."""
    try:
        return make()
    except LocalError as error:
        text = str(error)
        known = (f"{option}-", f"{option} ", "bind ")
        if option == "proxy":
            text = text.replace("tls-ca: ", "proxy-tls-ca: ", 1)
        dashes = "--" if text.startswith(known) else f"--{option}: "
        raise SpecError(f"{dashes}{text}") from None


def make_link(
    settings: Settings,
    protocol: type[FrameProtocol],
    chosen: Framing,
    log: Logger,
    clock: Any,
    masker: Masker | None = None,
) -> Link:
    """The link that the settings describe; it does nothing yet.

    :param masker: knows, and gets to know, what is not to be logged or kept.
    :raises SpecError: figures that make no sense together.
    """
    masker = masker or Masker()
    link = Link.forProtocol(
        protocol,
        backoff=_backoff(settings),
        framing=None if chosen is getattr(protocol, "framing", None) else chosen,
        connectTimeout=settings.connect_timeout,
        openingTimeout=settings.opening_timeout,
        closeTimeout=settings.close_timeout,
        silenceTimeout=settings.silence_timeout,
        frameTimeout=settings.frame_timeout,
        deadAfter=settings.dead_after,
        delivery=_delivery(settings),
        answers=automation.answers(settings),
        heartbeat=automation.heartbeat(settings, chosen, masker),
        poll=automation.poll(settings, chosen, masker),
        sendGap=settings.send_gap or 0.0,
        reply=_reply(settings),
        onReject=settings.on_reject,
        maxAttempts=settings.max_attempts,
        settleAfter=settle_after(settings),
        rejectLine=settings.reject_line,
        maxAge=settings.max_age,
        whenFull=settings.when_full,
        whenDown=settings.when_down,
        outboxBytes=settings.outbox_bytes,
        name=describe(settings),
        wiretap=hexdumper(log, describe(settings), masker) if settings.hexdump else None,
        clock=clock,
    )
    assert isinstance(link, Link)
    link.log = log
    link.masker = masker
    link.verbose = True
    link.proxy = settings.proxy
    link.once = settings.once or settings.check
    if settings.bad_frames is not None:
        link.bad_frames = BadFrames(
            settings.bad_frames, lambda why: log.warn("{why}", why=why), clock
        )
    if skips(chosen) or link.bad_frames is not None:
        link.rejected = _rejecter(link.bad_frames, skips(chosen), link, masker)
    return link


def _reply(settings: Settings) -> Reply | None:
    if settings.delivery != "reply":
        return None
    return Reply(
        settings.reply_match,
        settings.reply_reject,
        settings.reply_key,
        settings.reply_window,
        settings.reply_timeout,
    )


def _rejecter(
    keep: BadFrames | None, passed_over: bool, link: Link, masker: Masker
) -> Callable[[bytes, PeerError], object]:
    """What is shown the bad frames: kept where asked for; passed over, they are counted."""

    def rejected(data: bytes, error: PeerError) -> None:
        if passed_over:
            link.tellOften(PASSED_OVER, 1, why=str(error))
        if keep is not None:
            keep(masker.mask(data), error)

    return rejected


def settle_after(settings: Settings) -> float:
    """How long a connection has to live beyond an acknowledgement, seconds; 0: not at all."""
    if settings.settle_after is not None:
        return settings.settle_after
    lasting = settings.drain or settings.spool is not None or settings.reject_line is not None
    return SETTLE_AFTER if lasting and settings.delivery in ("auto", "tcp") else 0.0


def _delivery(settings: Settings) -> str:
    """The level to ask for: through a proxy, TCP's acknowledgements are the proxy's."""
    beyond = settings.proxy is not None and settings.delivery == "auto"
    return "written" if beyond else settings.delivery


def _backoff(settings: Settings) -> Backoff:
    maximum, stable_after = settings.retry_maximum, settings.stable_after
    if settings.demo:
        maximum = maximum if "retry-maximum" in settings.given else DEMO_MAXIMUM
        stable_after = stable_after if "stable-after" in settings.given else DEMO_STABLE
    return Backoff(
        initial=settings.retry_initial,
        maximum=maximum,
        factor=settings.retry_factor,
        retries=0 if settings.once or settings.check else settings.retries,
        stable_after=stable_after,
        least=settings.retry_least,
    )


def hexdumper(log: Logger, name: str, masker: Masker) -> Wiretap:
    """What logs every byte: ``<`` received, ``>`` sent, numbered in each direction.

    Secrets are masked, byte for byte.
    """
    seen = {"in": 0, "out": 0}
    marks = {"in": "<", "out": ">"}

    def tap(direction: Literal["in", "out"], data: bytes) -> None:
        for line in hexdump(masker.mask(data), seen[direction]):
            log.info("{link} {mark} {line}", link=name, mark=marks[direction], line=line)
        seen[direction] += len(data)

    return tap
