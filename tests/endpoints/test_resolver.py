"""Names to addresses: a hung name holds nobody else up, and nothing waits for it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError
from twisted.internet.error import DNSLookupError
from twisted.trial.unittest import SynchronousTestCase

from nbclient.endpoints import resolver as module
from nbclient.endpoints.resolver import MAX_ADDRESSES, MAX_PER_NAME, Resolver, ascii_name, usable

V4 = socket.AF_INET
V6 = socket.AF_INET6


def answer(*addresses: str) -> list[tuple[Any, ...]]:
    """What getaddrinfo returns for these."""
    return [
        (V6, socket.SOCK_STREAM, 6, "", (text, 0, 0, 0))
        if ":" in text
        else (V4, socket.SOCK_STREAM, 6, "", (text, 0))
        for text in addresses
    ]


class FakeReactor:
    """Keeps what threads hand over until the test lets it run."""

    def __init__(self) -> None:
        self.calls: deque[Callable[[], None]] = deque()

    def callFromThread(self, f: Callable[..., None], *args: object) -> None:
        self.calls.append(lambda: f(*args))

    def turn(self) -> None:
        while self.calls:
            self.calls.popleft()()


class Threads:
    """Stands in for threads: each piece of work runs when told to."""

    def __init__(self) -> None:
        self.waiting: deque[Callable[[], None]] = deque()

    def __call__(self, work: Callable[[], None]) -> None:
        self.waiting.append(work)

    def run_one(self) -> None:
        self.waiting.popleft()()


class ResolverTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.threads = Threads()
        self.asked: list[tuple[Any, ...]] = []
        self.answers: dict[str, list[tuple[Any, ...]] | Exception] = {}
        self.resolver = self.make()

    def make(self, threads: int = 64) -> Resolver:
        return Resolver(getaddrinfo=self.getaddrinfo, spawn=self.threads, threads=threads)

    def getaddrinfo(self, *args: Any) -> list[tuple[Any, ...]]:
        self.asked.append(args)
        found = self.answers.get(args[0], answer("192.0.2.1"))
        if isinstance(found, Exception):
            raise found
        return found

    def settle(self) -> None:
        while self.threads.waiting:
            self.threads.run_one()
        self.reactor.turn()

    def complaint(self, error: Exception) -> str:
        self.answers["h"] = error
        looked = self.resolver.lookup(self.reactor, "h", 1)
        self.settle()
        return str(self.failureResultOf(looked, DNSLookupError).value)

    def test_result_arrives_in_the_reactor_thread_with_the_port(self) -> None:
        looked = self.resolver.lookup(self.reactor, "h", 80)
        self.threads.run_one()
        self.assertNoResult(looked)
        self.reactor.turn()
        self.assertEqual(self.successResultOf(looked), [IPv4Address("TCP", "192.0.2.1", 80)])

    def test_asks_for_stream_addresses_of_the_family(self) -> None:
        self.resolver.lookup(self.reactor, "h", 80, V6)
        self.settle()
        self.assertEqual(self.asked, [("h", None, V6, socket.SOCK_STREAM)])

    def test_asks_anew_each_time(self) -> None:
        for _ in range(3):
            self.resolver.lookup(self.reactor, "h", 80)
            self.settle()
        self.assertEqual(len(self.asked), 3)

    def test_a_lookup_that_fails_names_the_host_in_one_line(self) -> None:
        text = self.complaint(socket.gaierror(-2, "Name or service not known"))
        self.assertIn("DNS lookup failed: 'h': Name or service not known", text)

    def test_whatever_getaddrinfo_raises_settles_the_lookup(self) -> None:
        self.assertIn("'h': label too long", self.complaint(UnicodeError("label too long")))
        self.assertIn("'h': ZeroDivisionError", self.complaint(ZeroDivisionError()))

    def test_an_answer_without_addresses_is_a_failure(self) -> None:
        self.answers["h"] = []
        looked = self.resolver.lookup(self.reactor, "h", 80)
        self.settle()
        failure = self.failureResultOf(looked, DNSLookupError)
        self.assertIn("'h' has no usable address", str(failure.value))

    def test_cancelling_settles_at_once_while_the_thread_hangs(self) -> None:
        looked = self.resolver.lookup(self.reactor, "h", 80)
        looked.cancel()
        self.failureResultOf(looked, CancelledError)
        self.settle()  # the late answer goes nowhere

    def test_an_answer_already_on_its_way_does_not_meet_the_cancelled(self) -> None:
        looked = self.resolver.lookup(self.reactor, "h", 80)
        self.threads.run_one()
        looked.cancel()
        self.failureResultOf(looked, CancelledError)
        self.reactor.turn()  # AlreadyCalledError if it did

    def test_cancelling_one_leaves_the_other_who_shares_the_lookup(self) -> None:
        shared = [self.resolver.lookup(self.reactor, "h", 80) for _ in range(MAX_PER_NAME + 1)]
        shared[-1].cancel()
        self.failureResultOf(shared[-1], CancelledError)
        self.settle()
        for looked in shared[:-1]:
            self.successResultOf(looked)

    def test_a_hung_name_redialled_for_hours_holds_two_threads(self) -> None:
        for _ in range(100):
            looked = self.resolver.lookup(self.reactor, "h", 80)
            looked.cancel()
            self.failureResultOf(looked, CancelledError)
        self.assertEqual(len(self.threads.waiting), MAX_PER_NAME)

    def test_a_redial_gets_a_fresh_lookup_beside_one_that_hangs(self) -> None:
        stuck = self.resolver.lookup(self.reactor, "h", 80)
        again = self.resolver.lookup(self.reactor, "h", 80)
        self.threads.waiting.rotate(-1)
        self.threads.run_one()
        self.reactor.turn()
        self.successResultOf(again)
        self.assertNoResult(stuck)

    def test_those_who_share_a_lookup_each_get_their_port(self) -> None:
        looked = [self.resolver.lookup(self.reactor, "h", port) for port in (1, 2, 3)]
        self.settle()
        ports = [self.successResultOf(each)[0].port for each in looked]
        self.assertEqual(ports, [1, 2, 3])
        self.assertEqual(len(self.asked), MAX_PER_NAME)

    def test_another_family_is_another_lookup(self) -> None:
        for family in (V4, V6, V4, V6):
            self.resolver.lookup(self.reactor, "h", 80, family)
        self.assertEqual(len(self.threads.waiting), 4)

    def test_names_hung_up_to_the_bound_leave_a_thread_for_the_next(self) -> None:
        self.resolver = self.make(threads=13)
        for n in range(12):
            self.resolver.lookup(self.reactor, f"hung{n}", 80)
        good = self.resolver.lookup(self.reactor, "good", 80)
        self.threads.waiting.rotate(1)
        self.threads.run_one()
        self.reactor.turn()
        self.successResultOf(good)

    def test_beyond_the_bound_a_lookup_waits_for_a_thread_to_be_free(self) -> None:
        self.resolver = self.make(threads=1)
        first = self.resolver.lookup(self.reactor, "first", 80)
        second = self.resolver.lookup(self.reactor, "second", 80)
        self.assertEqual(len(self.threads.waiting), 1)
        self.settle()
        self.successResultOf(first)
        self.successResultOf(second)
        third = self.resolver.lookup(self.reactor, "third", 80)
        self.assertEqual(len(self.threads.waiting), 1)
        self.settle()
        self.successResultOf(third)

    def test_a_lookup_cancelled_while_it_waits_for_a_thread_never_runs(self) -> None:
        self.resolver = self.make(threads=1)
        self.resolver.lookup(self.reactor, "first", 80)
        waiting = self.resolver.lookup(self.reactor, "second", 80)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.settle()
        self.assertEqual([args[0] for args in self.asked], ["first"])

    def test_a_name_waiting_twice_keeps_its_second_lookup(self) -> None:
        self.resolver = self.make(threads=1)
        self.resolver.lookup(self.reactor, "first", 80)
        left, kept = (self.resolver.lookup(self.reactor, "h", 80) for _ in range(2))
        left.cancel()
        self.failureResultOf(left, CancelledError)
        self.settle()
        self.successResultOf(kept)

    def test_a_lookup_waiting_for_a_thread_stays_while_somebody_shares_it(self) -> None:
        self.resolver = self.make(threads=1)
        self.resolver.lookup(self.reactor, "first", 80)
        *kept, left = (self.resolver.lookup(self.reactor, "h", 80) for _ in range(3))
        left.cancel()
        self.failureResultOf(left, CancelledError)
        self.settle()
        for looked in kept:
            self.successResultOf(looked)

    def test_a_system_out_of_threads_fails_the_lookup_and_not_the_next(self) -> None:
        def refuse(work: Callable[[], None]) -> None:
            raise RuntimeError("can't start new thread")

        self.resolver = Resolver(getaddrinfo=self.getaddrinfo, spawn=refuse, threads=1)
        for _ in range(2):
            looked = self.resolver.lookup(self.reactor, "h", 80)
            self.reactor.turn()
            failure = self.failureResultOf(looked, DNSLookupError)
            self.assertIn("can't start new thread", str(failure.value))


def test_families_take_turns_from_the_first_answer_on() -> None:
    found = answer("2001:db8::1", "2001:db8::2", "2001:db8::3", "192.0.2.1")
    assert [each.host for each in usable(found, 80)] == [
        "2001:db8::1",
        "192.0.2.1",
        "2001:db8::2",
        "2001:db8::3",
    ]


def test_an_address_given_twice_is_used_once() -> None:
    assert len(usable(answer("192.0.2.1", "192.0.2.1"), 80)) == 1


def test_a_hostile_answer_is_cut_to_a_bound() -> None:
    hostile = answer(*(f"192.0.{n // 200}.{n % 200}" for n in range(2000)))
    assert len(usable(hostile, 80)) == MAX_ADDRESSES


def test_a_family_that_tcp_does_not_know_is_passed_over() -> None:
    assert usable([(socket.AF_UNIX, 1, 0, "", "/x"), *answer("192.0.2.1")], 80) == [
        IPv4Address("TCP", "192.0.2.1", 80)
    ]


def test_the_zone_of_a_link_local_address_is_kept() -> None:
    found = [(V6, socket.SOCK_STREAM, 6, "", ("fe80::1%eth0", 0, 0, 7))]
    assert usable(found, 80) == [IPv6Address("TCP", "fe80::1%eth0", 80, 0, 7)]


def test_names_of_containers_keep_their_underscore() -> None:
    assert ascii_name("redis_1") == "redis_1"


def test_other_letters_go_as_idna_2008() -> None:
    assert ascii_name("straße.example") == "xn--strae-oqa.example"
    assert ascii_name("STRASSE.example") == "STRASSE.example"


def test_a_name_that_idna_refuses_is_a_unicode_error() -> None:
    with pytest.raises(UnicodeError):
        ascii_name("☃" * 70)


def test_the_process_shares_one_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_shared", None)
    assert module.shared() is module.shared()


def test_a_real_lookup_runs_in_a_daemon_thread() -> None:
    """Only such a thread is not joined when the interpreter ends."""
    ran: list[threading.Thread] = []
    done = threading.Event()

    def getaddrinfo(*args: Any) -> list[tuple[Any, ...]]:
        ran.append(threading.current_thread())
        done.set()
        return []

    Resolver(getaddrinfo=getaddrinfo).lookup(FakeReactor(), "h", 80)
    assert done.wait(10)
    assert ran[0].daemon


HUNG = """
import sys, threading
from twisted.internet import reactor
from nbclient.endpoints.resolver import Resolver

asked = threading.Event()
def getaddrinfo(*args):
    asked.set()
    threading.Event().wait()

Resolver(getaddrinfo=getaddrinfo).lookup(reactor, "h", 80)
reactor.callLater(0, lambda: (asked.wait(), reactor.stop()))
reactor.run()
print("stopped")
"""


def test_a_hung_lookup_keeps_neither_reactor_nor_interpreter_from_ending() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HUNG], capture_output=True, text=True, timeout=30, check=True
    )
    assert (ended.stdout, ended.stderr) == ("stopped\n", "")
