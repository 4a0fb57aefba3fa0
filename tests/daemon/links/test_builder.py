"""From settings to a link."""

from __future__ import annotations

import base64
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nbclient import framing
from nbclient.connection.protocol import FrameProtocol
from nbclient.core.states import State
from nbclient.daemon.cli.options import Settings
from nbclient.daemon.config import values
from nbclient.daemon.links import builder as module
from nbclient.daemon.links.builder import (
    DaemonProtocol,
    Link,
    describe,
    hexdumper,
    import_from_here,
    input_framing,
    link_framing,
    load_protocol,
    make_endpoint,
    make_link,
    skips,
)
from nbclient.daemon.links.masking import Masker
from nbclient.daemon.links.opening import parse_script
from nbclient.daemon.outputs.base import Output
from nbclient.delivery.replies import Reply
from nbclient.endpoints import BindFailed, TLSSettings
from nbclient.errors import ConnectTimeout, FrameTooLong, LocalError, SpecError
from nbclient.link.pump import Rules
from nbclient.testing import FakeEndpoint, FakeReactor
from tests.certs import make_certs
from tests.conformance.daemon import KeptLog, shell


class Own(FrameProtocol):
    """A user's class."""

    framing = framing.crlf()


class Bare(FrameProtocol):
    """A user's class without a framing."""


class Sink(Output):
    """Keeps frames; has no room if told so."""

    def __init__(self, room: Deferred[None] | None = None) -> None:
        self.frames: list[bytes] = []
        self.room = room

    def write(self, frames: Sequence[bytes]) -> Deferred[None] | None:
        self.frames += frames
        return self.room


# -- protocol -----------------------------------------------------------------------


def test_a_class_of_ones_own_is_loaded_by_name() -> None:
    assert load_protocol(None) is DaemonProtocol
    assert load_protocol("nbclient.daemon.links.builder:DaemonProtocol") is DaemonProtocol


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("nbclient", "'nbclient' is not package.module:Class"),
        ("nbclient:", "is not package.module:Class"),
        ("no_such_module:X", "cannot be loaded .ModuleNotFoundError: No module named"),
        ("os.path:Nothing", "cannot be loaded .AttributeError: "),
        ("os:path.join", "is not a subclass of nbclient.FrameProtocol"),
        ("builtins:int", "is not a subclass of nbclient.FrameProtocol"),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_one_line(spec: str, why: str) -> None:
    with pytest.raises(SpecError, match=f"^--protocol: .*{why}") as caught:
        load_protocol(spec)
    assert "\n" not in str(caught.value)


def test_a_module_that_raises_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module.py").write_text("raise ValueError('two\\nlines')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SpecError, match=r"\(ValueError: two lines\)$"):
        load_protocol("broken_module:X")


def test_modules_in_the_current_folder_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["/elsewhere"])
    import_from_here()
    import_from_here()
    assert sys.path == [os.getcwd(), "/elsewhere"]
    monkeypatch.setattr(sys, "path", ["", "/elsewhere"])
    import_from_here()
    assert sys.path == ["", "/elsewhere"]


# -- framing ------------------------------------------------------------------------


def test_the_framing_is_what_was_asked_for_or_the_classs_own_or_lines() -> None:
    assert link_framing(shell("h", "1"), DaemonProtocol) == framing.lines()
    asked = shell("h", "1", "--framing", "crlf", "--max-frame", "9", "--on-bad-frame", "skip")
    assert link_framing(asked, Own) == framing.crlf(max_frame=9, on_bad_frame="skip")
    assert link_framing(shell("h", "1"), Own) is Own.framing
    assert link_framing(shell("h", "1"), Bare) == framing.lines()
    assert link_framing(shell("h", "1", "--raw"), Own) == framing.raw()


def test_limits_that_would_have_no_effect_are_refused() -> None:
    with pytest.raises(SpecError, match="--max-frame and --protocol: needs --framing"):
        link_framing(shell("h", "1", "--max-frame", "9"), Own)


