"""A datagram a frame; what cannot be sent is counted."""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import DNSLookupError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nbclient import framing
from nbclient.daemon.outputs.formats import Chunks, Format, framed
from nbclient.daemon.outputs.udp import HELD, REFRESH, RETRY, DatagramOutput
from nbclient.delivery.outbox import FRAME_COST
from tests.conformance.daemon import KeptLog


class Socket:
    """Keeps datagrams, or fails on demand."""

    def __init__(self, family: int, kind: int) -> None:
        assert kind == socket.SOCK_DGRAM
        self.family = family
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.errors: list[OSError] = []
        self.blocking = True
        self.closed = False

    def setblocking(self, flag: bool) -> None:
        self.blocking = flag

    def sendto(self, data: bytes, where: tuple[str, int]) -> None:
        assert (self.blocking, self.closed) == (False, False)
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append((data, where))

    def close(self) -> None:
        self.closed = True


class DatagramOutputTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.log = KeptLog()
        self.sockets: list[Socket] = []
        self.lookups: list[Deferred[Any]] = []
        self.asked: list[tuple[str, int]] = []

    def lookup(self, host: str, port: int) -> Deferred[Any]:
        self.asked.append((host, port))
        self.lookups.append(Deferred())
        return self.lookups[-1]

    def socket(self, family: int, kind: int) -> Socket:
        self.sockets.append(Socket(family, kind))
        return self.sockets[-1]

    def output(self, shape: Format | None = None, host: str = "h") -> DatagramOutput:
        made = DatagramOutput(
            "udp:h:9", host, 9, shape or Chunks(), self.lookup, self.clock, self.log, self.socket
        )
        made.start()
        return made

    def found(self, address: str = "192.0.2.1") -> None:
        kind = IPv6Address if ":" in address else IPv4Address
        self.lookups[-1].callback([kind("TCP", address, 9)])

    def test_an_address_is_known_from_the_start(self) -> None:
        """More than may be held comes before any thread could have answered."""
        for host, family in (("192.0.2.1", socket.AF_INET), ("2001:db8::1", socket.AF_INET6)):
            output = self.output(host=host)
            output.write([b"a", b"x" * HELD, b"b"])
            made = self.sockets[-1]
            self.assertEqual([data[:1] for data, _ in made.sent], [b"a", b"x", b"b"])
            self.assertEqual((made.family, made.sent[0][1]), (family, (host, 9)))
            self.clock.advance(REFRESH)
            output.write([b"c"])
            self.assertEqual((made.sent[-1][0], self.sockets[-1], output.lost), (b"c", made, 0))
            output.abandon()
            self.assertTrue(made.closed)
        self.assertEqual(self.asked, [])

    def test_each_frame_is_a_datagram(self) -> None:
        output = self.output()
        self.found()
        self.assertIsNone(output.write([b"a", b"", b"b"]))
        where = ("192.0.2.1", 9)
        self.assertEqual(self.sockets[0].sent, [(b"a", where), (b"", where), (b"b", where)])
        self.assertEqual((self.sockets[0].family, self.asked), (socket.AF_INET, [("h", 9)]))
        self.assertEqual((output.lost, self.log.lines), (0, []))

    def test_frames_ahead_of_the_address_are_held_for_it(self) -> None:
        output = self.output()
        output.write([b"a", b"b"])
        output.write([b"c"])
        self.found("2001:db8::1")
        output.write([b"d"])
        where = ("2001:db8::1", 9)
        self.assertEqual(self.sockets[0].sent, [(b, where) for b in (b"a", b"b", b"c", b"d")])
        self.assertEqual(self.sockets[0].family, socket.AF_INET6)
        self.assertEqual((output.lost, self.log.lines), (0, []))

    def test_so_much_is_held_and_the_oldest_are_lost(self) -> None:
        output = self.output()
        output.write([b"%04d" % number for number in range(HELD // FRAME_COST)])
        self.found()
        output.write([b"end"])
        self.assertEqual(output.lost, HELD // FRAME_COST - HELD // (FRAME_COST + 4))
        self.assertEqual(self.sockets[0].sent[0][0], b"%04d" % output.lost)
        self.assertEqual(
            self.log.lines,
            [
                "output udp:h:9 loses frames (the address is not known yet)",
                f"output udp:h:9 goes on, {output.lost} lost in all",
            ],
        )

    def test_a_frame_too_long_for_a_datagram_is_counted_and_the_next_goes_out(self) -> None:
        output = self.output()
        self.found()
        self.sockets[0].errors = [OSError(errno.EMSGSIZE, "Message too long")]
        output.write([b"x" * 70_000, b"b"])
        self.assertEqual([data for data, _ in self.sockets[0].sent], [b"b"])
        self.assertEqual(output.lost, 1)
        self.assertIn("a frame of 70000 bytes is too long for a datagram", self.log.lines[0])

    def test_any_other_error_is_counted_too(self) -> None:
        output = self.output()
        self.found()
        self.sockets[0].errors = [OSError(errno.ENETUNREACH, "Network is unreachable")] * 2
        output.write([b"a", b"b"])
        self.assertEqual(output.lost, 2)
        self.assertEqual(self.log.lines, ["output udp:h:9 loses frames (network is unreachable)"])

    def test_a_name_that_is_not_found_is_looked_up_again(self) -> None:
        output = self.output()
        output.write([b"held"])
        self.lookups[0].errback(DNSLookupError("'h': Name or service not known"))
        output.write([b"a"])
        self.assertEqual(len(self.lookups), 1)
        self.clock.advance(RETRY)
        output.write([b"b"])
        self.assertEqual(len(self.lookups), 2)
        self.found()
        self.assertEqual(output.lost, 2)
        self.assertEqual(self.sockets[0].sent[0][0], b"b")
        self.assertEqual(len(self.log.lines), 2)
        self.assertIn("Name or service not known", self.log.lines[0])

    def test_a_name_is_looked_up_again_while_frames_come(self) -> None:
        output = self.output()
        self.found()
        self.clock.advance(REFRESH)
        output.write([b"a"])
        output.write([b"b"])
        self.assertEqual(len(self.lookups), 2)
        self.found("192.0.2.2")
        output.write([b"c"])
        self.assertEqual([data for data, _ in self.sockets[0].sent], [b"a", b"b"])
        self.assertTrue(self.sockets[0].closed)
        self.assertEqual(self.sockets[1].sent, [(b"c", ("192.0.2.2", 9))])

    def test_the_same_address_keeps_its_socket(self) -> None:
        output = self.output()
        self.found()
        self.clock.advance(REFRESH)
        output.write([])
        self.found()
        self.assertEqual(len(self.sockets), 1)

    def test_a_frame_that_the_framing_cannot_carry_is_left_out(self) -> None:
        output = self.output(framed(framing.lines()))
        self.found()
        output.write([b"a", b"b\nc", b"d"])
        output.write([b"e"])
        self.assertEqual([data for data, _ in self.sockets[0].sent], [b"a\n", b"d\n", b"e\n"])
        self.assertEqual(output.lost, 1)

    def test_at_the_end_nothing_is_left(self) -> None:
        output = self.output()
        output.write([b"held"])
        self.successResultOf(output.close())
        output.write([b"a"])
        self.assertEqual((output.lost, self.log.lines), (2, []))
        other = self.output()
        self.found()
        other.abandon()
        self.assertTrue(self.sockets[0].closed)