def lenient() -> framing.Framing:
    """A user's framing: its own limit, and its own way with a bad frame."""
    return framing.lines(10, "skip")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--on-bad-frame", "close"), "--on-bad-frame close: .*:lenient has its own way with a b"),
        (("--max-frame", "1048576"), "--max-frame 1048576: .*:lenient has its own limit of 10 b"),
        (("--max-frame", "9"), "--framing: .* has its own limit of 10 bytes; max_frame=9 cannot"),
    ],
)
def test_what_a_users_framing_would_not_keep_to_is_refused(
    words: tuple[str, str], says: str
) -> None:
    """Also where it is what nobody needs to say."""
    with pytest.raises(SpecError, match=says):
        link_framing(shell("h", "1", "--framing", f"{__name__}:lenient", *words), DaemonProtocol)


@pytest.mark.parametrize("words", [(), ("--on-bad-frame", "skip"), ("--max-frame", "10")])
def test_what_a_users_framing_passes_over_is_told_whoever_asked_for_it(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    settings = shell("h", "1", "--framing", f"{__name__}:lenient", *words)
    chosen = link_framing(settings, DaemonProtocol)
    assert skips(chosen)
    log = KeptLog()
    link = make_link(settings, DaemonProtocol, chosen, log, FakeReactor())
    for _ in range(2):
        assert link.rejected is not None
        link.rejected(b"x" * 11, FrameTooLong(10, 11))
    (told,) = log.lines
    assert told.startswith("h:1: bad frames are passed over: the frame has reached 11 bytes")


def test_bad_frames_are_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    settings = shell("h", "1", "--bad-frames", str(tmp_path / "bad"))
    log = KeptLog()
    link = make_link(settings, DaemonProtocol, framing.lines(), log, FakeReactor())
    assert link.rejected is not None
    link.rejected(b"x", FrameTooLong(10, 11))
    assert len(list((tmp_path / "bad").iterdir())) == 1
    assert log.lines == []
    (tmp_path / "file").touch()
    settings = shell("h", "1", "--bad-frames", str(tmp_path / "file"))
    link = make_link(settings, DaemonProtocol, framing.lines(), log, FakeReactor())
    assert link.rejected is not None
    link.rejected(b"x", FrameTooLong(10, 11))
    assert len(log.lines) == 1


def test_the_inputs_framing_is_its_own() -> None:
    assert input_framing(shell("h", "1", "--framing", "raw")) == framing.lines()
    assert input_framing(shell("h", "1", "--raw")) == framing.raw()
    asked = shell("h", "1", "--input-framing", "crlf", "--max-frame", "9")
    assert input_framing(asked) == framing.crlf(max_frame=9)


def test_a_framing_that_is_not_understood_names_its_option() -> None:
    with pytest.raises(SpecError, match=r"^--framing: "):
        link_framing(shell("h", "1", "--framing", "bogus"), DaemonProtocol)
    with pytest.raises(SpecError, match=r"^--input-framing: "):
        input_framing(shell("h", "1", "--input-framing", "bogus"))


# -- endpoint -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("h", "1"), "h:1"),
        (("::1", "1"), "[::1]:1"),
        (("--unix", "/run/s"), "/run/s"),
        (("--endpoint", "tcp:h:1\x1b"), "tcp:h:1\\x1b"),
        (("--demo",), "demo"),
        (("h", "1", "--name", "feed"), "feed"),
    ],
)
def test_logs_call_the_link_by_its_address(words: tuple[str, ...], name: str) -> None:
    assert describe(shell(*words)) == name


def asked_for(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[Any]:
    """What `nbclient.endpoints` is asked for."""
    seen: list[Any] = []

    def note(name: str) -> Any:
        def made(*arguments: Any, **more: Any) -> str:
            seen.append((name, *arguments[1:], more))
            return name

        return made

    for name in ("tcp", "unix", "from_string"):
        monkeypatch.setattr(module.endpoints, name, note(name))
    monkeypatch.setattr(
        module.endpoints, "tls", lambda inner, host, told, clock: seen.append((inner, host, told))
    )
    monkeypatch.setattr(module.endpoints.TLSSettings, "check", lambda self: None)
    make_endpoint(FakeReactor(), shell(*words))
    return seen


def test_a_host_is_dialled_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    more = {"timeout": 10.0, "bind": None, "family": None}
    assert asked_for(monkeypatch, "h", "1") == [("tcp", "h", 1, more)]
    words = ("h", "1", "-6", "--bind", "[::1]:5", "--connect-timeout", "3")
    more = {"timeout": 3.0, "bind": ("::1", 5), "family": "6"}
    assert asked_for(monkeypatch, *words) == [("tcp", "h", 1, more)]
    (found,) = asked_for(monkeypatch, "h", "1", "-4")
    assert found[-1]["family"] == "4"


def test_other_places_are_dialled_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked_for(monkeypatch, "--unix", "/s") == [("unix", "/s", {"timeout": 10.0})]
    assert asked_for(monkeypatch, "--endpoint", "tcp:h:1") == [("from_string", "tcp:h:1", {})]


def test_tls_is_told_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["h", "1", "--tls", "--tls-ca", "a", "--tls-cert", "c", "--tls-key", "k"]
    words += ["--tls-name", "n", "--tls-pin", "p", "--tls-pin", "q"]
    inner, host, told = asked_for(monkeypatch, *words)[-1]
    assert (inner, host) == ("tcp", "h")
    assert (told.ca, told.cert, told.key, told.name) == ("a", "c", "k", "n")
    assert (told.pins, told.insecure) == (("p", "q"), False)
    words = ["--unix", "/s", "--tls", "--tls-name", "n", "--tls-insecure"]
    inner, host, told = asked_for(monkeypatch, *words)[-1]
    assert (inner, host, told.insecure) == ("unix", "n", True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--endpoint", "ssl:h:1"), "--endpoint 'ssl:h:1': ssl: accepts any certificate"),
        (("h", "1", "--bind", "nowhere"), "--bind 'nowhere' is not an IP address"),
        (("::1", "1", "-4"), "--host: IPv4 and IPv6 do not meet"),
        (("h", "1", "--tls", "--tls-ca", "/nonexistent"), "--tls-ca: /nonexistent: "),
        (("h", "1", "--tls", "--tls-pin", "x"), "--tls-pin 'x' is not"),
    ],
)
def test_a_complaint_names_the_option(words: tuple[str, ...], says: str) -> None:
    with pytest.raises(SpecError) as caught:
        make_endpoint(FakeReactor(), shell(*words))
    assert str(caught.value).startswith(says)


# -- a proxy ------------------------------------------------------------------------


class ProxyTests(SynchronousTestCase):
    """What is dialled, and said first, when a proxy is asked for."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.proxy = FakeEndpoint(self.reactor)
        self.asked: list[Any] = []
        self.patch(module.endpoints, "tcp", self.tcp)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.login = f"{folder.name}/login"

    def tcp(self, reactor: Any, host: str, port: int, **more: Any) -> Any:
        self.asked.append((host, port, more))
        return self.proxy

    def write_login(self, text: str) -> None:
        path = Path(self.login)
        path.write_text(text)
        path.chmod(0o600)

    def endpoint(self, *words: str) -> Any:
        return make_endpoint(self.reactor, shell(*words))

    def dial(self, endpoint: Any) -> tuple[bytes, Deferred[Any]]:
        """What the proxy hears first."""
        done: Deferred[Any] = endpoint.connect(Factory.forProtocol(Protocol))
        self.addCleanup(done.addErrback, lambda failure: None)
        peer = self.proxy.attempts[-1].accept()
        self.reactor.turn()
        return peer.received, done

    def test_the_proxy_is_dialled_as_a_peer_would_be_and_told_the_peers_name(self) -> None:
        words = ("feed", "5000", "--connect-timeout", "3", "-4", "--bind", "127.0.0.9")
        endpoint = self.endpoint(*words, "--proxy", "http://gate:3128")
        more = {"timeout": 3.0, "bind": ("127.0.0.9", 0), "family": "4"}
        self.assertEqual(self.asked, [("gate", 3128, more)])
        self.assertTrue(self.dial(endpoint)[0].startswith(b"CONNECT feed:5000 HTTP/1.1\r\n"))

    def test_ipv4_is_for_the_way_to_the_proxy(self) -> None:
        self.endpoint("::1", "5000", "-4", "--proxy", "socks5://gate:1080")

    def test_the_login_is_read_at_each_connect(self) -> None:
        self.write_login("joe:old\n")
        endpoint = self.endpoint(
            "feed", "5000", "--proxy", "http://gate:3128", "--proxy-auth", self.login
        )
        for password in ("old", "new"):
            self.write_login(f"joe:{password}\n")
            login = base64.b64encode(f"joe:{password}".encode())
            self.assertIn(b"Basic " + login + b"\r\n", self.dial(endpoint)[0])

    def test_every_peer_is_reached_through_it(self) -> None:
        words = ("feed", "5000", "--peer", "spare:5001", "--proxy", "http://gate:3128")
        link = make_link(shell(*words), DaemonProtocol, framing.lines(), KeptLog(), self.reactor)
        link.start(self.endpoint(*words), self.reactor)
        self.proxy.attempts[-1].refuse()
        self.reactor.advance(1)
        peer = self.proxy.attempts[-1].accept()
        self.reactor.turn()
        self.assertIn(b"CONNECT spare:5001 ", peer.received)
        self.assertEqual([host for host, *_ in self.asked], ["gate", "gate"])
        link.stop()
        self.reactor.advance(30)

    def test_tls_runs_inside_the_tunnel(self) -> None:
        seen: list[Any] = []
        self.patch(
            module.endpoints, "tls", lambda inner, host, *_, **__: seen.append((inner, host))
        )
        self.endpoint("feed", "443", "--tls", "--proxy", "http://gate:3128")
        ((inner, host),) = seen
        self.assertEqual((inner.name, host), ("feed:443", "feed"))

    def test_the_way_to_the_proxy_may_be_under_tls_verified(self) -> None:
        seen: list[Any] = []

        inside = FakeEndpoint(self.reactor)

        def under_tls(inner: Any, host: str, security: Any, clock: Any) -> Any:
            seen.append((inner, host, security, clock))
            return inside

        self.patch(module.endpoints, "tls", under_tls)
        ca = make_certs(os.path.dirname(self.login)).ca
        endpoint = self.endpoint(
            "feed", "443", "--proxy", "https://gate:8443", "--proxy-tls-ca", ca
        )
        security = TLSSettings(ca=ca)
        self.assertEqual(seen, [(self.proxy, "gate", security, self.reactor)])
        self.proxy = inside
        self.assertTrue(self.dial(endpoint)[0].startswith(b"CONNECT feed:443 HTTP/1.1\r\n"))

    def late(self, *words: str) -> tuple[Any, KeptLog]:
        """A link whose attempts take too long."""
        log = KeptLog()
        words = ("feed", "5000", "--connect-timeout", "3", *words)
        link = make_link(shell(*words), DaemonProtocol, framing.lines(), log, self.reactor)
        link.start(self.endpoint(*words), self.reactor)
        self.addCleanup(self.reactor.advance, 30)
        self.addCleanup(link.stop)
        return link, log

    def test_a_silent_proxy_is_named_when_the_time_is_over(self) -> None:
        """The target, whom nobody has asked, is not to blame."""
        link, log = self.late("--proxy", "socks5://gate:1080")
        self.proxy.attempts[-1].accept()
        self.reactor.advance(3)
        said = "the proxy socks5://gate:1080 has not connected us within 3 s (it does not answer"
        self.assertIn(said, log.lines[-1])
        self.assertTrue(link.lastReason.check(ConnectTimeout))

    def test_behind_the_proxy_and_without_one_the_peer_is_to_blame(self) -> None:
        _, log = self.late()
        self.reactor.advance(3)
        self.assertIn("not connected within 3 s", log.lines[-1])
        link, log = self.late("--proxy", "socks5://gate:1080")
        link.connection = object()  # as under TLS, whose handshake is not done
        link._blame(Failure(ConnectTimeout(3)))
        self.assertIn("not connected within 3 s", str(link.lastReason.value))
        link.connection = None

    def test_a_refusal_says_which_proxy_it_was(self) -> None:
        _, log = self.late("--proxy", "http://gate:3128")
        self.proxy.attempts[-1].refuse()
        said = "feed:5000: the proxy http://gate:3128 cannot be reached: connection refused; next"
        self.assertIn(said, log.lines[-1])

    def test_an_address_that_is_not_ours_is_told_as_the_option(self) -> None:
        link, _ = self.late()
        link._blame(Failure(BindFailed("bind 192.0.2.9: it is not an address of this machine")))
        said = "--bind 192.0.2.9: it is not an address of this machine"
        self.assertEqual(str(link.lastReason.value), said)

    def complaint(self, *words: str) -> str:
        return str(self.assertRaises(LocalError, self.endpoint, *words))

    def test_complaints_name_the_option(self) -> None:
        secure = ("--proxy", "https://gate:8443", "--proxy-tls-ca", "/no/ca.pem")
        said = "--proxy-tls-ca: /no/ca.pem: No such file or directory"
        self.assertEqual(self.complaint("h", "1", *secure), said)
        socks = ("--proxy", "socks5://gate:1080", "--proxy-auth", self.login)
        self.assertIn(f"--proxy-auth: {self.login}: No such", self.complaint("h", "1", *socks))
        self.write_login("joe:")
        self.assertIn("--proxy-auth: SOCKS5 takes", self.complaint("h", "1", *socks))
        os.chmod(self.login, 0o644)
        self.assertIn("others can read this password", self.complaint("h", "1", *socks))
        self.patch(sys, "modules", {**sys.modules, "socksio": None})
        self.assertIn("--proxy: SOCKS5 needs socksio", self.complaint("h", "1", *socks[:2]))

    def test_delivered_is_what_was_written(self) -> None:
        for words, level in (((), "written"), (("--delivery", "written"), "written")):
            settings = shell("h", "1", "--proxy", "http://gate:3128", *words)
            link = make_link(settings, DaemonProtocol, framing.lines(), KeptLog(), self.reactor)
            self.assertEqual(link.delivery, level)
        link = make_link(shell("h", "1"), DaemonProtocol, framing.lines(), KeptLog(), self.reactor)
        self.assertEqual(link.delivery, "auto")


# -- the link -----------------------------------------------------------------------


def test_the_link_has_what_was_asked_for() -> None:
    settings = shell(
        *("h", "1", "--connect-timeout", "1", "--opening", "x", "--opening-timeout", "2"),
        *("--close-timeout", "3", "--silence-timeout", "4", "--frame-timeout", "5"),
        *("--retry-initial", "6", "--retry-maximum", "7", "--retry-factor", "8"),
        *("--retries", "9", "--stable-after", "10", "--retry-least", "5"),
    )
    log = KeptLog()
    link = make_link(settings, DaemonProtocol, framing.lines(), log, FakeReactor())
    assert (link.connectTimeout, link.openingTimeout, link.closeTimeout) == (1, 2, 3)
    assert (link.silenceTimeout, link.frameTimeout) == (4, 5)
    backoff = link.backoff
    assert (backoff.initial, backoff.maximum, backoff.factor) == (6, 7, 8)
    assert (backoff.retries, backoff.stable_after, backoff.least) == (9, 10, 5)
    assert (link.name, link.log, link.once, link.wiretap) == ("h:1", log, False, None)
    assert link.framing == framing.lines()


def test_what_delivered_means_is_as_asked_for() -> None:
    settings = shell(
        *("h", "1", "--delivery", "reply", "--reply-match", "^A", "--reply-reject", "^N"),
        *("--reply-key", "([0-9]+)", "--reply-window", "2", "--reply-timeout", "3"),
        *("--on-reject", "retry", "--spool", "d", "--max-attempts", "4", "--max-age", "5"),
        *("--when-full", "refuse", "--when-down", "refuse", "--outbox-bytes", "1KiB"),
    )
    link = make_link(settings, DaemonProtocol, framing.lines(), KeptLog(), FakeReactor())
    assert link.reply == Reply(
        values.regex("^A"), values.regex("^N"), values.regex("([0-9]+)"), window=2, timeout=3
    )
    assert link.rules == Rules("refuse", max_age=5, max_attempts=4, on_reject="retry")
    assert (link.delivery, link.whenDown, link.outbox.limit) == ("reply", "refuse", 1024)


def test_a_classs_own_framing_is_left_to_it() -> None:
    link = make_link(shell("h", "1"), Own, Own.framing, KeptLog(), FakeReactor())
    assert link.framing is None
    asked = shell("h", "1", "--framing", "raw")
    assert make_link(asked, Own, framing.raw(), KeptLog(), FakeReactor()).framing == framing.raw()
    asked = shell("h", "1", "--raw")
    assert make_link(asked, Own, framing.raw(), KeptLog(), FakeReactor()).framing == framing.raw()


def test_once_and_check_try_once() -> None:
    for word in ("--once", "--check"):
        link = make_link(
            shell("h", "1", word), DaemonProtocol, framing.lines(), KeptLog(), FakeReactor()
        )
        assert (link.once, link.backoff.retries) == (True, 0)


def test_the_demo_comes_back_before_one_stops_looking() -> None:
    for words, maximum in [(("--demo",), 3), (("--demo", "--retry-maximum", "50"), 50)]:
        link = make_link(shell(*words), DaemonProtocol, framing.lines(), KeptLog(), FakeReactor())
        assert link.backoff.maximum == maximum
    for words, stable in [(("--demo",), 5), (("--demo", "--stable-after", "50"), 50)]:
        link = make_link(shell(*words), DaemonProtocol, framing.lines(), KeptLog(), FakeReactor())
        assert link.backoff.stable_after == stable


def test_a_hexdump_numbers_each_direction() -> None:
    log = KeptLog()
    tap = hexdumper(log, "h:1", Masker())
    tap("out", b"ab")
    tap("in", b"c")
    tap("out", b"d")
    assert [line[:19] for line in log.lines] == [
        "h:1 > 00000000  61 ",
        "h:1 < 00000000  63 ",
        "h:1 > 00000002  64 ",
    ]
    link = make_link(
        shell("h", "1", "-x"), DaemonProtocol, framing.lines(), KeptLog(), FakeReactor()
    )
    assert link.wiretap is not None


class LinkTests(SynchronousTestCase):
    def link(self, *words: str, protocol: type[FrameProtocol] = DaemonProtocol) -> Link:
        self.reactor = FakeReactor()
        self.endpoint = FakeEndpoint(self.reactor)
        self.log = KeptLog()
        settings: Settings = shell("h", "1", *words)
        link = make_link(settings, protocol, framing.lines(), self.log, self.reactor)
        link.script = parse_script(settings.script)
        link.start(self.endpoint, self.reactor)
        return link

    def connect(self) -> Any:
        peer = self.endpoint.attempts[-1].accept()
        self.reactor.turn()
        return peer

    def end(self, link: Link) -> None:
        link.stop()
        self.reactor.turn()
        self.reactor.advance(30)
        self.assertEqual(self.reactor.pending(), [])

    def test_frames_go_to_the_outputs_which_may_pause_reading(self) -> None:
        link = self.link()
        room: Deferred[None] = Deferred()
        sink = link.outputs = Sink(room)
        peer = self.connect()
        peer.send(b"a\nb\n")
        self.reactor.turn()
        self.assertEqual(sink.frames, [b"a", b"b"])
        peer.send(b"c\n")
        self.reactor.turn()
        self.assertEqual(sink.frames, [b"a", b"b"])
        sink.room = None
        room.callback(None)
        self.reactor.turn()
        self.assertEqual(sink.frames, [b"a", b"b", b"c"])
        self.end(link)

    def test_the_script_runs_before_the_link_is_ready(self) -> None:
        link = self.link("--opening", "LOGIN", "--expect", "ok", "--opening", "JOIN")
        sink = link.outputs = Sink()
        peer = self.connect()
        self.assertEqual((peer.received, link.state), (b"LOGIN\n", State.OPENING))
        self.assertFalse(link.was_ready)
        peer.send(b"hello\nok 1\n")
        self.reactor.turn()
        self.assertEqual((peer.received, link.state), (b"LOGIN\nJOIN\n", State.READY))
        self.assertEqual(sink.frames, [b"hello", b"ok 1"])
        self.assertTrue(link.was_ready)
        self.end(link)

    def test_a_secret_that_is_gone_is_a_failed_attempt(self) -> None:
        os.environ["NBCLIENT_TEST"] = "x"
        link = self.link("--opening", "${env:NBCLIENT_TEST}")
        del os.environ["NBCLIENT_TEST"]
        self.connect()
        self.reactor.turn()
        assert link.lastReason is not None
        link.lastReason.trap(LocalError)
        self.assertEqual(link.state, State.WAITING)
        self.end(link)

    def test_connections_log_where_the_link_does(self) -> None:
        class Broken(Own):
            def frameReceived(self, frame: bytes) -> None:
                raise RuntimeError("broken")

        link = self.link(protocol=Broken)
        self.connect().send(b"a\n")
        self.reactor.turn()
        self.assertTrue(any("failed" in line for line in self.log.lines))
        self.assertTrue(any("log_failure" in event for event in self.log.events))
        self.end(link)

    def test_once_ends_with_the_first_connection_that_was_ready(self) -> None:
        link = self.link("--once")
        peer = self.connect()
        peer.close()
        self.reactor.turn()
        self.assertEqual(link.state, State.STOPPED)
        self.assertIn("h:1: the peer closed the connection", self.log.lines)
        assert link.lastReason is not None
        self.assertTrue(link.lastReason.check(ConnectionDone))
        self.assertEqual(self.reactor.pending(), [])

    def test_once_leaves_a_slow_output_its_time(self) -> None:
        link = self.link("--once")
        room: Deferred[None] = Deferred()
        sink = link.outputs = Sink(room)
        peer = self.connect()
        peer.send(b"a\n")
        self.reactor.turn()
        peer.send(b"b\n")
        peer.close()
        self.reactor.turn()
        self.reactor.advance(3600)
        self.assertEqual(sink.frames, [b"a"])
        sink.room = None
        room.callback(None)
        self.reactor.turn()
        self.assertEqual(sink.frames, [b"a", b"b"])
        self.assertEqual(link.state, State.STOPPED)

    def test_a_connection_that_was_reset_says_so_elsewhere(self) -> None:
        link = self.link("--once")
        self.connect().reset()
        self.reactor.turn()
        self.assertEqual(link.state, State.STOPPED)
        assert link.lastReason is not None
        self.assertTrue(link.lastReason.check(ConnectionLost))
        self.assertFalse(any("lost" in line for line in self.log.lines))

    def test_half_a_frame_at_the_end_is_counted(self) -> None:
        link = self.link("--once")
        link.outputs = Sink()
        peer = self.connect()
        peer.send(b"a\nhal")
        peer.close()
        self.reactor.turn()
        self.assertEqual(link.tails, 1)
        self.assertTrue(any("inside a frame" in line for line in self.log.lines))

    def test_a_link_that_is_stopping_builds_nothing_of_ours(self) -> None:
        link = self.link()
        link.stop()
        self.assertNotIsInstance(link.buildProtocol(None), FrameProtocol)
        self.reactor.advance(30)


class BuildingTests(SynchronousTestCase):
    def test_a_connection_that_cannot_be_made_is_a_failed_attempt(self) -> None:
        class Broken(DaemonProtocol):
            def __init__(self) -> None:
                raise ZeroDivisionError

        reactor = FakeReactor()
        log = KeptLog()
        link = make_link(shell("h", "1"), Broken, framing.lines(), log, reactor)
        endpoint = FakeEndpoint(reactor)
        link.start(endpoint)
        peer = endpoint.attempts[0].accept()
        reactor.turn()
        self.assertTrue(peer.aborted)
        self.assertIs(link.state, State.WAITING)
        self.assertTrue(any("building the protocol failed" in line for line in log.lines))
