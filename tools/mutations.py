"""Break each mechanism once, and see that the tests which hold it fail.

    python tools/mutations.py [--list] [--only NAME]... [--jobs N]

For each mutation the tree is copied to a temporary folder, one text in one file
of the copy is replaced, and the tests named with it are run there. All of them
must fail: a test that still passes does not hold what it is said to hold. The
same tests are first run on a copy that nothing was done to, where they must pass.

Exit status: 0 every mutation was killed, 1 one survived, 2 one could not be tried.
Needs the extra `test`; nothing of it runs as part of the suite, but a test checks
that every text to be replaced is still there exactly once.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 90.0
"""How long the tests of one mutation may take, seconds; a mutation may make one hang."""

NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info")

PASSED, FAILED = 0, 1  # what pytest exits with; all else is neither


@frozen
class Mutation:
    """One mechanism, and what is left when it is taken out.

    :ivar file: below the project's folder.
    :ivar old: occurs exactly once in the file.
    :ivar tests: node ids of pytest, of tests or of classes; each of them must fail.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


class CannotTry(Exception):
    """The mutation itself is at fault; the argument says why."""


# -- trying ---------------------------------------------------------------------------


def mutated(text: str, mutation: Mutation) -> str:
    """The file's text with the mutation in it.

    :raises CannotTry: the old text is not there exactly once, or the new one is no Python.
    """
    count = text.count(mutation.old)
    if count != 1:
        raise CannotTry(f"{mutation.file} holds the old text {count} times, not once")
    changed = text.replace(mutation.old, mutation.new)
    try:
        compile(changed, mutation.file, "exec")
    except SyntaxError as error:
        raise CannotTry(f"{mutation.file} would be no Python: {error}") from error
    return changed


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the tree, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="nbclient-mutation-") as folder:
        tree = Path(folder, "tree")
        shutil.copytree(ROOT, tree, ignore=NOT_COPIED)
        yield tree


def run_tests(tree: Path, tests: Sequence[str], limit: float) -> tuple[int | None, str]:
    """Run tests in a copy.

    :return: what pytest exited with, None where time ran out; and what it printed.
    """
    words = ("-m", "pytest", "-n0", "-q", "-rfE", "--tb=no", "-p", "no:cacheprovider", *tests)
    # Processes that a test starts must find the copy, whatever is installed.
    environ = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            (sys.executable, *words),
            cwd=tree,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=limit,
        )
    except subprocess.TimeoutExpired as late:
        return None, (late.stdout or b"").decode("utf-8", "replace")
    return done.returncode, done.stdout


def still_passing(tests: Sequence[str], printed: str) -> list[str]:
    """Those of `tests` that none of the failures in pytest's summary belongs to."""
    failures = [
        line.split(" ", 1)[1].split(" - ")[0]
        for line in printed.splitlines()
        if line.startswith(("FAILED ", "ERROR "))
    ]
    return [
        test for test in tests if not any(each == test or _inside(each, test) for each in failures)
    ]


def _inside(failure: str, test: str) -> bool:
    return failure.startswith((f"{test}::", f"{test}["))


def attempt(mutation: Mutation) -> list[str]:
    """Try one mutation.

    :return: the tests that did not notice; none of them is how it should be.
    :raises CannotTry: there is no telling.
    """
    with copied() as tree:
        file = tree / mutation.file
        file.write_text(mutated(file.read_text() if file.exists() else "", mutation))
        status, printed = run_tests(tree, mutation.tests, LIMIT)
    if status not in (PASSED, FAILED):
        why = f"no end in {LIMIT:g} s" if status is None else f"pytest exited with {status}"
        raise CannotTry(f"{why}\n{printed}")
    return still_passing(mutation.tests, printed)


def check_sound(mutations: Sequence[Mutation]) -> None:
    """See the tests pass with nothing broken.

    :raises CannotTry: they do not.
    """
    tests = sorted({test for mutation in mutations for test in mutation.tests})
    with copied() as tree:
        status, printed = run_tests(tree, tests, 2 * LIMIT)
    if status != PASSED:
        raise CannotTry(f"the tests fail with nothing broken\n{printed}")


def report(mutation: Mutation) -> int:
    """Try one mutation and print a line about it: what the script should exit with."""
    begun = time.monotonic()
    try:
        passing = attempt(mutation)
    except CannotTry as error:
        print(f"BROKEN    {mutation.name}: {error}", flush=True)
        return 2
    word = "SURVIVED" if passing else "KILLED"
    seconds = time.monotonic() - begun
    lines = [f"{word:9} {mutation.name}  ({seconds:.1f} s)", *(f"          {t}" for t in passing)]
    print("\n".join(lines), flush=True)
    return int(bool(passing))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print the names and leave")
    parser.add_argument("--only", action="append", metavar="NAME", help="try this one; repeatable")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at a time")
    options = parser.parse_args(arguments)
    unknown = set(options.only or ()) - {mutation.name for mutation in MUTATIONS}
    if unknown:
        parser.error(f"no such mutation: {', '.join(sorted(unknown))}")
    chosen = [each for each in MUTATIONS if not options.only or each.name in options.only]
    if options.list:
        for mutation in chosen:
            print(f"{mutation.name:32} {mutation.file}")
        return 0
    try:
        check_sound(chosen)
    except CannotTry as error:
        print(error)
        return 2
    with ThreadPoolExecutor(options.jobs) as pool:
        worst = list(pool.map(report, chosen))
    print(f"{worst.count(0)} of {len(chosen)} mutations killed")
    return max(worst)


# -- the mutations ----------------------------------------------------------------------

BACKOFF = "tests/core/test_backoff.py::"
CURSORS = "tests/daemon/inputs/test_cursors.py::"
ENDPOINTS = "tests/endpoints/test_tcp_endpoint.py::"
DEFAULTS = "tests/daemon/outputs/test_defaults.py::"
DIALERS = "tests/wire/test_dialers.py::"
FACTORY = "tests/link/test_factory.py::"
FRAMING = "tests/framing/test_conformance.py::"
HEARING = "tests/daemon/links/test_hearing.py::"
HANDSHAKE = "tests/endpoints/test_handshake.py::"
INPUTS = "tests/daemon/inputs/test_intake.py::"
PROTOCOL = "tests/connection/test_protocol.py::"
PUMP = "tests/link/test_pump.py::"
SIMULATION = "tests/simulation/test_simulation.py::"
REGRESSIONS = "tests/test_regressions.py::CancelledWaiterTests::"
REQUESTS = "tests/connection/test_requests.py::"
PULLING = "tests/connection/test_pulling.py::"
TAILING = "tests/daemon/inputs/test_tail.py::"
TLS = "tests/wire/test_endpoints_wire.py::TLSTests::"
WIRE = "tests/wire/test_regressions_wire.py::"

MUTATIONS = (
    # What reached this host is delivered.
    Mutation(
        "drain",
        "nbclient/connection/protocol.py",
        "            self._raw.connectionLost = self._transportLost\n",
        "            pass\n",
        (
            f"{PROTOCOL}EndingTests::test_a_failed_write_does_not_discard_what_was_received",
            f"{PROTOCOL}EndingTests::test_the_same_under_tls",
            f"{DIALERS}ConnectTCPTests::test_what_reached_this_host_comes_before_the_loss",
            f"{DIALERS}OurTLSTests::test_what_reached_this_host_comes_before_the_loss",
        ),
    ),
    Mutation(
        "drain-through-tls",
        "nbclient/connection/protocol.py",
        "        receive = raw.protocol.dataReceived\n",
        "        receive = self.dataReceived\n",
        (f"{DIALERS}OurTLSTests::test_what_reached_this_host_comes_before_the_loss",),
    ),
    Mutation(
        "half-close-interface",
        "nbclient/connection/protocol.py",
        "@implementer(IHalfCloseableProtocol)\n",
        "",
        (
            f"{PROTOCOL}HalfCloseTests::test_the_peers_end_does_not_drop_what_we_had_queued",
            f"{FACTORY}ReadyTests::test_the_peers_half_close_loses_nothing_and_ends",
            f"{DIALERS}TCP4ClientEndpointTests::"
            "test_the_peers_half_close_does_not_drop_what_we_had_queued",
        ),
    ),
    Mutation(
        "one-interface",
        "nbclient/connection/protocol.py",
        "@implementer(IHalfCloseableProtocol)\n",
        "@implementer(IHalfCloseableProtocol, IHandshakeListener)\n",
        (f"{PROTOCOL}InterfaceTests::test_only_half_close_is_declared",),
    ),
    Mutation(
        "finish-before-close",
        "nbclient/link/factory.py",
        "        self._report(connection, Event.CLOSE)\n        connection.finish()\n",
        "        self._report(connection, Event.CLOSE)\n        connection.loseConnection()\n",
        (f"{FACTORY}ReadyTests::test_a_deadline_cuts_the_sending_short_not_the_receiving",),
    ),
    Mutation(
        "half-close-no-producer",
        "nbclient/connection/protocol.py",
        "        transport.unregisterProducer()\n        transport.loseWriteConnection()\n",
        "        transport.loseWriteConnection()\n",
        (
            f"{PROTOCOL}HalfCloseTests::"
            "test_our_half_close_sends_everything_first_and_goes_on_reading",
        ),
    ),
    Mutation(
        "half-close-not-under-tls",
        "nbclient/connection/protocol.py",
        " or self._closed or self._writeClosed or self._gone is not None:\n            return\n",
        " and False or self._closed or self._writeClosed or self._gone is not None:\n"
        "            return\n",
        (
            f"{PROTOCOL}HalfCloseTests::test_under_tls_there_is_no_half_close",
            f"{DIALERS}OurTLSTests::test_our_half_close_sends_everything_and_still_receives",
        ),
    ),
    Mutation(
        "half-closed-link-ends",
        "nbclient/core/states.py",
        "    close = (A.CLOSE, A.ARM_CLOSE)\n",
        "    close = (A.CLOSE,)\n",
        (
            f"{FACTORY}ReadyTests::test_a_half_closed_peer_that_reads_no_more_still_ends",
            f"{FACTORY}StoppingTests::test_a_stalled_peer_is_aborted_at_the_deadline",
        ),
    ),
    Mutation(
        "held-back-loss",
        "nbclient/connection/protocol.py",
        "            if not self.settled and (self._deaf or not self._pending):\n",
        "            if not self.settled:\n",
        (
            f"{PROTOCOL}EndingTests::test_the_loss_waits_for_frames_still_held_back",
            f"{PROTOCOL}EndingTests::test_the_loss_waits_for_the_callback_at_work",
            f"{FACTORY}DiallingTests::"
            "test_the_wait_begins_at_the_loss_not_when_the_last_frame_is_done",
        ),
    ),
    # A loss is one loss.
    Mutation(
        "loss-once",
        "nbclient/connection/protocol.py",
        "        if self._gone is not None:\n            return\n        self._gone = reason\n",
        "        self._gone = reason\n",
        (
            "tests/test_regressions.py::LossTests::"
            "test_a_loss_told_again_while_frames_are_worked_on_is_still_one",
        ),
    ),
    Mutation(
        "loss-from-the-connection-only",
        "nbclient/link/factory.py",
        '"""Nothing to do: the connection\'s own hook has reported it, on every dialer."""\n',
        "self._losses += 1\n        self.dialFailed(reason)\n",
        (
            f"{FACTORY}ConnectorTests::test_a_double_loss_is_counted_once",
            f"{DIALERS}ConnectTCPTests::test_a_loss_is_counted_once_and_redialled",
        ),
    ),
    Mutation(
        "history-is-ignored",
        "nbclient/link/factory.py",
        'unless to a connection that is history already."""\n'
        "        if connection is self.connection:\n",
        'whatever it was."""\n        if True:\n',
        (
            f"{FACTORY}ReadyTests::"
            "test_a_callback_of_an_old_connection_that_fails_late_harms_nobody",
        ),
    ),
    # After our close, nothing.
    Mutation(
        "no-frame-after-our-close",
        "nbclient/connection/receiver.py",
        "        self._deaf = True\n        self._halt()\n",
        "        self._halt()\n",
        (f"{PROTOCOL}EndingTests::test_no_frame_after_our_close",),
    ),
    Mutation(
        "loop-ends-at-our-close",
        "nbclient/connection/receiver.py",
        "        self._deaf = True\n        self._halt()\n",
        "        self._deaf = True\n",
        (
            f"{PROTOCOL}EndingTests::test_no_frame_after_our_close",
            f"{FACTORY}StoppingTests::test_inside_a_frame_callback",
        ),
    ),
    Mutation(
        "close-of-the-transport-is-ours",
        "nbclient/connection/protocol.py",
        "        transport.loseConnection = self.loseConnection\n",
        "",
        (f"{PROTOCOL}EndingTests::test_no_frame_after_a_close_of_the_transport_itself",),
    ),
    Mutation(
        "no-producer-at-close",
        "nbclient/connection/protocol.py",
        "        transport.unregisterProducer()\n        transport.loseConnection()\n",
        "        transport.loseConnection()\n",
        (
            f"{PROTOCOL}EndingTests::test_a_full_transport_closes_when_it_has_sent_everything",
            f"{DIALERS}OurTLSTests::test_stop_while_ready_sends_what_was_written",
            f"{DIALERS}ConnectSSLTests::test_stop_while_ready_sends_what_was_written",
        ),
    ),
    Mutation(
        "broken-callback-not-called-again",
        "nbclient/connection/receiver.py",
        "        self._deaf = True\n",
        "        self._deaf = False\n",
        (
            "tests/test_regressions.py::BrokenCallbackTests::"
            "test_what_is_drained_after_a_callback_raised_does_not_reach_it",
        ),
    ),
    # A connection is proven before it counts.
    Mutation(
        "handshake-heard",
        "nbclient/connection/protocol.py",
        "            alsoProvides(listener, IHandshakeListener)\n",
        "            pass\n",
        (
            f"{PROTOCOL}OpeningTests::test_under_tls_only_after_the_handshake",
            f"{DIALERS}ConnectSSLTests::test_frames_both_ways",
            f"{DIALERS}WrapClientTLSTests::test_frames_both_ways",
            f"{DIALERS}OurTLSTests::test_frames_both_ways",
        ),
    ),
    Mutation(
        "handshake-waited-for",
        "nbclient/connection/protocol.py",
        ":\n            self.handshakeCompleted()\n",
        " or True:\n            self.handshakeCompleted()\n",
        (
            f"{PROTOCOL}OpeningTests::test_under_tls_only_after_the_handshake",
            f"{FACTORY}DiallingTests::"
            "test_a_handshake_that_fails_grows_the_delay_and_is_never_ready",
            f"{DIALERS}OurTLSTests::test_plain_text_where_tls_should_be_backs_off",
            f"{WIRE}BadServerTests::test_a_self_signed_certificate_grows_the_delay_and_is_never_ready",
            f"{WIRE}BadServerTests::test_a_wrong_name_grows_the_delay_and_is_never_ready",
            f"{WIRE}BadServerTests::test_tls_1_1_grows_the_delay_and_is_never_ready",
        ),
    ),
    Mutation(
        "connect-deadline",
        "nbclient/core/states.py",
        "    dial = (S.CONNECTING, (A.DIAL, A.ARM_CONNECT))\n",
        "    dial = (S.CONNECTING, (A.DIAL,))\n",
        (
            f"{FACTORY}DiallingTests::test_a_connect_that_takes_too_long_is_given_up",
            f"{FACTORY}DiallingTests::"
            "test_a_handshake_that_never_ends_is_dropped_at_the_connect_deadline",
            f"{DIALERS}OurTLSTests::test_a_handshake_that_never_comes_ends_at_the_deadline",
        ),
    ),
    Mutation(
        "connect-deadline-of-a-connector",
        "nbclient/core/states.py",
        "    adopt = (S.CONNECTING, (A.ARM_CONNECT,))\n",
        "    adopt = (S.CONNECTING, ())\n",
        (
            f"{FACTORY}ConnectorTests::test_a_connect_timeout_stops_the_connector",
            f"{DIALERS}ConnectSSLTests::test_a_handshake_that_never_comes_ends_at_the_deadline",
        ),
    ),
    Mutation(
        "connect-deadline-aborts",
        "nbclient/link/factory.py",
        "            self.connection.discard()\n            self.connection.abandonTransport()\n",
        "            self.connection.discard()\n",
        (
            f"{FACTORY}DiallingTests::"
            "test_a_handshake_that_never_ends_is_dropped_at_the_connect_deadline",
            f"{FACTORY}StoppingTests::test_during_the_handshake",
        ),
    ),
    Mutation(
        "opening-deadline",
        "nbclient/core/states.py",
        "(S.OPENING, (A.ARM_OPENING, A.OPEN))",
        "(S.OPENING, (A.DISARM, A.OPEN))",
        (f"{FACTORY}ReadyTests::test_the_opening_has_its_deadline",),
    ),
    Mutation(
        "opening-failure-aborts",
        "nbclient/core/states.py",
        "        (S.OPENING, E.ABORT): (S.DROPPING, abort),\n",
        "",
        (f"{FACTORY}ReadyTests::test_a_failed_opening_aborts_and_grows_the_delay",),
    ),
    Mutation(
        "lost-while-opening",
        "nbclient/core/states.py",
        "        (S.OPENING, E.LOST): lost,\n",
        "",
        (f"{FACTORY}ReadyTests::test_lost_while_opening",),
    ),
    Mutation(
        "lost-in-the-handshake",
        "nbclient/core/states.py",
        "        (S.CONNECTING, E.LOST): lost,\n",
        "",
        (
            f"{FACTORY}DiallingTests::"
            "test_a_handshake_that_fails_grows_the_delay_and_is_never_ready",
            f"{DIALERS}OurTLSTests::test_plain_text_where_tls_should_be_backs_off",
        ),
    ),
    # Redialling is polite.
    # What Twisted's clients leave out of an attempt.
    Mutation(
        "the-kernels-reason",
        "nbclient/connection/connecting.py",
        "            self.failIfNotConnected(_why(self.socket, reason))\n",
        "            self.failIfNotConnected(ConnectionRefusedError(str(reason)))\n",
        (
            "tests/connection/test_connecting.py::test_the_kernels_reason_counts_not_the_reactors",
            "tests/wire/test_connecting_wire.py::"
            "test_a_firewalls_rejection_is_named[host-unreachable-icmp]",
        ),
    ),
    Mutation(
        "no-failure-within-a-reason",
        "nbclient/connection/wording.py",
        "    return explain(within[0]) if within else safe_str(value)\n",
        "    return str(value)\n",
        ("tests/test_log_lines.py::test_a_failure_within_a_failure_is_told_in_words[GaveUp]",),
    ),
    Mutation(
        "not-to-itself",
        "nbclient/connection/connecting.py",
        "        if is_itself(self):\n",
        "        if False:\n",
        ("tests/wire/test_connecting_wire.py::ItselfTests::test_by_our_endpoint_for_any_protocol",),
    ),
    Mutation(
        "not-to-itself-on-any-transport",
        "nbclient/connection/protocol.py",
        "        if is_itself(self._raw):\n",
        "        if False:\n",
        ("tests/wire/test_connecting_wire.py::ItselfTests::test_by_twisteds_endpoint",),
    ),
    Mutation(
        "reset-by-itself",
        "nbclient/connection/connecting.py",
        "            self._closeSocket(False)  # with a reset: the port is free at once\n",
        "            pass\n",
        ("tests/wire/test_connecting_wire.py::ItselfTests::test_by_our_endpoint",),
    ),
    Mutation(
        "the-port-of-the-last-connection",
        "nbclient/connection/connecting.py",
        "    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n",
        "    pass\n",
        (
            "tests/wire/test_connecting_wire.py::SamePortTests::test_by_a_connector",
            "tests/wire/test_connecting_wire.py::SamePortTests::test_by_our_endpoint",
        ),
    ),
    Mutation(
        "a-late-connect-deadline",
        "nbclient/connection/connecting.py",
        "    if connector.timeoutID is not None:\n",
        "    if False:\n",
        (
            "tests/connection/test_connecting.py::"
            "test_a_deadline_after_a_standstill_is_judged_by_what_the_kernel_has_done",
        ),
    ),
    Mutation(
        "the-next-addresses-of-a-name",
        "nbclient/endpoints/tcp_endpoint.py",
        "        fresh = [each for each in addresses if each.host not in self._tried]\n",
        "        fresh = addresses\n",
        (
            "tests/endpoints/test_tcp_endpoint.py::TCPTests::test_of_many_addresses_each_attempt_tries_the_next",
        ),
    ),
    Mutation(
        "proof-of-stability",
        "nbclient/link/factory.py",
        "        self._lasted = ready >= self.backoff.stable_after\n",
        "        self._lasted = ready >= 0\n",
        (
            f"{FACTORY}DiallingTests::test_accept_then_close_grows_the_delay",
            f"{FACTORY}DiallingTests::test_a_greeting_before_the_close_is_no_proof_either",
        ),
    ),
    Mutation(
        "progress-forgives",
        "nbclient/link/factory.py",
        "        if self._attempts > 1 and self.progressed:\n",
        "        if False:\n",
        (
            f"{FACTORY}DiallingTests::"
            "test_frames_answered_are_a_success_however_short_the_connection",
            f"{FACTORY}DiallingTests::test_so_is_an_answer_that_was_found_after_the_loss",
            f"{FACTORY}DiallingTests::test_so_are_frames_that_are_settled",
            f"{FACTORY}DiallingTests::test_so_is_more_than_a_greeting_and_a_word_of_refusal",
        ),
    ),
    Mutation(
        "acknowledged-is-no-progress",
        "nbclient/link/factory.py",
        "        sure = self.reply is not None or self.rules.settle_after > 0\n",
        "        sure = True\n",
        (
            f"{FACTORY}DiallingTests::"
            "test_nor_is_a_kernel_that_acknowledges_what_its_program_turns_away",
        ),
    ),
    Mutation(
        "a-greeting-is-no-progress",
        "nbclient/link/factory.py",
        "        return done or self.connection.framesIn - frames > GREETING\n",
        "        return done or self.connection.framesIn > frames\n",
        (f"{FACTORY}DiallingTests::test_a_greeting_before_the_close_is_no_proof_either",),
    ),
    Mutation(
        "ready-while-the-peer-was-there",
        "nbclient/link/factory.py",
        "self._readySince = cast(float, self._readySince) + held_for\n",
        "pass\n",
        (
            f"{FACTORY}DiallingTests::"
            "test_a_peer_that_ended_at_once_was_not_stable_whenever_that_is_noticed",
            "tests/endpoints/test_failover.py::OrderTests::test_nor_does_one_whose_end_was_noticed_late",
        ),
    ),
    Mutation(
        "the-least-wait",
        "nbclient/core/backoff.py",
        "            return self.least + (most - self.least) * random()\n",
        "            pass\n",
        (
            "tests/core/test_backoff.py::test_no_wait_is_shorter_than_the_least",
            "tests/core/test_backoff.py::test_above_the_least_there_is_jitter_all_the_same",
        ),
    ),
    Mutation(
        "progress-keeps-its-peer",
        "nbclient/endpoints/failover.py",
        "        elif link.progressed:\n",
        "        elif False:\n",
        (
            "tests/endpoints/test_failover.py::OrderTests::"
            "test_a_peer_that_gets_something_done_in_short_connections_is_kept",
        ),
    ),
    Mutation(
        "no-tls-answer",
        "nbclient/link/factory.py",
        "        if connection is None or not connection.secure:\n",
        "        if True:\n",
        (
            f"{FACTORY}DiallingTests::"
            "test_a_handshake_that_never_ends_is_dropped_at_the_connect_deadline",
            "tests/wire/test_connecting_wire.py::test_tls_to_a_plain_port_says_so[silent]",
        ),
    ),
    Mutation(
        "stability-forgives",
        "nbclient/link/factory.py",
        "        self._lasted = ready >= self.backoff.stable_after\n",
        "        self._lasted = ready < 0\n",
        (f"{FACTORY}DiallingTests::test_a_link_that_was_stable_starts_over",),
    ),
    Mutation(
        "full-jitter",
        "nbclient/core/backoff.py",
        "        return self.cap(failures) * random()\n",
        "        return self.cap(failures) * (0.5 + random() / 2)\n",
        (
            f"{BACKOFF}test_the_jitter_is_full_so_that_a_delay_may_be_anything_from_zero_to_the_cap",
            f"{FACTORY}DiallingTests::test_the_jitter_spreads_every_wait_over_all_of_it",
        ),
    ),
    Mutation(
        "jitter",
        "nbclient/core/backoff.py",
        "        return self.cap(failures) * random()\n",
        "        return self.cap(failures)\n",
        (
            f"{BACKOFF}test_clients_cut_off_together_come_back_spread_evenly_over_the_cap",
            f"{BACKOFF}test_a_server_that_returns_after_a_common_loss_meets_no_storm",
        ),
    ),
    Mutation(
        "jitter-within-the-cap",
        "nbclient/core/backoff.py",
        "        return self.cap(failures) * random()\n",
        "        return self.cap(failures) * 1.2 * random()\n",
        (
            f"{BACKOFF}test_a_delay_lies_between_nothing_and_the_cap_whatever_the_dice_say",
            f"{FACTORY}DiallingTests::test_an_attempt_that_fails_is_followed_by_another_ever_later",
        ),
    ),
    Mutation(
        "redial-by-a-timer",
        "nbclient/link/factory.py",
        "        self._arm(delay, Event.RETRY_DUE)\n",
        "        self._arm(delay, Event.RETRY_DUE) if delay else "
        "self._machine.handle(Event.RETRY_DUE)\n",
        (f"{FACTORY}ReconnectNowTests::test_while_waiting_it_shortens_the_wait",),
    ),
    Mutation(
        "one-link-one-connector",
        "nbclient/link/factory.py",
        "            raise self._runningAlready()\n"
        "        if self._clock is None:\n"
        "            self._clock = cast(Any, connector).reactor\n",
        "            return\n",
        (f"{FACTORY}ConnectorTests::test_a_second_connector_is_refused",),
    ),
    # Stop ends it, in any state.
    Mutation(
        "stop-while-dialling",
        "nbclient/core/states.py",
        "        (S.CONNECTING, E.STOP): (S.CLOSING, (A.ARM_OVERDUE, A.CANCEL_DIAL)),\n",
        "        (S.CONNECTING, E.STOP): (S.CLOSING, (A.ARM_OVERDUE,)),\n",
        (
            f"{FACTORY}StoppingTests::test_while_dialling",
            f"{FACTORY}StoppingTests::test_during_the_handshake",
        ),
    ),
    Mutation(
        "stop-while-opening",
        "nbclient/core/states.py",
        "        (S.OPENING, E.STOP): (S.CLOSING, close),\n",
        "",
        (
            f"{FACTORY}StoppingTests::test_while_opening",
            f"{DIALERS}ConnectTCPTests::test_stop_while_opening",
        ),
    ),
    Mutation(
        "ready-means-ready",
        "nbclient/link/factory.py",
        "        while self._readyWaiters and self._usable:\n",
        "        while self._readyWaiters:\n",
        (
            "tests/test_regressions.py::ReadyCallbackTests::"
            "test_one_who_stops_the_link_does_not_pull_it_from_under_the_next",
        ),
    ),
    Mutation(
        "an-ending-connection-is-not-handed-out",
        "nbclient/link/factory.py",
        "        return self.state is State.READY and not self.connection.ending\n",
        "        return self.state is State.READY\n",
        (
            "tests/connection/test_endings.py::test_a_retry_loop_asks_again_on_the_next_connection"
            "[our_half_close]",
            "tests/connection/test_endings.py::InsideTests::"
            "test_a_close_inside_an_observer_comes_before_the_ready_callback",
        ),
    ),
    Mutation(
        "the-link-learns-first-of-the-peers-end",
        "nbclient/link/factory.py",
        "        self._report(connection, Event.CLOSE)\n        connection.finish()\n",
        "        connection.finish()\n        self._report(connection, Event.CLOSE)\n",
        (
            "tests/connection/test_endings.py::"
            "test_who_waits_for_an_answer_learns_of_the_end_after_the_link[fin]",
            "tests/connection/test_endings.py::"
            "test_who_waits_for_an_answer_learns_of_the_end_after_the_link[silence]",
        ),
    ),
    Mutation(
        "the-link-learns-first-of-our-close",
        "nbclient/connection/requests.py",
        "        self._kept = None\n\n    def _nothingComes",
        "        self._kept = None\n        self._failRequests()\n\n    def _nothingComes",
        (
            "tests/connection/test_endings.py::"
            "test_who_waits_for_an_answer_learns_of_the_end_after_the_link[our_close]",
            "tests/connection/test_endings.py::"
            "test_who_waits_for_an_answer_learns_of_the_end_after_the_link[bad_frame]",
            "tests/connection/test_endings.py::"
            "test_who_waits_for_an_answer_learns_of_the_end_after_the_link[late_answer]",
        ),
    ),
    Mutation(
        "an-end-is-told-outside-of-the-transition",
        "nbclient/connection/requests.py",
        "            self._link.afterwards(lambda: _tellLost(over))\n",
        "            _tellLost(over)\n",
        (
            "tests/connection/test_endings.py::InsideTests::"
            "test_a_close_inside_an_observer_comes_before_the_ready_callback",
        ),
    ),
    Mutation(
        "ready-callback-outside-of-the-transition",
        "nbclient/link/factory.py",
        "        self._machine.afterwards(self._welcome)\n",
        "        self._welcome()\n",
        (
            "tests/connection/test_endings.py::InsideTests::"
            "test_a_close_inside_the_ready_callback_acts_at_once",
        ),
    ),
    Mutation(
        "loss-known-before-what-arrived-last",
        "nbclient/connection/protocol.py",
        "            if self.losing:  # before the application finds that it cannot answer this\n",
        "            if False:\n",
        (
            "tests/connection/test_endings.py::test_who_finds_that_what_arrived_last_cannot_be_answered"
            "_finds_the_link_down_too",
        ),
    ),
    Mutation(
        "the-row-is-done-though-an-action-raises",
        "nbclient/core/states.py",
        "                fault = fault or error\n",
        "                fault = fault or error\n                break\n",
        (
            "tests/core/test_states.py::test_an_action_that_raises_ends_the_attempt"
            "_and_the_others_are_done_all_the_same",
        ),
    ),
    Mutation(
        "an-action-that-raises-ends-the-attempt",
        "nbclient/core/states.py",
        "            self._post(self._worse(event))\n",
        "            pass\n",
        (
            "tests/core/test_states.py::test_whatever_raises_wherever_the_next_attempt_comes"
            "[SETTLING-SETTLED-ARM_RETRY]",
            "tests/core/test_states.py::test_so_it_does_where_what_mends_it_raises_too"
            "[SETTLING-SETTLED-ARM_RETRY]",
            "tests/link/test_faults.py::test_an_action_raises_once_in_a_life_of_many_ends"
            "[ARM_RETRY-1-instead]",
            "tests/link/test_faults.py::test_the_clock_raises_once[5]",
        ),
    ),
    Mutation(
        "a-connection-that-cannot-begin-is-a-failed-attempt",
        "nbclient/connection/protocol.py",
        "            self._cannotBegin(error)\n            return\n",
        "            raise error\n",
        ("tests/link/test_faults.py::test_it_is_said_once_and_is_the_reason",),
    ),
    Mutation(
        "a-connector-is-dialled-anew",
        "nbclient/link/dialers.py",
        "            self._reset()\n",
        "            pass\n",
        (
            "tests/link/test_faults.py::test_the_factory_raises_once_where_a_connector_dials"
            "[2-startFactory]",
        ),
    ),
    Mutation(
        "what-is-sent-fails-the-connection",
        "nbclient/link/pump.py",
        "                self._connection.sendingFailed(Failure())\n",
        "                raise\n",
        (
            "tests/link/test_faults.py::test_the_pump_raises_once_and_who_sends_is_not_at_fault[True]",
        ),
    ),
    Mutation(
        "a-timer-that-raises-ends-the-attempt",
        "nbclient/link/factory.py",
        "            link._machine.fault(error)\n",
        "            raise\n",
        (
            "tests/link/test_faults.py::test_what_a_timer_calls_ends_the_attempt_where_it_raises"
            "[_awaitLastAcks]",
        ),
    ),
    Mutation(
        "a-back-off-that-fails-makes-no-storm",
        "nbclient/link/factory.py",
        "            if 0 <= delay < math.inf:\n",
        "            if True:\n",
        ("tests/link/test_faults.py::test_what_it_is_given_raises_once[backoff-infinite-2]",),
    ),
    Mutation(
        "what-is-said-by-itself-raises",
        "nbclient/link/automation.py",
        "            self._connection.sendingFailed(Failure())\n",
        "            raise\n",
        ("tests/link/test_faults.py::test_what_it_says_by_itself_raises_once[heartbeat-2]",),
    ),
    Mutation(
        "events-are-queued",
        "nbclient/core/states.py",
        "        if self._busy:\n            self._post(event)\n",
        "        if False:\n            self._post(event)\n",
        (
            "tests/core/test_states.py::"
            "test_an_event_posted_by_an_action_waits_until_the_transition_is_over",
        ),
    ),
    Mutation(
        "stop-deadline-aborts",
        "nbclient/core/states.py",
        "        (S.CLOSING, E.DEADLINE): (S.CLOSING, abort),\n",
        "",
        (
            f"{FACTORY}StoppingTests::test_a_stalled_peer_is_aborted_at_the_deadline",
            f"{DIALERS}ConnectTCPTests::test_stop_with_a_stalled_peer_ends_at_the_deadline",
        ),
    ),
    Mutation(
        "drop-deadline-aborts",
        "nbclient/core/states.py",
        "        (S.DROPPING, E.DEADLINE): (S.DROPPING, abort),\n",
        "",
        (f"{FACTORY}ReadyTests::test_a_half_closed_peer_that_reads_no_more_still_ends",),
    ),
    Mutation(
        "overdue-while-closing",
        "nbclient/core/states.py",
        "        (S.CLOSING, E.OVERDUE): (S.STOPPED, (A.FORSAKE, A.FINISH)),\n",
        "",
        (
            f"{FACTORY}StoppingTests::"
            "test_a_transport_that_never_reports_its_end_cannot_hold_up_the_stop",
            f"{FACTORY}StoppingTests::test_while_a_dial_cannot_be_cancelled",
        ),
    ),
    Mutation(
        "overdue-while-dropping",
        "nbclient/core/states.py",
        "        (S.DROPPING, E.OVERDUE): (S.SETTLING, (A.COUNT, A.FORSAKE, A.SETTLE)),\n",
        "",
        (
            f"{FACTORY}StoppingTests::"
            "test_a_transport_that_never_reports_its_end_cannot_hold_up_the_link",
            f"{FACTORY}DiallingTests::test_a_dial_that_cannot_be_cancelled_is_forsaken",
        ),
    ),
    Mutation(
        "refusal",
        "nbclient/link/factory.py",
        "            return Refusal()\n",
        "            return None\n",
        (
            f"{FACTORY}StoppingTests::test_while_a_dial_cannot_be_cancelled",
            f"{FACTORY}BuildingTests::test_a_connection_nobody_wants_is_aborted",
        ),
    ),
    Mutation(
        "refusal-aborts",
        "nbclient/link/dialers.py",
        "        transport.abortConnection()\n",
        "        pass\n",
        (
            "tests/link/test_dialers.py::RefusalTests::test_it_aborts_in_plain_and_under_tls",
            f"{FACTORY}StoppingTests::test_while_a_dial_cannot_be_cancelled",
        ),
    ),
    Mutation(
        "no-timer-after-stop",
        "nbclient/core/states.py",
        "        (S.WAITING, E.STOP): (S.STOPPED, (A.DISARM, A.FINISH)),\n",
        "        (S.WAITING, E.STOP): (S.STOPPED, (A.FINISH,)),\n",
        (f"{DIALERS}ConnectTCPTests::test_stop_while_waiting",),
    ),
    Mutation(
        "disarm",
        "nbclient/link/factory.py",
        "        timer, self._timer = self._timer, None\n"
        "        if timer is not None:\n            self._timers.cancel(timer)\n",
        "        self._timer = None\n",
        (
            f"{FACTORY}StoppingTests::test_while_waiting",
            f"{FACTORY}StoppingTests::test_while_ready_what_was_written_is_sent_first",
            f"{DIALERS}ConnectTCPTests::test_stop_while_waiting",
        ),
    ),
    Mutation(
        "no-watch-after-the-connection",
        "nbclient/link/factory.py",
        "        if watchTimer is not None:\n",
        "        if watchTimer is self:\n",
        (f"{FACTORY}WatchTests::test_the_watch_ends_with_the_connection",),
    ),
    Mutation(
        "start-again",
        "nbclient/core/states.py",
        "        elif new is State.CONNECTING:\n            self.stopping = False\n",
        "",
        (
            f"{FACTORY}StoppingTests::test_start_again",
            "tests/core/test_states.py::test_a_new_start_forgets_the_old_stop",
        ),
    ),
    # Whoever no longer waits is forgotten.
    Mutation(
        "forget-who-waits-for-ready",
        "nbclient/link/factory.py",
        "Deferred(self._readyWaiters.remove)",
        "Deferred()",
        (f"{REGRESSIONS}test_of_the_link_being_ready",),
    ),
    Mutation(
        "forget-who-waits-for-the-end",
        "nbclient/link/factory.py",
        "Deferred(self._endWaiters.remove)",
        "Deferred()",
        (f"{REGRESSIONS}test_of_the_links_end",),
    ),
    Mutation(
        "forget-who-stops",
        "nbclient/link/factory.py",
        "Deferred(self._stopWaiters.remove)",
        "Deferred()",
        (f"{REGRESSIONS}test_of_a_stop",),
    ),
    Mutation(
        "forget-who-drains",
        "nbclient/link/pump.py",
        "Deferred(self._drains.remove)",
        "Deferred()",
        (
            f"{REGRESSIONS}test_of_the_end_of_the_outbox",
            f"{PUMP}DrainingTests::test_a_wait_that_was_cancelled_is_forgotten",
        ),
    ),
    Mutation(
        "forget-who-sends",
        "nbclient/link/admission.py",
        "Deferred(withdraw))",
        "Deferred())",
        (
            f"{REGRESSIONS}test_of_room_in_the_outbox",
            f"{PUMP}WithdrawingTests::test_what_waits_can_be_withdrawn_and_its_room_comes_back",
            f"{FACTORY}SendingTests::test_a_waiting_send_may_be_withdrawn",
        ),
    ),
    Mutation(
        "forget-who-takes",
        "nbclient/connection/receiver.py",
        "Deferred(self._forgetTaker)",
        "Deferred()",
        (
            f"{REGRESSIONS}test_of_the_next_frame",
            f"{PROTOCOL}WaitingForFramesTests::test_a_cancelled_waiter_is_forgotten",
        ),
    ),
    Mutation(
        "forget-who-looks",
        "nbclient/connection/receiver.py",
        "Deferred(self._forgetLooker)",
        "Deferred()",
        (f"{REGRESSIONS}test_of_a_frame_expected",),
    ),
    # Requests and their answers.
    Mutation(
        "answers-in-callbacks",
        "nbclient/connection/requests.py",
        "                if not (self._matching and self._sift()):\n",
        "                if True:\n",
        (
            f"{REQUESTS}InsideCallbacksTests::"
            "test_each_callback_has_its_answer_before_the_next_frame_comes",
            f"{REQUESTS}InsideCallbacksTests::"
            "test_requests_of_others_are_answered_while_a_callback_is_slow",
            "tests/wire/test_requests_wire.py::PipeliningTests::"
            "test_in_callbacks_that_hold_back_what_is_pushed",
        ),
    ),
    Mutation(
        "held-back-in-order",
        "nbclient/connection/requests.py",
        "        self._kept.append(frame)\n",
        "        self._kept.appendleft(frame)\n",
        (f"{REQUESTS}InsideCallbacksTests::test_pushed_frames_wait_their_turn_while_answers_pass",),
    ),
    Mutation(
        "held-back-is-bounded",
        "nbclient/connection/requests.py",
        "        return self._keptBytes < HELD_BYTES or self._isOver\n",
        "        return True\n",
        (
            f"{REQUESTS}InsideCallbacksTests::"
            "test_what_is_held_back_is_bounded_and_then_the_timeout_ends_it",
        ),
    ),
    Mutation(
        "earlier-arrivals-answer-nothing",
        "nbclient/connection/requests.py",
        "        outstanding.sent(answered, self._now(), key, self._arrivals)\n",
        "        outstanding.sent(answered, self._now(), key)\n",
        (
            f"{REQUESTS}InTurnTests::"
            "test_an_answers_callback_may_ask_again_and_what_is_behind_is_pushed",
            f"{REQUESTS}InTurnTests::test_nor_is_what_waited_for_a_pause_to_end",
        ),
    ),
    Mutation(
        "loss-fails-requests",
        "nbclient/connection/requests.py",
        "[each.item for each in outstanding.lost()]\n",
        "[]\n",
        (
            f"{REQUESTS}EndingTests::test_the_loss_fails_every_request_those_that_wait_included",
            f"{REQUESTS}EndingTests::test_our_close_fails_them_at_once",
        ),
    ),
    Mutation(
        "loss-fails-requests-that-wait",
        "nbclient/connection/requests.py",
        "        over = [*lost, *(queue or ())]\n",
        "        over = lost\n",
        (
            f"{REQUESTS}EndingTests::test_the_loss_fails_every_request_those_that_wait_included",
            f"{REQUESTS}EndingTests::test_our_close_fails_them_at_once",
        ),
    ),
    Mutation(
        "no-frame-is-refused-uncounted",
        "nbclient/connection/protocol.py",
        "        if not isinstance(data, bytes):\n            made",
        "        if False:\n            made",
        (f"{PROTOCOL}SendingTests::test_what_is_no_frame_is_refused_before_anything_is_counted",),
    ),
    Mutation(
        "any-fault-of-encode-is-the-frames",
        "nbclient/framing/base.py",
        '    return FrameError(f"the framing failed to encode a frame: {why}")\n',
        "    return error\n",
        (
            f"{PROTOCOL}SendingTests::"
            "test_whatever_encode_raises_the_frame_is_what_cannot_be_carried",
        ),
    ),
    Mutation(
        "send-fails-whatever-encode-raises",
        "nbclient/link/factory.py",
        "            return pump.refuse(frames, Failure(not_carried(frames, error)))\n",
        "            raise\n",
        ("tests/link/test_faults.py::test_send_fails_in_words_whatever_encode_raises",),
    ),
    Mutation(
        "late-answers-are-looked-for",
        "nbclient/connection/requests.py",
        "not (outstanding or outstanding.retired)",
        "not outstanding",
        (
            f"{REQUESTS}TimeoutTests::"
            "test_by_key_a_late_answer_frees_its_key_with_nothing_else_on_its_way",
        ),
    ),
    Mutation(
        "late-answers-among-others",
        "nbclient/delivery/outstanding.py",
        "                if key in self.retired:\n",
        "                if False:\n",
        (
            "tests/delivery/test_outstanding.py::test_a_late_answer_is_found_wherever_it_stands_among_others",
        ),
    ),
    Mutation(
        "what-answers-nothing-may-be-dropped",
        "nbclient/connection/requests.py",
        "        if not self._unasked:\n",
        "        raise NotImplementedError\n        if not self._unasked:\n",
        (
            f"{REQUESTS}TimeoutTests::"
            "test_the_class_of_the_page_outlives_a_late_answer_and_any_that_nobody_asked",
        ),
    ),
    Mutation(
        "not-owed-for-ever",
        "nbclient/delivery/outstanding.py",
        "        while self.retired and next(iter(self.retired.values())) <= now:\n",
        "        while False:\n",
        (
            "tests/delivery/test_outstanding.py::test_an_answer_that_never_comes_is_not_owed_for_ever",
        ),
    ),
    Mutation(
        "a-loop-owns-the-frames",
        "nbclient/connection/receiver.py",
        "        self._awaiting += 1\n        return Frames(self, self.pauseReading())\n",
        "        return Frames(self, PauseToken(self))\n",
        (
            f"{PULLING}OwningTests::test_between_two_frames_the_others_wait_and_are_nobody_elses",
            f"{PULLING}OwningTests::test_meanwhile_nothing_is_read",
            f"{PULLING}EndingTests::test_a_link_connects_anew_when_the_last_frame_was_taken",
        ),
    ),
    Mutation(
        "one-loop-at-a-time",
        "nbclient/connection/receiver.py",
        "        if self._pulled:\n            return fail(",
        "        if False:\n            return fail(",
        (f"{PULLING}OwningTests::test_nobody_else_may_ask",),
    ),
    Mutation(
        "a-loop-that-is-left-gives-back",
        "nbclient/connection/pulling.py",
        "    def __del__(self) -> None:\n        self.close()\n",
        "    def __del__(self) -> None:\n        pass\n",
        (
            f"{PULLING}GivingBackTests::test_a_loop_that_is_left_gives_them_back",
            f"{PULLING}GivingBackTests::"
            "test_so_does_one_that_is_forgotten_and_the_connection_is_free",
        ),
    ),
    Mutation(
        "nothing-is-sent-on-a-lost-connection",
        "nbclient/connection/protocol.py",
        '            raise ConnectionClosed("the connection is lost: nothing more can be sent")\n',
        "            return\n",
        (
            "tests/connection/test_protocol.py::SendingTests::"
            "test_what_cannot_be_sent_any_more_is_said_and_costs_no_frame_behind_it",
        ),
    ),
    Mutation(
        "nothing-is-sent-after-the-goodbye-of-tls",
        "nbclient/connection/protocol.py",
        "        if self.losing or self._tlsGone:\n",
        "        if self.losing:\n",
        (
            "tests/connection/test_protocol.py::SendingTests::"
            "test_nor_after_the_goodbye_of_tls_which_takes_nothing_more",
        ),
    ),
    Mutation(
        "a-callback-that-the-end-ended-is-not-at-fault",
        "nbclient/connection/receiver.py",
        "        while self._endedIt(reason):\n",
        "        while False:\n",
        (
            "tests/connection/test_protocol.py::SendingTests::"
            "test_what_cannot_be_sent_any_more_is_said_and_costs_no_frame_behind_it",
            "tests/connection/test_protocol.py::SendingTests::"
            "test_nor_does_it_where_one_frame_is_handed_over_at_a_time",
        ),
    ),
    Mutation(
        "timeout-in-turn-drops",
        "nbclient/connection/requests.py",
        "            self._timedOut(late)  # the link first",
        "            pass  #",
        (
            f"{REQUESTS}TimeoutTests::test_in_turn_a_timeout_drops_the_connection",
            f"{REQUESTS}LinkTests::test_a_timeout_in_turn_takes_a_new_connection_and_says_why",
        ),
    ),
    Mutation(
        "cancelled-answer-is-eaten",
        "nbclient/connection/requests.py",
        '        """Cancelled: a request that has left stays, for its answer will come."""\n',
        "        self._outstanding.matched(b'')  # type: ignore[union-attr]\n",
        (
            f"{REQUESTS}CancellingTests::"
            "test_the_answer_to_one_that_has_left_is_taken_and_thrown_away",
        ),
    ),
    Mutation(
        "end-does-not-wait-for-who-waits",
        "nbclient/connection/protocol.py",
        "            self._noMoreComes()\n",
        "            pass\n",
        (
            f"{PROTOCOL}WaitingForFramesTests::"
            "test_a_callback_that_waits_for_a_frame_when_the_peer_ends_waits_in_vain",
            f"{REQUESTS}EndingTests::"
            "test_a_callback_that_waits_for_an_answer_does_not_hold_up_the_end",
            f"{REQUESTS}LinkTests::"
            "test_a_callback_that_waits_does_not_keep_a_lost_link_from_its_next_connection",
        ),
    ),
    # Sending at once.
    Mutation(
        "nothing-overtakes",
        "nbclient/connection/protocol.py",
        "transport._tempDataBuffer or transport.dataBuffer or transport.TLS",
        "transport.TLS",
        (f"{PROTOCOL}SendingAtOnceTests::test_nothing_overtakes_what_waits_already",),
    ),
    Mutation(
        "not-past-tls",
        "nbclient/connection/protocol.py",
        " or transport.dataBuffer or transport.TLS:\n",
        " or transport.dataBuffer:\n",
        (
            f"{PROTOCOL}SendingAtOnceTests::"
            "test_not_under_tls_not_through_a_wrapper_and_not_on_one_of_another_kind",
        ),
    ),
    # Back-pressure.
    Mutation(
        "pause-keeps-the-rest",
        "nbclient/connection/receiver.py",
        "self._rest, self._restNext = frames, len(frames) - left\n",
        "self._rest, self._restNext = frames, len(frames) - left + 1\n",
        (
            f"{PROTOCOL}PausingTests::test_pause_and_resume_at_every_frame_neither_loses_nor_repeats",
            f"{PROTOCOL}PausingTests::test_pause_inside_a_callback_stops_right_there",
        ),
    ),
    Mutation(
        "pause-repeats-nothing",
        "nbclient/connection/receiver.py",
        "self._rest, self._restNext = frames, len(frames) - left\n",
        "self._rest, self._restNext = frames, len(frames) - left - 1\n",
        (
            f"{PROTOCOL}PausingTests::test_a_deferred_holds_back_the_next_frame",
            f"{PROTOCOL}PausingTests::test_pause_inside_a_callback_stops_right_there",
        ),
    ),
    Mutation(
        "pause-ends-the-loop",
        "nbclient/connection/receiver.py",
        "        iterator.__setstate__(len(frames))\n",
        "",
        (f"{PROTOCOL}PausingTests::test_pause_inside_a_callback_stops_right_there",),
    ),
    Mutation(
        "halt-in-constant-time",
        "nbclient/connection/receiver.py",
        "self._rest, self._restNext = frames, len(frames) - left\n",
        "self._rest, self._restNext = frames[len(frames) - left :], 0\n",
        (f"{PROTOCOL}PausingTests::test_many_pauses_in_one_chunk_cost_no_more_than_the_frames",),
    ),
    Mutation(
        "token-resumes-once",
        "nbclient/connection/receiver.py",
        "        owner, self._owner = self._owner, None\n",
        "        owner = self._owner\n",
        ("tests/test_regressions.py::TokenTests::test_a_token_given_back_twice_counts_once",),
    ),
    Mutation(
        "repeated-pause-producing",
        "nbclient/connection/protocol.py",
        '"""The transport is full. Twisted says so again at every further write."""\n'
        "        self._full = True\n",
        '"""The transport is full."""\n        self._full = not self._full\n',
        (f"{PROTOCOL}SendingTests::test_a_full_transport_is_not_writable_until_it_is_empty",),
    ),
    Mutation(
        "answers-are-bounded",
        "nbclient/connection/protocol.py",
        "        if self._answered > ANSWER_LIMIT and self._fullToken is None:\n",
        "        if False:\n",
        (f"{PROTOCOL}SendingTests::test_answers_to_a_peer_that_does_not_read_stop_the_questions",),
    ),
    Mutation(
        "polls-do-not-pile-up",
        "nbclient/link/automation.py",
        "        if self._connection.full:  # of",
        "        if False:  # of",
        (
            "tests/link/test_automation.py::PollTests::"
            "test_polls_do_not_pile_up_at_a_peer_that_answers_and_does_not_read",
        ),
    ),
    Mutation(
        "requests-do-not-pile-up",
        "nbclient/connection/requests.py",
        "            if self._queue or outstanding.room <= 0 or self._full:\n",
        "            if self._queue or outstanding.room <= 0:\n",
        (
            f"{REQUESTS}TimeoutTests::"
            "test_at_a_peer_that_does_not_read_timeouts_make_no_room_for_more",
        ),
    ),
    Mutation(
        "one-token-for-a-full-transport",
        "nbclient/connection/protocol.py",
        "        if self._answered > ANSWER_LIMIT and self._fullToken is None:\n",
        "        if self._answered > ANSWER_LIMIT:\n",
        (
            "tests/test_regressions.py::FullTransportTests::"
            "test_many_answers_in_one_callback_are_one_reason_to_pause",
        ),
    ),
    Mutation(
        "silence-stands-still",
        "nbclient/link/factory.py",
        "                (watch.hold if held else watch.release)(self._now())\n",
        "                pass\n",
        (f"{FACTORY}WatchTests::test_silence_stands_still_while_we_do_not_read",),
    ),
    # A standstill of this process is not the peer's.
    Mutation(
        "late-timers-wait-for-a-read",
        "nbclient/connection/timers.py",
        "            if not late and now - timer[0] > LATE:\n",
        "            if False:\n",
        (
            "tests/connection/test_timers.py::LateTests::test_it_is_called_a_turn_later",
            "tests/connection/test_timers.py::LateTests::test_not_where_what_was_read_has_cancelled_it",
            "tests/link/test_automation.py::PollTests::"
            "test_after_a_standstill_an_answer_that_had_arrived_counts",
        ),
    ),
    Mutation(
        "late-timers-say-how-late",
        "nbclient/connection/timers.py",
        "            self.late = sum(late)\n",
        "            pass\n",
        ("tests/connection/test_timers.py::LateTests::test_it_can_say_how_late_it_was",),
    ),
    Mutation(
        "read-before-a-deadline-is-judged",
        "nbclient/connection/protocol.py",
        "            self._drain(self._raw, CATCH_UP_LIMIT)\n",
        "            pass\n",
        (
            f"{FACTORY}StandstillTests::test_a_frame_whose_end_is_many_reads_away_was_finished",
            "tests/wire/test_standstill.py::"
            "test_what_reached_this_host_meanwhile_comes_out_and_the_link_stays[frame]",
            f"{FACTORY}StandstillTests::test_an_answer_behind_much_else_is_in_time",
            f"{FACTORY}StandstillTests::test_an_opening_goes_on_with_what_had_arrived",
            f"{REQUESTS}TimeoutTests::"
            "test_after_a_standstill_an_answer_that_had_arrived_is_in_time",
        ),
    ),
    Mutation(
        "said-behind-a-standstill",
        "nbclient/kernel/tcpinfo.py",
        "        return read(sock).last_data_sent <= seconds * 1000\n",
        "        return False\n",
        (
            "tests/wire/test_standstill.py::BlockingTests::"
            "test_a_request_before_a_callback_that_blocks_is_answered_behind_it",
        ),
    ),
    Mutation(
        "a-standstill-is-no-silence",
        "nbclient/link/factory.py",
        "        return self._timers.grace(limit) if opening or watch else 0.0\n",
        "        return 0.0\n",
        (
            "tests/link/test_factory.py::StandstillTests::"
            "test_a_peer_that_is_asked_has_the_time_to_answer",
        ),
    ),
    Mutation(
        "short-standstills-hide-silence",
        "nbclient/connection/timers.py",
        "        return min(limit, GRACE * self._stood) - since\n",
        "        return limit - since\n",
        (
            "tests/link/test_factory.py::StandstillTests::"
            "test_a_short_standstill_gives_a_short_time_only",
        ),
    ),
    Mutation(
        "a-standstill-is-no-part-of-an-opening",
        "nbclient/link/factory.py",
        "        if late and (opening or self.connection.spokeWithin(late)):\n",
        "        if late and self.connection.spokeWithin(late):\n",
        ("tests/link/test_factory.py::StandstillTests::test_it_is_not_charged_to_an_opening",),
    ),
    Mutation(
        "an-abort-by-a-deadline-drains",
        "nbclient/link/factory.py",
        "what reached this host comes first.\n        self.connection.abandonTransport()\n",
        "what reached this host comes first.\n        self.connection.abortConnection()\n",
        (f"{FACTORY}StandstillTests::test_a_dead_path_does_so_too",),
    ),
    Mutation(
        "looks-at-the-path-far-apart",
        "nbclient/kernel/dead_path.py",
        "        if self._path is None or now - self._looked > self.limit * UNSEEN:\n",
        "        if self._path is None:\n",
        ("tests/kernel/test_dead_path.py::test_looks_that_are_far_apart_count_from_anew",),
    ),
    Mutation(
        "watch-held",
        "nbclient/core/liveness.py",
        "        reference = now if self._held is None else self._held\n",
        "        reference = now\n",
        (
            f"{FACTORY}WatchTests::test_silence_stands_still_while_we_do_not_read",
            "tests/core/test_liveness.py::"
            "test_while_held_it_stands_still_because_silence_then_says_nothing_about_the_peer",
        ),
    ),
    Mutation(
        "tls-closes-though-we-produce",
        "nbclient/connection/protocol.py",
        "                self._raw.loseConnection = self._tlsOver\n",
        "                pass\n",
        ("tests/wire/test_tls_goodbye.py::GoodbyeTests::test_a_full_transport_ends_when_tls_does",),
    ),
    # Sending: all or nothing, in order.
    Mutation(
        "accept-all-or-nothing",
        "nbclient/link/admission.py",
        "        return size - room > self.limit - self.size\n",
        "        return bool(self._senders) and size - room > self.limit - self.size\n",
        (f"{PUMP}AcceptingTests::test_more_than_may_wait_is_refused_whole",),
    ),
    Mutation(
        "waiting-is-bounded",
        "nbclient/link/admission.py",
        "        return size - room > self.limit - self.size\n",
        "        return False\n",
        (
            f"{PUMP}AcceptingTests::test_more_than_may_wait_is_refused_whole",
            f"{PUMP}AcceptingTests::"
            "test_as_much_again_as_the_outbox_holds_may_wait_and_not_a_frame_more",
            f"{FACTORY}SendingTests::test_too_much_is_refused_not_dropped",
        ),
    ),
    Mutation(
        "nobody-overtakes",
        "nbclient/link/admission.py",
        "        if frames and (self._senders or ",
        "        if frames and (",
        (f"{PUMP}AcceptingTests::test_nobody_overtakes_a_batch_that_waits",),
    ),
    Mutation(
        "unsendable-refused-whole",
        "nbclient/link/factory.py",
        "        framing.check(frames)\n",
        "        framing.check(frames[:1])\n",
        (f"{FACTORY}SendingTests::test_an_unsendable_frame_is_refused_with_all_its_batch",),
    ),
    Mutation(
        "rewind-keeps-the-order",
        "nbclient/delivery/outbox.py",
        "extendleft(reversed(self._flight))",
        "extendleft(self._flight)",
        (
            f"{PUMP}SendingTests::"
            "test_what_was_in_flight_at_a_loss_is_sent_again_first_and_in_order",
        ),
    ),
    # Hostile input.
    Mutation(
        "poison",
        "nbclient/framing/delimited.py",
        "        if self.fault is not None:\n            return []\n",
        "",
        (f"{FRAMING}test_a_fault_poisons_the_stream_behind_the_good_frames",),
    ),
    Mutation(
        "fault-ends-the-connection",
        "nbclient/connection/receiver.py",
        "                self._failed(Failure(self._decoder.fault))\n",
        "                return\n",
        (
            f"{PROTOCOL}FaultTests::"
            "test_an_over_long_frame_ends_the_connection_after_the_frames_before_it",
            f"{FACTORY}ReadyTests::test_a_fault_of_the_peer_drops_and_backs_off",
        ),
    ),
    Mutation(
        "limit-and-size",
        "nbclient/framing/delimited.py",
        "        self.fault = FrameTooLong(self._limit, len(frames[at]))\n",
        "        self.fault = FrameTooLong(len(frames[at]), self._limit)\n",
        (
            f"{PROTOCOL}FaultTests::"
            "test_an_over_long_frame_ends_the_connection_after_the_frames_before_it",
        ),
    ),
    Mutation(
        "held-not-decoded",
        "nbclient/framing/marked.py",
        "        return length > self._most or wire > self._most * self._doubled\n",
        "        return length > self._most\n",
        (
            f"{FRAMING}test_whatever_byte_comes_without_end_no_more_is_held_than_said[slip]",
            f"{FRAMING}test_whatever_pair_of_its_bytes_comes_without_end_no_more_is_held_than_said"
            "[slip]",
            "tests/framing/test_slip.py::"
            "test_escapes_that_escape_nothing_are_over_the_limit_too[close]",
        ),
    ),
    Mutation(
        "torn-frame-begins-anew",
        "nbclient/framing/between.py",
        "            restarts=framing.restarts,\n",
        "            restarts=False,\n",
        (
            "tests/framing/test_between.py::test_a_frame_begins_anew_at_a_start_inside_it",
            f"{FRAMING}test_what_was_sent_comes_back_whole[between-torn]",
        ),
    ),
    Mutation(
        "good-frame-in-a-bad-one",
        "nbclient/framing/marked.py",
        "        for place in self._others(data, begin, stop):\n",
        "        for place in ():\n",
        (
            "tests/framing/test_between.py::test_p1_telegrams_behind_a_torn_one",
            "tests/framing/test_nmea.py::"
            "test_of_two_sentences_in_one_line_the_last_good_one_is_taken",
        ),
    ),
    Mutation(
        "good-frame-in-a-long-one",
        "nbclient/framing/nmea.py",
        "skip=skip, anew=True)\n",
        "skip=skip)\n",
        (
            "tests/framing/test_nmea.py::test_a_good_sentence_inside_noise_over_the_limit_is_found",
            f"{FRAMING}test_what_was_sent_comes_back_whole[nmea-long-noise]",
        ),
    ),
    Mutation(
        "torn-where-its-trailer-was",
        "nbclient/framing/marked.py",
        "        return max(begin + 1, stop - self._mark + 1)\n\n    def _odd",
        "        return at\n\n    def _odd",
        (
            "tests/framing/test_between.py::"
            "test_a_good_frame_is_found_wherever_the_one_before_it_was_torn[<torn>]",
            f"{FRAMING}test_what_was_sent_comes_back_whole[between-torn-late]",
        ),
    ),
    Mutation(
        "one-byte-behind-a-false-mark",
        "nbclient/framing/headed.py",
        "begin + 1 if self._credit > 0 else stop)\n",
        "stop)\n",
        (
            "tests/framing/test_headed.py::test_a_good_frame_inside_a_false_one_is_found",
            f"{FRAMING}test_what_was_sent_comes_back_whole[rtcm-torn]",
        ),
    ),
    Mutation(
        "false-frames-are-paid-for",
        "nbclient/framing/headed.py",
        "begin + 1 if self._credit > 0 else stop)\n",
        "begin + 1)\n",
        (
            "tests/framing/test_headed.py::"
            "test_where_false_frames_are_many_their_length_is_taken_at_its_word",
        ),
    ),
    Mutation(
        "false-frames-are-paid-for-over-the-long-run",
        "nbclient/framing/headed.py",
        "max(2 * largest, min(BANK * largest, MOST_BANKED))",
        "2 * largest",
        ("tests/framing/test_headed.py::test_in_ordinary_mixed_traffic_no_good_frame_is_lost",),
    ),
    Mutation(
        "what-is-held-back-comes-at-the-end",
        "nbclient/connection/receiver.py",
        "self._decoder.last() if over else NOTHING",
        "NOTHING",
        (f"{PROTOCOL}EndingTests::test_frames_held_back_inside_a_false_one_come_before_the_end",),
    ),
    Mutation(
        "second-dle-begins-nothing",
        "nbclient/framing/dle.py",
        "            at = begin + 2\n",
        "            at = begin + 1\n",
        (
            "tests/framing/test_dle.py::test_the_rest_of_a_frame_over_the_limit_holds_no_beginning",
            f"{FRAMING}test_what_was_sent_comes_back_whole[dle-long]",
        ),
    ),
    Mutation(
        "dle-stx-begins-anew",
        "nbclient/framing/dle.py",
        "            if sign != END:\n                return self._torn(data, stop)\n",
        "",
        ("tests/framing/test_dle.py::test_a_dle_before_another_byte_shows_that_a_frame_was_torn",),
    ),
    Mutation(
        "octet-counted-tolerant",
        "nbclient/framing/tolerant.py",
        "        if not carry and data.startswith(LF, at):\n            return at + 1\n",
        "",
        (
            "tests/framing/test_tolerant.py::test_counted_or_not_with_a_line_feed_or_not",
            f"{FRAMING}test_what_was_sent_comes_back_whole[octet-counted-lf]",
        ),
    ),
    Mutation(
        "half-a-byte-order-mark",
        "nbclient/framing/jsontext.py",
        "                self._held = mark\n                return len(data)\n",
        "                return begin\n",
        (
            "tests/framing/test_jsontext.py::test_half_a_byte_order_mark_is_held_until_it_is_whole",
            "tests/framing/test_jsontext.py::"
            "test_what_senders_put_between_two_texts_is_passed_over",
        ),
    ),
    Mutation(
        "telnet-answers-once",
        "nbclient/framing/telnet.py",
        "        self._answered.add((asked, option))",
        "        pass",
        ("tests/framing/test_telnet.py::test_each_is_answered_once_whatever_a_peer_does",),
    ),
    Mutation(
        "telnet-subnegotiations-are-limited",
        "nbclient/framing/telnet.py",
        "        if self._sub > self._limit:\n",
        "        if False:\n",
        (
            "tests/framing/test_telnet.py::"
            "test_a_subnegotiation_without_an_end_is_a_line_over_the_limit",
        ),
    ),
    Mutation(
        "framing-answers-are-sent",
        "nbclient/connection/receiver.py",
        "            decoder.answer = self._sendRaw\n",
        "            pass\n",
        (f"{PROTOCOL}SendingTests::test_what_the_framing_itself_answers_is_sent_as_it_is",),
    ),
    Mutation(
        "framing-answers-are-bounded",
        "nbclient/connection/protocol.py",
        "        if self._full:\n            self._boundAnswers(len(data))\n",
        "",
        (
            f"{PROTOCOL}SendingTests::"
            "test_a_framing_that_answers_a_peer_that_does_not_read_takes_no_more",
        ),
    ),
    Mutation(
        "no-text-with-a-frame-missing",
        "nbclient/framing/astm.py",
        "        return number != self._number + 1 & 7\n",
        "        return False\n",
        (
            "tests/framing/test_astm.py::"
            "test_a_text_of_which_something_is_missing_does_not_come_out",
            "tests/framing/test_astm.py::"
            "test_the_first_frame_of_a_transmission_may_be_the_one_that_is_missing",
        ),
    ),
    Mutation(
        "content-length-before-nul",
        "nbclient/framing/headers.py",
        "            if length is not None or not self._nul:\n",
        "            if not self._nul:\n",
        ("tests/framing/test_headers.py::test_bodies_are_whole_and_heart_beats_are_nothing",),
    ),
    Mutation(
        "unfinished-answer-is-shown",
        "nbclient/link/factory.py",
        "ReplyTimeout(timeout, self.connection.tail)",
        "ReplyTimeout(timeout)",
        (f"{FACTORY}ReplyTests::test_one_that_the_framing_sees_no_end_of_is_shown",),
    ),
    Mutation(
        "fs-ends-a-message",
        "nbclient/framing/between.py",
        "    end: bytes = field(default=_FS, init=False)\n",
        '    end: bytes = field(default=_FS + b"\\r", init=False)\n',
        (
            f"{FACTORY}ReplyTests::test_an_answer_of_hl7_counts_however_it_ends",
            "tests/framing/test_between.py::test_whatever_follows_fs_a_message_of_hl7_has_ended",
            "tests/framing/test_between.py::"
            "test_a_message_of_hl7_does_not_wait_for_what_may_follow_fs",
        ),
    ),
    Mutation(
        "text-behind-the-checksum",
        "nbclient/framing/nmea.py",
        '_BEHIND = rb"(,[^\\r\\n]*)?"\n',
        '_BEHIND = rb"(,,)?"\n',
        (
            "tests/framing/test_nmea.py::"
            "test_text_behind_the_checksum_is_kept_and_so_is_the_checksum",
        ),
    ),
    Mutation(
        "cr-cr-lf",
        "nbclient/framing/nmea.py",
        ' + _BEHIND + rb")?\\r*")\n',
        ' + _BEHIND + rb")?\\r?")\n',
        ("tests/framing/test_nmea.py::test_some_modems_end_a_sentence_in_cr_cr_lf",),
    ),
    Mutation(
        "endless-line",
        "nbclient/framing/delimited.py",
        "        if len(self._carry) > self._limit:\n            self._overrun()\n",
        "",
        (
            "tests/framing/test_delimited.py::test_an_endless_line_is_noticed_before_its_end",
            f"{FRAMING}test_a_frame_without_end_costs_no_more_memory_than_the_limit",
        ),
    ),
    Mutation(
        "terminal-escapes",
        "nbclient/core/terminal.py",
        "    return text.translate(_TABLE)\n",
        "    return text\n",
        (
            "tests/core/test_terminal.py::test_every_control_and_format_character_of_unicode_is_escaped",
            "tests/wire/test_commandline.py::"
            "test_a_terminal_gets_no_control_bytes_and_keeps_its_flags",
        ),
    ),
    Mutation(
        "odd-lock-is-looked-at",
        "nbclient/daemon/local/listener.py",
        "                check_lock(where.path)\n",
        "",
        (
            "tests/daemon/local/test_listener.py::LockTests::"
            "test_one_that_leads_to_no_process_is_refused_in_a_line",
            "tests/daemon/local/test_listener.py::LockTests::"
            "test_one_of_a_program_that_had_our_number_is_dropped",
        ),
    ),
    Mutation(
        "refused-in-one-line",
        "nbclient/daemon/cli/parser.py",
        """    text = one_line(message.replace("\\n", "\\\\n")).encode""",
        "    text = message.encode",
        (
            "tests/daemon/links/test_odd_paths.py::test_an_option_takes_it_or_refuses_it_in_one_line",
        ),
    ),
    Mutation(
        "damaged-time-in-a-spool",
        "nbclient/spool/database.py",
        "        if not _are_times(row):\n",
        "        if False:\n",
        ("tests/daemon/test_spooltool.py::test_a_damaged_value_is_one_line",),
    ),
    Mutation(
        "found-however-it-is-cut",
        "nbclient/daemon/links/hearing.py",
        "            self.last = self.rest + frame\n",
        "            self.last = frame\n",
        (
            f"{HEARING}test_without_frames_a_pattern_is_found_however_it_is_cut",
            "tests/wire/test_commandline.py::test_a_prompt_in_pieces_is_answered_and_shown",
        ),
    ),
    Mutation(
        "behind-the-match-is-data",
        "nbclient/daemon/links/builder.py",
        "ahead=heard.rest, skip",
        "skip",
        (f"{HEARING}test_behind_an_opening_of_another_framing_every_frame_is_data",),
    ),
    Mutation(
        "prompt-is-no-data",
        "nbclient/daemon/links/builder.py",
        ", skip=len(heard.passed))",
        ")",
        (f"{HEARING}PromptTests::test_and_so_does_another_framing_behind_it",),
    ),
    Mutation(
        "prompt-once-nothing-more-comes",
        "nbclient/daemon/links/hearing.py",
        "        if came == self._came and came != self._looked_at",
        "        if came != self._looked_at",
        (f"{HEARING}PromptTests::test_a_line_that_goes_on_is_none",),
    ),
    Mutation(
        "prompt-shown-once",
        "nbclient/daemon/outputs/formats.py",
        "        if frame.startswith(begun):\n",
        "        if not begun:\n",
        ("tests/daemon/outputs/test_formats.py::test_a_line_that_is_not_finished_is_shown_once",),
    ),
    Mutation(
        "prompt-on-a-terminal",
        "nbclient/daemon/links/runner.py",
        "            self._prompts.start()\n",
        "            pass\n",
        (
            "tests/daemon/links/test_runner.py::JobTests::test_a_terminal_shows_a_prompt_that_ends_no_line",
        ),
    ),
    Mutation(
        "sent-by-the-other-half",
        "nbclient/framing/pair.py",
        "        return self.send.encode(frames)\n",
        "        return self.receive.encode(frames)\n",
        (
            "tests/framing/test_pair.py::test_it_decodes_by_one_and_encodes_by_the_other",
            "tests/daemon/links/test_plan.py::test_sending_may_differ_from_receiving",
        ),
    ),
    Mutation(
        "outputs-follow-what-is-received",
        "nbclient/daemon/outputs/formats.py",
        "_chosen(spec, incoming(link), name, now, encoding)",
        "_chosen(spec, link, name, now, encoding)",
        ("tests/daemon/links/test_plan.py::test_sending_may_differ_from_receiving",),
    ),
    Mutation(
        "default-output-carries-anything",
        "nbclient/daemon/outputs/formats.py",
        "        return AnyLines(framing.lines(max_frame=link.max_frame))\n",
        "        return framed(framing.lines(max_frame=link.max_frame))\n",
        (
            f"{DEFAULTS}test_it_has_an_image_for_every_frame_that_a_peer_can_send",
            f"{DEFAULTS}test_a_frame_of_lines_is_one_line_whatever_is_in_it",
            f"{DEFAULTS}test_it_is_told_once_and_again_when_it_is_ten_times_as_often",
            "tests/wire/test_commandline.py::test_no_line_of_a_peer_ends_an_output",
        ),
    ),
    Mutation(
        "no-frame-ends-an-output",
        "nbclient/daemon/outputs/base.py",
        "            images = [self._image(frame) for frame in frames]\n",
        "            self._refusing = True\n            images = [self._image(frames[0])]\n",
        (
            f"{DEFAULTS}test_a_framing_that_was_asked_for_leaves_out_what_it_cannot_carry_and_goes_on",
            f"{DEFAULTS}test_a_framing_of_ones_own_that_raises_anything_does_not_end_it",
            "tests/daemon/outputs/test_queued.py::StreamOutputTests::"
            "test_a_frame_that_cannot_be_carried_is_left_out_and_the_output_goes_on",
        ),
    ),
    Mutation(
        "terminal-is-readable",
        "nbclient/daemon/outputs/formats.py",
        "    if encoding is not None:\n",
        "    if False:\n",
        (
            "tests/daemon/outputs/test_formats.py::test_a_terminal_gets_a_readable_line_a_frame",
            "tests/wire/test_commandline.py::"
            "test_a_terminal_gets_no_control_bytes_and_keeps_its_flags",
        ),
    ),
    # TLS proves who is there.
    Mutation(
        "tls-verified",
        "nbclient/endpoints/handshake.py",
        "        connection.set_verify(\n",
        "        (lambda *_: None)(\n",
        (
            f"{HANDSHAKE}test_a_self_signed_certificate_is_refused",
            f"{HANDSHAKE}test_a_wrong_name_is_refused_and_the_right_ones_are_told",
            f"{TLS}test_a_self_signed_certificate_is_refused",
            f"{TLS}test_a_wrong_name_is_refused_unless_it_is_the_one_asked_for",
            f"{WIRE}BadServerTests::test_a_wrong_name_grows_the_delay_and_is_never_ready",
        ),
    ),
    Mutation(
        "tls-authority",
        "nbclient/endpoints/handshake.py",
        "            if not ok:\n",
        "            if False:\n",
        (
            f"{HANDSHAKE}test_a_self_signed_certificate_is_refused",
            f"{HANDSHAKE}test_an_authority_not_in_the_file_is_refused",
            f"{TLS}test_a_self_signed_certificate_is_refused",
            f"{TLS}test_an_expired_certificate_is_refused",
            f"{WIRE}BadServerTests::test_a_self_signed_certificate_grows_the_delay_and_is_never_ready",
        ),
    ),
    Mutation(
        "tls-name",
        "nbclient/endpoints/handshake.py",
        "                _check_name(certificate, self._name)\n",
        "                pass\n",
        (
            f"{HANDSHAKE}test_a_wrong_name_is_refused_and_the_right_ones_are_told",
            f"{TLS}test_a_wrong_name_is_refused_unless_it_is_the_one_asked_for",
            f"{WIRE}BadServerTests::test_a_wrong_name_grows_the_delay_and_is_never_ready",
        ),
    ),
    Mutation(
        "tls-1.2",
        "nbclient/endpoints/handshake.py",
        "raiseMinimumTo=TLSVersion.TLSv1_2, **options",
        "insecurelyLowerMinimumTo=TLSVersion.TLSv1_0, **options",
        (f"{HANDSHAKE}test_older_versions_are_forbidden_whatever_this_openssl_would_do",),
    ),
    Mutation(
        "tls-pins",
        "nbclient/endpoints/handshake.py",
        "        if depth == 0 and self._pins:\n",
        "        if False:\n",
        (
            f"{HANDSHAKE}test_a_pin_that_does_not_match_is_refused_and_the_right_ones_told",
            f"{TLS}test_a_pin_is_checked_beside_the_rest_or_instead_of_it",
        ),
    ),
    Mutation(
        "tls-pin-of-the-server-itself",
        "nbclient/endpoints/handshake.py",
        "        if depth == 0 and self._pins:\n",
        "        if depth == 1 and self._pins:\n",
        (f"{HANDSHAKE}test_a_pinned_certificate_sent_along_by_another_server_is_no_match",),
    ),
    Mutation(
        "tls-strings-verify",
        "nbclient/endpoints/tcp_endpoint.py",
        "    if isinstance(endpoint, SSL4ClientEndpoint):  # written in another way\n",
        "    if False:\n",
        (f"{ENDPOINTS}test_unverified_tls_is_refused_however_it_is_written",),
    ),
    # The spool.
    Mutation(
        "a-number-once-a-minute",
        "nbclient/link/tally.py",
        "        if self._timer is None and clock is not None:\n",
        "        if clock is not None:\n",
        (
            "tests/link/test_tally.py::test_the_first_is_said_at_once_and_what_follows_once_a_minute",
        ),
    ),
    Mutation(
        "lost-frames-are-told",
        "nbclient/link/pump.py",
        "            if now > then:\n                self._lost(how, now - then)\n",
        "            pass\n",
        (
            "tests/link/test_factory.py::LossTellingTests::test_those_dropped_to_make_room",
            "tests/link/test_factory.py::LossTellingTests::test_those_too_old",
        ),
    ),
    Mutation(
        "held-up-input-is-told",
        "nbclient/daemon/links/sending.py",
        "        if size > room:  # else it is the disk that takes its time\n",
        "        if False:\n",
        (
            "tests/daemon/links/test_sending.py::SendingTests::"
            "test_an_input_that_waits_for_room_is_told_of_at_the_first_and_then_by_number",
        ),
    ),
    Mutation(
        "refused-frames-are-counted",
        "nbclient/daemon/links/sending.py",
        "self._tallies.count(REFUSED, len(frames), self._clock, why=str(error))",
        "pass",
        (
            "tests/daemon/links/test_sending.py::SendingTests::test_what_the_link_refuses_does_not_end_the_input_and_is_told_by_number",
        ),
    ),
    Mutation(
        "bad-frames-are-counted",
        "nbclient/daemon/links/builder.py",
        "            link.tellOften(PASSED_OVER, 1, why=str(error))\n",
        "            pass\n",
        (
            "tests/daemon/links/test_runner.py::BadFrameTests::"
            "test_bad_frames_are_counted_in_the_log_once_a_minute",
        ),
    ),
    Mutation(
        "outage-is-warned-of",
        "nbclient/link/factory.py",
        "        outage.timer = self._timers.after(delay, ReconnectingFactory._tellOutage, self)\n",
        "",
        (
            "tests/link/test_factory.py::OutageTests::test_a_peer_that_is_away_for_a_day_costs_few_lines",
            "tests/link/test_factory.py::OutageTests::test_a_link_that_never_was_up_is_told_of_too",
        ),
    ),
    Mutation(
        "each-attempt-a-warning",
        "nbclient/link/factory.py",
        "        return lasts or self._outage is None or self._outage.news(kind)\n",
        "        return True\n",
        (
            "tests/link/test_factory.py::OutageTests::"
            "test_what_each_attempt_causes_is_told_at_the_first",
        ),
    ),
    Mutation(
        "unverified-at-each-attempt",
        "nbclient/endpoints/tls_endpoint.py",
        "self._host, self._settings, material, self._warned)\n",
        "self._host, self._settings, material)\n",
        (
            "tests/endpoints/test_handshake.py::"
            "test_nor_does_an_endpoint_which_has_a_creator_for_each_attempt",
        ),
    ),
    Mutation(
        "an-old-outage-hides-a-fault",
        "nbclient/link/factory.py",
        "        return lasts or self._outage is None or self._outage.news(kind)\n",
        "        return self._outage is None or self._outage.news(kind)\n",
        (
            "tests/link/test_factory.py::OutageTests::"
            "test_a_connection_that_has_lasted_is_no_part_of_an_outage_before",
        ),
    ),
    Mutation(
        "a-moment-ends-no-outage",
        "nbclient/link/factory.py",
        "        if self._outage is not None and ready < self.backoff.stable_after:\n",
        "        if False:\n",
        ("tests/link/test_factory.py::OutageTests::test_up_for_a_moment_is_not_the_end_of_it",),
    ),
    Mutation(
        "one-line-a-kind",
        "nbclient/core/outage.py",
        "        if kind in self._kinds or len(self._kinds) == MOST:\n            return False\n",
        "",
        (
            "tests/link/test_factory.py::OutageTests::test_a_peer_that_is_away_for_a_day_costs_few_lines",
            "tests/link/test_factory.py::OutageTests::test_another_kind_of_reason_is_worth_a_line_once",
        ),
    ),
    Mutation(
        "one-line-a-job",
        "nbclient/daemon/links/runner.py",
        "            self._first = False\n",
        "            pass\n",
        (
            "tests/daemon/links/test_runner.py::AttemptTests::test_only_the_first_attempt_is_worth_a_line",
        ),
    ),
    Mutation(
        "one-line-a-turn",
        "nbclient/endpoints/failover.py",
        '            news = link.isNews(f"the turn of {self.name}")\n',
        "            news = True\n",
        (
            "tests/endpoints/test_failover.py::OrderTests::"
            "test_of_peers_that_are_all_away_each_turn_is_told_once",
        ),
    ),
    Mutation(
        "one-warning-a-link",
        "nbclient/endpoints/handshake.py",
        "            self._warned.add(self._host)  # not at each attempt\n",
        "",
        (
            "tests/endpoints/test_handshake.py::"
            "test_insecure_without_pins_warns_once_for_a_link_not_at_each_attempt",
        ),
    ),
    Mutation(
        "half-closed-gets-the-rest",
        "nbclient/link/factory.py",
        "            connection.sending = self._hasMoreFor(connection)\n",
        "",
        (
            "tests/wire/test_half_close_wire.py::LinkTests::"
            "test_a_link_sends_all_that_waits_before_it_dials_anew",
            "tests/wire/test_half_close_wire.py::test_a_batch_gets_through_whole",
            "tests/wire/test_delivery_wire.py::PlainDeliveryTests::"
            "test_the_peers_end_is_not_the_end_of_its_acknowledgements",
            "tests/link/test_factory.py::HalfClosedTests::test_it_gets_all_that_waits_and_then_we_close",
        ),
    ),
    Mutation(
        "half-closed-while-it-takes",
        "nbclient/link/factory.py",
        "            self._taken, self._takenAt = taken, now\n",
        "            self._taken = taken\n",
        (
            "tests/link/test_factory.py::HalfClosedTests::test_a_slow_one_has_all_the_time_while_it_takes_anything",
        ),
    ),
    Mutation(
        "half-closed-answers-nobody",
        "nbclient/connection/protocol.py",
        "            if self.sending:\n                self._failWaiters()\n",
        "            if self.sending:\n                pass\n",
        ("tests/link/test_factory.py::HalfClosedTests::test_it_is_ready_for_nobody_meanwhile",),
    ),
    Mutation(
        "half-closed-proves-nothing",
        "nbclient/link/factory.py",
        "                pump.acknowledged(self._acks.newly())\n            pump.halfClosed()\n",
        "                pass\n            pump.halfClosed()\n",
        (
            "tests/link/test_factory.py::HalfClosedTests::test_what_it_had_taken_before_its_end_may_have_been_taken_by_nobody",
        ),
    ),
    Mutation(
        "half-closed-until-the-input-ends",
        "nbclient/link/factory.py",
        "        elif owes or idle < self.feeding - INSTANT:\n",
        "        elif owes:\n",
        (
            "tests/daemon/links/test_runner.py::JobTests::"
            "test_once_goes_on_with_a_peer_that_has_closed_its_side_until_the_input_ends",
        ),
    ),
    Mutation(
        "acknowledged-is-not-taken",
        "nbclient/link/pump.py",
        "        if after and replying is None:\n",
        "        if False:\n",
        (
            "tests/link/test_pump.py::SettlingTests::"
            "test_a_connection_that_ends_at_once_has_settled_nothing_and_all_is_sent_again",
            "tests/daemon/links/test_runner.py::JobTests::"
            "test_drain_is_not_done_when_the_peer_takes_it_and_closes",
            "tests/wire/test_delivery_wire.py::PlainDeliveryTests::"
            "test_a_peer_that_takes_it_and_closes_at_once_has_proven_nothing",
        ),
    ),
    Mutation(
        "refusal-is-no-answer",
        "nbclient/link/holding.py",
        "looks_like_refusal(match.string)",
        "False",
        (
            "tests/link/test_pump.py::SettlingTests::"
            "test_a_refusal_is_no_answer_whatever_the_server_calls_it",
        ),
    ),
    Mutation(
        "a-refusal-may-have-more-lines",
        "nbclient/link/holding.py",
        "        frames = connection.framesIn if self._heard and not self._doubted else 0\n",
        "        frames = connection.framesIn if self._heard else 0\n",
        (
            "tests/link/test_pump.py::SettlingTests::"
            "test_a_refusal_is_no_answer_whatever_the_server_calls_it",
        ),
    ),
    Mutation(
        "an-answer-settles-one",
        "nbclient/delivery/unsettled.py",
        "            taken = min(written, frames - used, self.acknowledged - count)\n",
        "            taken = min(written, self.acknowledged - count)\n",
        ("tests/delivery/test_unsettled.py::test_each_frame_of_the_peer_settles_one",),
    ),
    Mutation(
        "behind-the-end-time-has-to-pass",
        "nbclient/link/holding.py",
        "            self._frames.restart(self._time())\n",
        "            pass\n",
        (
            "tests/link/test_pump.py::SettlingTests::"
            "test_what_it_takes_behind_its_end_waits_for_its_time_all_the_same",
        ),
    ),
    Mutation(
        "a-refusal-before-the-end",
        "nbclient/link/holding.py",
        "        if self._doubted:\n            self.refused()\n",
        "",
        (
            "tests/link/test_pump.py::SettlingTests::"
            "test_a_peer_that_closes_its_side_behind_a_refusal_throws_away_what_it_reads",
        ),
    ),
    Mutation(
        "since-the-last-look-nothing-is-known",
        "nbclient/link/holding.py",
        "            self._over = self._counted\n",
        "            self._over = self._time()\n",
        (
            "tests/link/test_pump.py::SettlingTests::"
            "test_nor_is_a_short_one_or_what_passed_since_the_last_look",
        ),
    ),
    Mutation(
        "no-reset-for-being-slow",
        "nbclient/link/factory.py",
        " and not self._pathIsJudged:\n",
        ":\n",
        (
            "tests/link/test_factory.py::HalfClosedTests::"
            "test_one_whose_kernel_answers_is_not_reset_for_being_slow",
        ),
    ),
    Mutation(
        "our-own-reset-settles-nothing",
        "nbclient/link/factory.py",
        "pump.rewind(ours and not reset, ",
        "pump.rewind(ours, ",
        (
            "tests/link/test_factory.py::HalfClosedTests::"
            "test_our_own_reset_settles_nothing_that_may_be_unread",
        ),
    ),
    Mutation(
        "settling-is-frozen-at-the-end",
        "nbclient/link/pump.py",
        "            self._holding.over()\n",
        "            pass\n",
        (
            "tests/link/test_pump.py::SettlingTests::"
            "test_a_connection_that_ends_at_once_has_settled_nothing_and_all_is_sent_again",
            "tests/link/test_pump.py::SettlingTests::"
            "test_what_was_acknowledged_after_the_end_is_not_settled_by_time",
        ),
    ),
    Mutation(
        "standing-still-is-no-life",
        "nbclient/link/holding.py",
        "            self._stood += gap - LOOK\n",
        "            pass\n",
        (
            "tests/link/test_pump.py::SettlingTests::test_a_standstill_of_this_process_is_no_sign_of_life",
        ),
    ),
    Mutation(
        "no-frame-for-who-waits-once-closed",
        "nbclient/connection/receiver.py",
        "            if self._deaf or self._taken(frame):",
        "            if self._taken(frame):",
        (
            "tests/link/test_factory.py::SettlingTests::"
            "test_an_opening_that_waits_for_a_frame_does_not_get_it",
        ),
    ),
    Mutation(
        "reject-line-is-no-data",
        "nbclient/link/factory.py",
        "        self.connection.discard()  # not even this frame reaches the application\n",
        "",
        (
            "tests/link/test_factory.py::SettlingTests::"
            "test_also_when_the_connection_was_lost_behind_it_meanwhile",
        ),
    ),
    Mutation(
        "settle",
        "nbclient/kernel/tcpinfo.py",
        "        settled = self._probe.settled()\n",
        "        settled = True\n",
        (
            "tests/kernel/test_tcpinfo.py::test_it_looks_again_after_a_while_and_less_and_less_often",
            "tests/wire/test_tcpinfo_wire.py::"
            "test_after_the_peers_fin_what_the_kernel_holds_still_arrives",
        ),
    ),
    Mutation(
        "a-passing-fault-is-not-kept",
        "nbclient/kernel/tcpinfo.py",
        "        if isinstance(error, OSError) and error.errno in _NOT_NOW:\n",
        "        if False:\n",
        ("tests/kernel/test_tcpinfo.py::test_what_passes_is_not_kept",),
    ),
    Mutation(
        "no-less-for-a-passing-fault",
        "nbclient/link/factory.py",
        '        if self.delivery == "tcp" or isinstance(error, DeliveryNotNow):\n',
        '        if self.delivery == "tcp":\n',
        (
            f"{FACTORY}DeliveryTests::"
            "test_what_is_only_short_now_is_waited_for_and_nothing_less_is_taken",
        ),
    ),
    Mutation(
        "the-path-is-watched-for-all-that",
        "nbclient/kernel/dead_path.py",
        "        if support or support.passing:",
        "        if support:",
        (
            "tests/kernel/test_dead_path.py::test_what_was_only_short_then_does_not_leave_it_to_keepalive",
        ),
    ),
    Mutation(
        "late-on-the-old-connection",
        "nbclient/kernel/tcpinfo.py",
        "                self._probe.discard()\n",
        "                pass\n",
        (
            "tests/kernel/test_tcpinfo.py::test_what_is_sent_again_is_discarded_only_where_it_did_not_arrive",
            "tests/wire/test_tcpinfo_wire.py::"
            "test_what_will_be_sent_again_does_not_arrive_late_all_the_same",
        ),
    ),
    Mutation(
        "spool-synchronous-full",
        "nbclient/spool/file.py",
        '    db.execute("PRAGMA synchronous = FULL")\n    db.execute("PRAGMA wal_autocheckpoint',
        '    db.execute("PRAGMA synchronous = NORMAL")\n    db.execute("PRAGMA wal_autocheckpoint',
        (
            "tests/spool/test_file.py::test_every_commit_is_synced_in_wal_mode",
            "tests/wire/test_spool_power_cut.py::test_what_was_called_stored_outlives_a_power_cut",
        ),
    ),
    Mutation(
        "spool-cursor-waits-for-its-frames",
        "nbclient/spool/spool.py",
        "                self._failed_terms[request.cursor[0]] = request.term + 1\n",
        "                pass\n",
        (
            "tests/spool/test_spool.py::"
            "test_what_was_read_behind_a_failed_batch_fails_too_until_its_reader_knows",
        ),
    ),
    Mutation(
        "spool-forgets-bit-by-bit",
        "nbclient/spool/spool.py",
        "                self._forget(*request.forgets)\n",
        "                pass\n",
        (
            "tests/spool/test_spool.py::"
            "test_what_does_not_fit_on_a_full_disk_at_once_is_forgotten_bit_by_bit",
            "tests/wire/test_spool_crash.py::"
            "test_on_a_full_disk_all_that_waits_can_be_delivered_at_once",
        ),
    ),
    Mutation(
        "spool-reserve",
        "nbclient/spool/database.py",
        "            self._reserve.release()\n",
        "",
        (
            "tests/spool/test_file.py::test_the_reserve_is_given_up_when_something_failed",
            "tests/wire/test_spool_crash.py::"
            "test_on_a_full_disk_nothing_lies_and_delivering_makes_room_again",
        ),
    ),
    # What is on its way out.
    Mutation(
        "resend",
        "nbclient/delivery/outbox.py",
        "        self._waiting.extendleft(reversed(self._flight))\n",
        "        self.counters.acknowledged += count\n        self._spans.clear()\n",
        (
            "tests/delivery/test_outbox.py::"
            "test_what_was_in_flight_is_sent_again_whole_and_before_what_is_newer",
            f"{PUMP}SendingTests::"
            "test_what_was_in_flight_at_a_loss_is_sent_again_first_and_in_order",
            f"{FACTORY}ReplyTests::test_what_was_not_answered_is_sent_again_first",
            "tests/wire/test_delivery_wire.py::ReplyDeliveryTests::"
            "test_servers_that_die_lose_nothing",
            f"{SIMULATION}test_nothing_is_lost_or_doubled_that_the_level_does_not_allow",
        ),
    ),
    Mutation(
        "accepted-means-stored",
        "nbclient/link/admission.py",
        "            self._spooling.append(sender.frames, sender.cursor, told)\n",
        "            self._spooling.append(sender.frames, sender.cursor, lambda error: None)\n"
        "            told(None)\n",
        (
            "tests/link/test_admission.py::SpoolWaitingTests::test_accepted_means_stored",
            "tests/link/test_admission.py::SpoolWaitingTests::"
            "test_what_the_disk_does_not_take_is_refused_exactly",
            f"{FACTORY}SpoolTests::test_accepted_means_stored_and_the_cursor_with_it",
            "tests/wire/test_link_crash.py::"
            "test_every_frame_accepted_before_a_kill_arrives_in_order",
            f"{SIMULATION}test_nothing_is_lost_or_doubled_that_the_level_does_not_allow",
        ),
    ),
    Mutation(
        "cursor-not-past-who-failed",
        "nbclient/link/admission.py",
        "            behind = [] if error is None else self._behind(sender.cursor)\n",
        "            behind: list[Sender] = []\n",
        (
            "tests/link/test_admission.py::SpoolWaitingTests::"
            "test_who_waits_behind_a_failed_batch_of_the_same_cursor_fails_with_it",
        ),
    ),
    Mutation(
        "cursor-not-past-who-was-not-told",
        "nbclient/spool/spool.py",
        "calls.callback(self._next_term, request.cursor[0], request.term",
        "(lambda f, *a: f(*a))(self._next_term, request.cursor[0], request.term",
        (
            "tests/link/test_spooling.py::RealSpoolTests::"
            "test_nothing_is_read_past_what_failed_until_its_own_reader_was_told",
        ),
    ),
    Mutation(
        "delivered-means-forgotten",
        "nbclient/link/spooling.py",
        "        self.spool.acknowledge(self._upto, self._removed)\n",
        "        self._noting = False\n",
        (
            "tests/link/test_spooling.py::SpoolingTests::"
            "test_what_is_delivered_is_forgotten_and_in_one_go",
            f"{PUMP}SpoolTests::test_stored_is_sent_and_delivered_is_forgotten",
        ),
    ),
    Mutation(
        "behind-memory-in-order",
        "nbclient/link/spooling.py",
        "        if fits and not (self.behind or self._loading):\n",
        "        if fits and not self._loading:\n",
        (
            "tests/link/test_spooling.py::SpoolingTests::"
            "test_what_memory_has_no_room_for_stays_behind_and_so_does_all_after_it",
        ),
    ),
    Mutation(
        "nothing-asked-of-a-closed-spool",
        "nbclient/link/spooling.py",
        "        self.ended = True\n",
        "",
        (
            "tests/link/test_spooling.py::SpoolingTests::"
            "test_after_the_end_nothing_is_asked_of_a_spool_that_may_be_closed",
            f"{PUMP}SpoolTests::test_once_it_has_ended_the_spool_may_be_closed",
        ),
    ),
    Mutation(
        "answers-before-the-end",
        "nbclient/link/factory.py",
        "            if self._replying is None:\n                self._rewind()\n",
        "            self._replying = None\n            self._rewind()\n",
        (f"{FACTORY}ReplyTests::test_so_does_one_that_the_application_was_not_reading_yet",),
    ),
    Mutation(
        "answers-come-after-their-frames",
        "nbclient/link/reply_tracker.py",
        "self._outstanding.matched(frame, upto)",
        "self._outstanding.matched(frame)",
        (
            "tests/link/test_reply_tracker.py::ReplyingTests::"
            "test_what_ends_in_bytes_that_came_before_is_no_answer",
            f"{FACTORY}ReplyTests::"
            "test_what_had_arrived_before_a_frame_was_sent_is_no_answer_to_it",
        ),
    ),
    Mutation(
        "stop-waits-for-answers",
        "nbclient/link/factory.py",
        "            if self._machine.stopping and self._answersOwed:\n",
        "            if False:\n",
        (
            f"{FACTORY}ReplyTests::test_a_stop_waits_for_those_on_their_way_and_sends_no_more",
            f"{FACTORY}ReplyTests::"
            "test_one_rejected_stops_the_link_and_the_others_have_their_answers_yet",
        ),
    ),
    Mutation(
        "drained-behind-the-read",
        "nbclient/link/pump.py",
        "            if self._afterRead(self.run):  # who is told may stop\n",
        "            if False:\n",
        (
            f"{FACTORY}ReplyTests::test_the_end_after_the_last_answer_comes_behind_the_whole_read",
            f"{FACTORY}ReplyTests::test_and_where_the_read_takes_more_than_one_turn",
            "tests/wire/test_delivery_wire.py::ReplyDeliveryTests::"
            "test_the_end_after_the_last_answer_comes_behind_the_whole_read",
        ),
    ),
    Mutation(
        "drained-within-a-read-waits",
        "nbclient/link/pump.py",
        "        if self.idle and not self._afterRead(self.run):\n",
        "        if self.idle:\n",
        (f"{FACTORY}ReplyTests::test_so_it_does_where_it_is_asked_for_within_that_read",),
    ),
    Mutation(
        "a-turn-is-within-the-read",
        "nbclient/connection/protocol.py",
        "        if self._afterwards is not None and not self._yielded:\n",
        "        if self._afterwards is not None:\n",
        (f"{FACTORY}ReplyTests::test_and_where_the_read_takes_more_than_one_turn",),
    ),
    Mutation(
        "rejected-behind-the-read",
        "nbclient/link/factory.py",
        "        if self._afterRead(end):\n",
        "        if False:\n",
        (f"{FACTORY}ReplyTests::test_the_answer_that_rejects_a_frame_reaches_the_application",),
    ),
    Mutation(
        "drain-ends-behind-slow-outputs",
        "nbclient/daemon/links/runner.py",
        "afterRead(self._drained, whole=True)",
        "afterRead(self._drained)",
        (
            "tests/daemon/links/test_runner.py::JobTests::"
            "test_what_a_slow_output_holds_up_is_no_less_out",
        ),
    ),
    Mutation(
        "stop-waits-no-longer-than-it-may",
        "nbclient/link/factory.py",
        "                limit = self.closeTimeout / 2  # the rest is for the close\n",
        "                limit = 10**6\n",
        (f"{FACTORY}ReplyTests::test_it_waits_for_half_of_the_time_that_it_has",),
    ),
    Mutation(
        "one-spool-one-link",
        "nbclient/link/spooling.py",
        "        spool.claim(self)\n",
        "",
        (
            "tests/daemon/links/test_spool.py::UseSpoolTests::test_a_second_link_on_one_spool_is_refused",
        ),
    ),
    Mutation(
        "a-closed-spool-is-refused",
        "nbclient/link/spooling.py",
        "        self.spool.reclaim(self)\n",
        "",
        (
            "tests/daemon/links/test_spool.py::UseSpoolTests::"
            "test_a_link_whose_spool_is_closed_does_not_start",
            "tests/daemon/links/test_spool.py::UseSpoolTests::test_a_connector_does_not_start_it_either",
            "tests/daemon/links/test_spool.py::UseSpoolTests::"
            "test_the_next_link_may_have_it_and_then_the_last_one_no_more",
        ),
    ),
    Mutation(
        "cursor-not-past-who-withdrew",
        "nbclient/link/admission.py",
        "        return self._behind(sender.cursor, place)\n",
        "        return []\n",
        (
            "tests/link/test_admission.py::SpoolWaitingTests::"
            "test_one_that_waits_and_is_withdrawn_takes_along_who_read_on_behind_it",
        ),
    ),
    Mutation(
        "no-file-between-is-skipped",
        "nbclient/daemon/inputs/tail.py",
        "                self._look_before(self._written)\n",
        "                pass\n",
        (
            "tests/daemon/inputs/test_tail.py::"
            "test_files_that_came_and_were_renamed_between_two_looks_are_read_in_their_order",
            "tests/daemon/inputs/test_tail.py::test_only_what_had_the_name_is_read",
        ),
    ),
    Mutation(
        "a-batch-is-known-by-what-it-is",
        "nbclient/daemon/inputs/cursors.py",
        "        same = place.identity is None or place.identity.is_of(descriptor)\n",
        "        same = True\n",
        (
            f"{CURSORS}test_a_new_file_like_the_one_that_was_sent_is_sent",
            f"{CURSORS}test_nor_is_of_one_that_begins_like_it_only_the_rest",
            f"{CURSORS}test_nor_of_one_with_the_same_inode",
            "tests/wire/test_daemon_spool_wire.py::test_a_batch_like_that_of_yesterday_is_sent",
        ),
    ),
    Mutation(
        "what-may-be-new-is-sent",
        "nbclient/daemon/inputs/cursors.py",
        "        if (self._size, self._written) != (place.size, place.written):\n",
        "        if False:\n",
        (
            f"{CURSORS}test_what_cannot_be_told_apart_is_sent_once_more_and_that_is_said[all]",
            f"{CURSORS}test_what_cannot_be_told_apart_is_sent_once_more_and_that_is_said[half]",
            "tests/wire/test_daemon_spool_wire.py::test_a_batch_like_that_of_yesterday_is_sent",
        ),
    ),
    Mutation(
        "a-file-made-anew-is-another",
        "nbclient/daemon/inputs/identity.py",
        "        if self.born is not None and other.born is not None:\n",
        "        if False:\n",
        (
            f"{CURSORS}test_a_file_is_known_by_its_inode_and_birth_else_by_inode_and_device"
            "[known2-now2-False]",
            f"{CURSORS}test_nor_of_one_with_the_same_inode",
        ),
    ),
    Mutation(
        "a-growing-file-is-known-by-what-was-read-last",
        "nbclient/daemon/inputs/cursors.py",
        "        return self.near is None or _digest(near) == self.near\n",
        "        return True\n",
        (
            f"{CURSORS}test_a_file_that_begins_like_it_is_another",
            f"{TAILING}test_a_new_file_that_begins_as_the_old_one_did_is_read_from_its_start",
        ),
    ),
    Mutation(
        "a-damaged-cursor-is-named",
        "nbclient/daemon/inputs/cursors.py",
        "        if type(value) is int and least <= value <= most:\n",
        "        if isinstance(value, int):\n",
        (
            f"{TAILING}test_a_damaged_cursor_is_named_and_all_that_is_there_is_read",
            "tests/daemon/links/test_runner.py::SpoolTests::test_a_damaged_cursor_costs_no_frame",
        ),
    ),
    Mutation(
        "an-input-that-fails-is-not-done",
        "nbclient/daemon/inputs/intake.py",
        "Deferred.fromCoroutine(self._run()).addErrback(self._intake.broke)",
        "Deferred.fromCoroutine(self._run()).addErrback(lambda _: None)",
        (
            f"{INPUTS}CursorTests::test_what_fails_there_is_told_and_is_no_end",
            f"{INPUTS}InputTests::test_a_fault_of_ours_ends_it_is_told_and_is_no_end",
            "tests/daemon/links/test_runner.py::SpoolTests::test_a_file_that_fails_is_not_done",
        ),
    ),
    Mutation(
        "a-terminal-that-hung-up-is-at-its-end",
        "nbclient/daemon/inputs/intake.py",
        "if error.errno == errno.EIO and _hung_up(descriptor):",
        "if False:",
        (f"{INPUTS}test_a_terminal_that_hung_up_is_at_its_end",),
    ),
    Mutation(
        "a-stream-begins-with-its-first-bytes",
        "nbclient/daemon/inputs/intake.py",
        "        self._stream: Stream | None = None\n",
        "        self._stream: Stream | None = intake.stream()\n",
        (
            f"{INPUTS}TakerTests::"
            "test_a_framing_that_makes_no_decoder_is_a_fault_of_the_input_told_once",
            "tests/daemon/inputs/test_exec.py::CoprocessTests::"
            "test_a_framing_that_makes_no_decoder_does_not_hold_up_the_end",
        ),
    ),
    Mutation(
        "no-frames-are-a-list",
        "nbclient/daemon/inputs/intake.py",
        "        if frames is None:  # of",
        "        if False:  # of",
        (f"{INPUTS}InputTests::test_a_decoder_that_returns_nothing_is_a_fault",),
    ),
    Mutation(
        "an-output-does-not-hang-for-a-fault-of-ours",
        "nbclient/daemon/outputs/queued.py",
        "        error = os_error(failure)\n",
        "        failure.trap(OSError)\n        error = os_error(failure)\n",
        (
            "tests/daemon/outputs/test_queued.py::StreamOutputTests::"
            "test_a_fault_of_ours_is_told_and_tried_again",
        ),
    ),
    Mutation(
        "nor-does-a-job-before-its-spool",
        "nbclient/daemon/links/runner.py",
        "            opening.addCallbacks(self._spool_opened, self._no_spool)"
        ".addErrback(self._failed)\n",
        "            opening.addCallbacks(self._spool_opened, self._no_spool)\n",
        (
            "tests/daemon/links/test_runner.py::SpoolTests::"
            "test_a_fault_of_ours_at_the_spool_ends_the_job_and_is_told",
            "tests/daemon/links/test_runner.py::SpoolTests::test_so_does_one_at_what_follows",
        ),
    ),
    Mutation(
        "a-crash-is-no-end-of-an-input",
        "nbclient/daemon/inputs/exec.py",
        "crashed=ended.signal is not None)",
        "crashed=False)",
        ("tests/daemon/inputs/test_exec.py::CoprocessTests::test_a_crash_is_no_end_of_the_input",),
    ),
    Mutation(
        "no-place-within-what-is-passed-over",
        "nbclient/daemon/inputs/intake.py",
        "            self._behind = self._begin_behind(data)\n",
        "            self._behind = len(self._decoder.eof())\n",
        (
            f"{INPUTS}CursorTests::test_within_a_frame_that_is_passed_over_the_place_is_before_it",
            f"{INPUTS}test_a_stop_at_any_byte_changes_none_of_the_frames[lines-skip-]",
            f"{INPUTS}test_a_stop_at_any_byte_changes_none_of_the_frames[crlf-skip-]",
        ),
    ),
    Mutation(
        "a-file-written-anew-is-noticed",
        "nbclient/daemon/inputs/tail.py",
        "        if here.st_size < self._position or self._rewritten(file):\n",
        "        if here.st_size < self._position:\n",
        (
            f"{TAILING}test_one_cut_short_that_has_grown_again_is_read_from_its_start",
            f"{TAILING}test_one_that_was_cut_short_and_is_as_long_again_is_noticed_too",
        ),
    ),
    Mutation(
        "the-old-file-is-read-while-the-new-one-is-empty",
        "nbclient/daemon/inputs/tail.py",
        "        if not named.st_size and self._looks < LINGER:\n",
        "        if False:\n",
        (f"{TAILING}test_a_file_that_lost_its_name_is_read_on_while_the_new_one_is_empty",),
    ),
    Mutation(
        "where-it-begins-is-noted",
        "nbclient/daemon/inputs/intake.py",
        "                    if not await stream.begin():\n",
        "                    if False:\n",
        (
            f"{INPUTS}CursorTests::test_where_it_begins_is_noted_before_there_is_a_frame",
            "tests/recipes/test_sending.py::"
            "test_syslog_gets_each_line_of_the_log_over_restarts_of_both_sides",
        ),
    ),
    Mutation(
        "what-was-not-there-is-new",
        "nbclient/daemon/inputs/tail.py",
        "            self._tail.begin_since(nothing.since)\n",
        "            pass\n",
        (f"{TAILING}test_a_file_that_was_not_there_is_all_new_when_it_comes",),
    ),
    Mutation(
        "what-was-rotated-before-the-next-run-is-new-too",
        "nbclient/daemon/inputs/tail.py",
        "        self._close()\n        self._written = since\n",
        "        self._go_to(0)\n",
        (f"{TAILING}test_nor_are_those_lost_that_came_and_were_rotated_before_the_next_run",),
    ),
    Mutation(
        "a-file-that-was-read-is-read-on",
        "nbclient/daemon/inputs/tail.py",
        "        self._go_to(max(read, default=0))\n",
        "        self._go_to(0)\n",
        (f"{TAILING}test_of_a_file_that_was_read_only_what_was_written_to_it_afterwards_is",),
    ),
    Mutation(
        "a-log-that-cannot-be-read-is-tried-again",
        "nbclient/daemon/inputs/tail.py",
        "                self._unreadable(error)\n",
        "                raise\n",
        (
            f"{TAILING}test_a_file_that_cannot_be_read_for_a_while_is_read_on",
            f"{TAILING}test_one_that_stays_unreadable_is_looked_at_again",
        ),
    ),
    Mutation(
        "a-link-to-nothing-is-passed-over",
        "nbclient/daemon/inputs/tail.py",
        "                path.lstat()\n",
        "                raise\n",
        (f"{TAILING}test_a_link_to_nothing_is_passed_over_and_named_once[nothing]",),
    ),
    Mutation(
        "a-look-that-fails-is-said",
        "nbclient/daemon/inputs/tail.py",
        "                self._look_failed(error)\n",
        "                pass\n",
        (f"{TAILING}test_a_look_that_fails_again_and_again_is_said_once",),
    ),
    Mutation(
        "a-folder-need-not-be-listed",
        "nbclient/daemon/inputs/tail.py",
        "            self._pass_over(str(folder), error)\n            return []\n",
        "            raise\n",
        (f"{TAILING}test_in_a_folder_that_may_not_be_listed_the_file_is_followed_all_the_same",),
    ),
    Mutation(
        "a-path-that-is-not-utf-8-has-a-cursor",
        "nbclient/daemon/inputs/cursors.py",
        '        return "bytes:" + data.decode("utf-8", "backslashreplace")\n',
        "        return text\n",
        (
            "tests/daemon/inputs/test_cursors.py::"
            "test_a_cursors_name_can_be_stored_whatever_bytes_the_path_has"
            "[other-bytes]",
            "tests/wire/test_commandline.py::"
            "test_a_path_that_is_not_utf_8_can_be_read_into_a_spool",
        ),
    ),
    Mutation(
        "a-growing-file-has-a-place",
        "nbclient/daemon/links/ends.py",
        "        return self._endless(place, tail.read, tail.stop, cursor, resume)\n",
        "        return self._endless(place, tail.read, tail.stop)\n",
        (
            "tests/recipes/test_sending.py::"
            "test_syslog_gets_each_line_of_the_log_over_restarts_of_both_sides",
        ),
    ),
    Mutation(
        "what-came-after-a-file-that-is-gone-is-read",
        "nbclient/daemon/inputs/tail.py",
        "            self._ended, self._written = place, place.written\n",
        "            pass\n",
        (f"{TAILING}test_what_came_after_a_file_that_is_gone_is_read_from_its_start",),
    ),
    Mutation(
        "twistds-log-follows-a-rename",
        "nbclient/daemon/process/ownlog.py",
        "            self._begin_anew()\n",
        "            pass\n",
        (
            "tests/daemon/process/test_ownlog.py::test_from_then_on_it_does_not_rotate_itself_by_its_size",
            "tests/daemon/cli/test_twistd.py::ServiceTests::"
            "test_hup_opens_twistds_log_anew_where_it_was_renamed",
            "tests/wire/test_commandline.py::"
            "test_twistds_log_and_the_output_follow_logrotate_as_the_page_says",
        ),
    ),
    Mutation(
        "books-are-looked-at",
        "nbclient/link/pump.py",
        "        if not (self._unbalanced or stats.conserved()):\n",
        "        if False:\n",
        (
            f"{PUMP}BooksTests::"
            "test_a_frame_that_is_not_accounted_for_is_an_error_told_once_and_not_raised",
            f"{PUMP}BooksTests::test_what_is_on_the_disk_alone_is_accounted_for",
        ),
    ),
    Mutation(
        "reply-timeout",
        "nbclient/link/reply_tracker.py",
        "            self._late()\n",
        "            pass\n",
        (
            "tests/link/test_reply_tracker.py::ReplyingTests::test_an_answer_that_is_late_is_told_of_once",
            f"{FACTORY}ReplyTests::test_one_that_is_late_ends_the_connection",
            "tests/wire/test_delivery_wire.py::ReplyDeliveryTests::"
            "test_a_server_that_says_nothing_is_left_and_the_frame_sent_again",
        ),
    ),
    Mutation(
        "reply-timeout-stands-still",
        "nbclient/link/factory.py",
        "            self._replying.hold(held)\n",
        "            pass\n",
        (f"{FACTORY}ReplyTests::test_while_this_side_does_not_read_none_is_late",),
    ),
    Mutation(
        "poison-set-aside",
        "nbclient/link/pump.py",
        "            self._suspect(outbox.first)\n",
        "            pass\n",
        (
            f"{PUMP}PoisonTests::test_at_the_third_loss_there_is_a_warning_and_the_frame_is_kept",
            f"{PUMP}PoisonTests::test_after_so_many_it_is_set_aside_alone_with_the_reason",
            f"{PUMP}PoisonTests::test_attempts_outlive_the_process",
            f"{FACTORY}ReplyTests::test_a_frame_lost_with_its_connection_each_time_is_set_aside",
        ),
    ),
    Mutation(
        "poison-only-without-progress",
        "nbclient/link/pump.py",
        " and not (self._progress or blameless):\n",
        ":\n",
        (
            f"{PUMP}PoisonTests::test_a_connection_that_this_side_ended_proves_nothing",
            f"{PUMP}PoisonTests::test_nor_does_one_on_which_something_was_acknowledged",
            f"{PUMP}PoisonTests::test_nor_does_one_on_which_an_answer_came_out_of_turn",
            f"{FACTORY}ReplyTests::test_a_reconnection_that_we_asked_for_is_not_held_against_it",
        ),
    ),
    Mutation(
        "drops-are-counted",
        "nbclient/delivery/outbox.py",
        "        self.counters.dropped += count\n",
        "",
        (
            "tests/delivery/test_outbox.py::test_the_oldest_make_room_and_no_more_of_them_than_needed",
            "tests/link/test_admission.py::DroppingTests::"
            "test_the_oldest_make_room_and_no_more_of_them_than_needed",
            f"{FACTORY}KeepingTests::test_the_newest_may_be_kept_where_there_is_no_room_for_all",
            f"{SIMULATION}test_nothing_is_lost_or_doubled_that_the_level_does_not_allow",
        ),
    ),
    Mutation(
        "no-drop-for-room-to-come",
        "nbclient/link/admission.py",
        "self._outbox.drop_oldest(size - self._spooling.freeing)",
        "self._outbox.drop_oldest(size)",
        (
            "tests/link/test_admission.py::SpoolDroppingTests::"
            "test_nothing_is_dropped_for_room_that_is_coming_free_anyhow",
            "tests/link/test_admission.py::SpoolDroppingTests::"
            "test_the_oldest_make_room_on_the_disk_and_no_more_of_them_than_needed",
        ),
    ),
    Mutation(
        "too-old-after-a-loss",
        "nbclient/link/pump.py",
        "        self._stopWatchingAge()  # what was in flight is older than what it was set for\n",
        "",
        (f"{PUMP}AgeTests::test_what_was_in_flight_is_older_than_what_waited_behind_it",),
    ),
    Mutation(
        "too-old-and-the-timer-late",
        "nbclient/link/pump.py",
        "            self._expire()  # timers may be late, and nothing too old may leave\n",
        "",
        (f"{PUMP}AgeTests::test_a_look_that_comes_late_lets_nothing_too_old_leave",),
    ),
    Mutation(
        "stored-under-other-rules",
        "nbclient/link/pump.py",
        "                replying.check(frame)\n",
        "",
        (
            f"{PUMP}AnswerTests::"
            "test_a_stored_frame_without_the_key_that_is_now_asked_for_is_set_aside",
        ),
    ),
    Mutation(
        "a-link-without-a-clock",
        "nbclient/link/factory.py",
        "        return global_reactor() if self._clock is None else self._clock\n",
        "        return None\n",
        (
            "tests/link/test_factory.py::ClockTests::test_it_is_the_one_that_was_injected",
            "tests/link/test_factory.py::ClockTests::test_or_the_one_it_was_started_with",
            "tests/link/test_factory.py::ClockTests::test_or_the_reactor_that_dials",
            "tests/link/test_factory.py::ClockTests::test_or_the_reactor_of_this_process",
        ),
    ),
    Mutation(
        "ages-by-the-time-of-day",
        "nbclient/connection/requests.py",
        "        self._now = self._link._now if self.clock is None else self.clock.seconds\n",
        "        self._now = self._timers.seconds\n",
        (
            "tests/link/test_factory.py::ClockTests::test_ages_are_monotonic_though_timers_are_on_a_reactor_that_may_not_be",
        ),
    ),
    Mutation(
        "hooks-not-awaited",
        "nbclient/connection/receiver.py",
        "            running = awaited(callback(*args))\n",
        "            running = callback(*args) and None\n",
        (
            "tests/connection/test_overrides.py::AwaitedTests::test_each_hook_is_run_to_its_end",
            "tests/connection/test_overrides.py::AwaitedTests::test_a_failure_is_logged_once_and_aborts_the_connection",
        ),
    ),
    Mutation(
        "hooks-outlive-their-connection",
        "nbclient/connection/receiver.py",
        "            running.cancel()\n",
        "            pass\n",
        (
            "tests/connection/test_overrides.py::AwaitedTests::test_each_connection_ends_its_own",
            "tests/connection/test_overrides.py::AwaitedTests::test_what_one_is_at_when_its_connection_has_ended_is_cancelled",
        ),
    ),
    Mutation(
        "generators-let-pass",
        "nbclient/connection/overrides.py",
        "    plain = not isinstance(result, Awaitable | Generator | AsyncGenerator)\n",
        "    plain = not isinstance(result, Awaitable)\n",
        (
            "tests/connection/test_overrides.py::AwaitedTests::test_what_nothing_would_run_is_a_fault",
        ),
    ),
    Mutation(
        "observers-not-awaited",
        "nbclient/link/factory.py",
        "                running = awaited(observer(old, new, self.lastReason))\n",
        "                running = observer(old, new, self.lastReason) and None\n",
        (
            "tests/connection/test_overrides.py::ObserverTests::test_an_observer_may_be_async",
            "tests/connection/test_overrides.py::ObserverTests::test_its_failure_is_logged",
        ),
    ),
    Mutation(
        "async-keys",
        "nbclient/connection/receiver.py",
        "        refuse_async(cls, AWAITED)\n",
        "",
        (
            "tests/connection/test_overrides.py::test_so_is_one_whose_keys_would_be_coroutines",
            "tests/connection/test_overrides.py::test_a_class_whose_async_method_nothing_would_await_is_refused",
        ),
    ),
    Mutation(
        "async-by-a-mixin",
        "nbclient/connection/overrides.py",
        "    for base in theirs:\n",
        "    for base in theirs[:1]:\n",
        ("tests/connection/test_overrides.py::test_so_is_one_that_has_it_from_a_mixin",),
    ),
    Mutation(
        "a-class-with-any-framing",
        "nbclient/connection/receiver.py",
        '            check_framing(f"{cls.__name__}.framing", own)\n',
        "            pass\n",
        ("tests/connection/test_overrides.py::test_a_class_whose_framing_is_none_is_refused",),
    ),
    Mutation(
        "up-calls-not-completed",
        "nbclient/link/subclassing.py",
        "        if not _is_complete(found, name, base):\n",
        "        if not name:\n",
        (
            "tests/link/test_subclassing.py::UpCallTests::test_all_of_them_left_out",
            "tests/link/test_subclassing.py::UpCallTests::test_a_constructor_that_leaves_it_out_is_refused",
        ),
    ),
    Mutation(
        "a-mixin-not-completed",
        "nbclient/link/subclassing.py",
        "        found = getattr_static(cls, name)  # a mixin's, too\n",
        "        found = vars(cls).get(name, vars(base)[name])\n",
        (
            "tests/link/test_subclassing.py::UpCallTests::test_all_of_them_left_out_by_a_mixin",
            "tests/link/test_subclassing.py::test_a_constructor_that_leaves_out_its_up_call_is_found_wherever_it_comes_from",
        ),
    ),
    Mutation(
        "a-method-of-another-kind-not-bound",
        "nbclient/link/subclassing.py",
        "    return override if bind is None else bind(override, link, type(link))\n",
        "    return lambda *given: override(link, *given)\n",
        (
            "tests/link/test_subclassing.py::UpCallTests::test_all_of_them_left_out_by_methods_of_another_kind",
        ),
    ),
    Mutation(
        "a-class-changed-later",
        "nbclient/link/factory.py",
        "        if changed(cls, ReconnectingFactory, _CONSTRUCTOR_SETS):\n",
        "        if not cls:\n",
        (
            "tests/link/test_subclassing.py::UpCallTests::test_all_of_them_set_on_the_class_when_it_is_there",
            "tests/link/test_subclassing.py::test_so_is_one_that_is_set_when_the_class_is_there",
        ),
    ),
    Mutation(
        "set-on-the-link-and-left-so",
        "nbclient/link/subclassing.py",
        "        vars(link)[self._name] = MethodType(whole, link)\n",
        "        vars(link)[self._name] = value\n",
        ("tests/link/test_subclassing.py::UpCallTests::test_all_of_them_set_on_the_link",),
    ),
    Mutation(
        "a-coroutine-taken-for-done",
        "nbclient/connection/overrides.py",
        "    if isinstance(result, Awaitable):\n        if isinstance(result, Coroutine):\n",
        "    if not isinstance(result, object):\n        if isinstance(result, Coroutine):\n",
        (
            "tests/connection/test_overrides.py::CoroutineTests::test_one_for_the_wiretap",
            "tests/connection/test_overrides.py::CoroutineTests::test_one_for_a_requests_key",
        ),
    ),
    Mutation(
        "a-second-dialler-unsaid",
        "nbclient/link/factory.py",
        "        if self.state is State.READY and not self._unaskedSaid:\n",
        "        if not self.state:\n",
        (
            "tests/link/test_subclassing.py::EndpointTests::test_a_second_dialler_beside_a_link_that_is_up_is_said_once",
        ),
    ),
    Mutation(
        "a-link-without-a-protocol",
        "nbclient/link/factory.py",
        '        if is_stock(self, "buildProtocol", ReconnectingFactory):\n',
        "        if not self:\n",
        (
            "tests/link/test_subclassing.py::test_a_link_without_a_protocol_is_refused_when_it_is_started",
        ),
    ),
    Mutation(
        "a-failure-told-twice",
        "nbclient/link/factory.py",
        " and reason is not self._reported:\n",
        ":\n",
        (
            "tests/link/test_subclassing.py::UpCallTests::test_a_failure_is_counted_once_though_an_override_dials_and_makes_the_up_call",
        ),
    ),
    Mutation(
        "a-loop-takes-answers",
        "nbclient/connection/requests.py",
        "        if not self._pulled and super()._taken(frame):\n",
        "        if super()._taken(frame):\n",
        (
            f"{REQUESTS}TimeoutTests::test_a_loop_that_waits_for_frames_leaves_answers_to_their_requests",
        ),
    ),
    Mutation(
        "a-loss-that-dials-is-a-storm",
        "nbclient/link/factory.py",
        "            if self._reported is not None or self.state not in",
        "            if self.state not in",
        (
            "tests/link/test_subclassing.py::UpCallTests::test_one_that_dials_by_hand_is_no_storm_and_says_so_once",
        ),
    ),
    Mutation(
        "built-beside-the-link",
        "nbclient/link/factory.py",
        "            if self.connection is None or (own and connection is not self.connection):\n",
        "            if self.connection is None:\n",
        (
            "tests/link/test_subclassing.py::UpCallTests::test_what_an_override_builds_beside_the_up_call_is_what_counts",
        ),
    ),
    Mutation(
        "unheard-overrides-unsaid",
        "nbclient/link/factory.py",
        "        for name in unheard(self, ReconnectingFactory):\n",
        "        for name in ():\n",
        (
            "tests/link/test_subclassing.py::UpCallTests::test_endpoints_do_not_call_them_and_that_is_said",
        ),
    ),
    Mutation(
        "foreign-names-set-in-silence",
        "nbclient/link/subclassing.py",
        "        raise self.refuse(type(link))\n",
        "        pass\n",
        (
            "tests/link/test_subclassing.py::test_a_name_of_the_other_factory_is_refused_with_what_is_here_instead",
        ),
    ),
    Mutation(
        "a-foreign-name-less",
        "nbclient/link/subclassing.py",
        '    maxRetries = Foreign("it gives up after Backoff(retries=N), for backoff=")\n',
        "",
        (
            "tests/link/test_subclassing.py::test_a_name_of_the_other_factory_is_refused_with_what_is_here_instead",
        ),
    ),
    Mutation(
        "hidden-class-attributes",
        "nbclient/link/subclassing.py",
        "        if getattr_static(cls, name) is not getattr_static(base, name):\n",
        "        if False:\n",
        (
            "tests/link/test_subclassing.py::test_a_class_attribute_that_the_constructor_would_hide_is_refused",
        ),
    ),
    Mutation(
        "set-for-nothing",
        "nbclient/link/factory.py",
        "refuse if fixed else change)\n",
        "change)\n",
        ("tests/link/test_subclassing.py::test_so_is_setting_what_would_change_nothing",),
    ),
    Mutation(
        "dialled-by-others-in-silence",
        "nbclient/link/factory.py",
        "        if self.state is State.IDLE:\n            self.log.error",
        "        if False:\n            self.log.error",
        (
            "tests/link/test_subclassing.py::EndpointTests::test_an_endpoint_that_connects_it_is_told_what_to_do",
            "tests/link/test_subclassing.py::EndpointTests::test_so_is_a_client_service",
        ),
    ),
    Mutation(
        "slow-matches-uncharged",
        "nbclient/daemon/config/patterns.py",
        "            self._taken += seconds\n",
        "",
        (
            "tests/daemon/config/test_patterns.py::test_matches_that_take_a_little_less_than_one_may_are_stopped_together",
        ),
    ),
    Mutation(
        "the-last-match-without-a-limit",
        "nbclient/daemon/config/patterns.py",
        "        return min(LIMIT, max(SLOW, BUDGET - self._taken))\n",
        "        return LIMIT\n",
        (
            "tests/daemon/config/test_patterns.py::test_what_is_left_of_the_budget_is_the_limit_of_the_next",
        ),
    ),
    Mutation(
        "a-standstill-is-charged",
        "nbclient/daemon/config/patterns.py",
        "        budget.charge(budget.cpu() - began)\n",
        "        budget.charge(budget.now() - began)\n",
        ("tests/daemon/config/test_patterns.py::test_a_process_that_stood_still_was_not_at_work",),
    ),
    Mutation(
        "no-turn-between-frames",
        "nbclient/connection/receiver.py",
        "            if (self._answer or self._lookers) and self._turnIsOver():\n",
        "            if False:\n",
        (
            "tests/link/test_factory.py::TurnTests::test_a_timer_that_is_due_in_between_is_heard_and_a_stop_obeyed",
        ),
    ),
    Mutation(
        "no-turn-between-frames-held-back",
        "nbclient/connection/requests.py",
        "                if (self._answer or self._lookers) and self._turnIsOver():\n",
        "                if False:\n",
        (
            "tests/link/test_factory.py::TurnTests::test_so_it_is_with_frames_that_a_callback_held_back",
        ),
    ),
    Mutation(
        "secrets-unknown",
        "nbclient/daemon/links/opening.py",
        "                masker.add(pieces[-1])\n",
        "",
        (
            "tests/daemon/links/test_masking.py::JobTests::test_what_is_said_in_an_opening_is_known_before_anything_begins",
            "tests/wire/test_masking.py::test_what_a_peer_repeats_is_masked_in_the_log_in_hexdumps_and_in_bad_frames",
        ),
    ),
    Mutation(
        "logins-unknown",
        "nbclient/daemon/links/builder.py",
        "    masker.add_login(login.username, login.password)\n",
        "",
        (
            "tests/daemon/links/test_masking.py::JobTests::test_so_are_heartbeats_polls_and_the_login_for_a_proxy",
        ),
    ),
    Mutation(
        "secrets-in-texts",
        "nbclient/daemon/links/masking.py",
        '        forms |= {form, again, again.replace("\'", "\\\\\'")}\n',
        "        pass\n",
        ("tests/daemon/links/test_masking.py::test_a_text_has_none_in_any_form_of_a_log",),
    ),
    Mutation(
        "secrets-cut-off",
        "nbclient/daemon/links/masking.py",
        "    for share in (1, 2):\n",
        "    for share in (1,):\n",
        (
            "tests/daemon/links/test_masking.py::test_a_secret_that_was_cut_off_leaves_less_than_half_of_itself",
            "tests/wire/test_masking.py::test_what_a_peer_repeats_is_masked_in_the_log_in_hexdumps_and_in_bad_frames",
        ),
    ),
    Mutation(
        "secrets-in-tracebacks",
        "nbclient/daemon/links/masking.py",
        '            event["log_failure"] = _MaskedFailure(event["log_failure"], self)\n',
        "            pass\n",
        ("tests/daemon/links/test_masking.py::ObserverTests::test_a_traceback",),
    ),
    Mutation(
        "secrets-in-hexdumps",
        "nbclient/daemon/links/builder.py",
        "        for line in hexdump(masker.mask(data), seen[direction]):\n",
        "        for line in hexdump(data, seen[direction]):\n",
        (
            "tests/daemon/links/test_masking.py::JobTests::test_a_hexdump_has_a_star_for_each_byte",
            "tests/wire/test_masking.py::test_what_a_peer_repeats_is_masked_in_the_log_in_hexdumps_and_in_bad_frames",
        ),
    ),
    Mutation(
        "secrets-in-bad-frames",
        "nbclient/daemon/links/builder.py",
        "            keep(masker.mask(data), error)\n",
        "            keep(data, error)\n",
        (
            "tests/daemon/links/test_masking.py::JobTests::test_bad_frames_are_kept_masked",
            "tests/wire/test_masking.py::test_what_a_peer_repeats_is_masked_in_the_log_in_hexdumps_and_in_bad_frames",
        ),
    ),
    Mutation(
        "secrets-in-reasons",
        "nbclient/daemon/links/builder.py",
        "        super()._answered(seq, says, self.masker.mask(answer))\n",
        "        super()._answered(seq, says, answer)\n",
        (
            "tests/daemon/links/test_masking.py::JobTests::test_so_is_the_answer_that_is_kept_with_a_rejected_frame",
        ),
    ),
    Mutation(
        "secrets-on-standard-error",
        "nbclient/daemon/cli/shell.py",
        "screen.write, masker.text)]",
        "screen.write)]",
        (
            "tests/wire/test_masking.py::test_what_a_peer_repeats_is_masked_in_the_log_in_hexdumps_and_in_bad_frames[python]",
        ),
    ),
    Mutation(
        "secrets-in-twistds-log",
        "nbclient/daemon/cli/twistd.py",
        "    globalLogPublisher.addObserver(masker)\n",
        "",
        (
            "tests/wire/test_masking.py::test_what_a_peer_repeats_is_masked_in_the_log_in_hexdumps_and_in_bad_frames[twistd]",
        ),
    ),
    Mutation(
        "arguments-not-checked",
        "nbclient/core/arguments.py",
        "        if not ((optional and value is None) or fits(value)):\n",
        "        if False:\n",
        (
            "tests/core/test_arguments.py::test_the_link_refuses_what_makes_no_sense_by_name",
            "tests/core/test_arguments.py::test_so_do_its_parts",
        ),
    ),
    Mutation(
        "a-number-that-is-none",
        "nbclient/core/arguments.py",
        " and math.isfinite(value)\n",
        "\n",
        ("tests/core/test_arguments.py::test_the_link_refuses_what_makes_no_sense_by_name",),
    ),
    Mutation(
        "framings-of-any-type",
        "nbclient/framing/base.py",
        '            check(f"{type(self).__name__}: {name}", value, fits(value), takes)\n',
        "            pass\n",
        (
            "tests/core/test_arguments.py::test_so_do_its_parts",
            "tests/core/test_arguments.py::test_a_framing_of_ones_own_is_checked_by_the_types_of_its_fields",
        ),
    ),
    Mutation(
        "set-unchecked",
        "nbclient/link/factory.py",
        "refuse if fixed else change)\n",
        "lambda link, value: None)\n",
        (
            "tests/core/test_arguments.py::test_what_is_set_on_a_link_is_checked_as_what_it_is_made_with",
        ),
    ),
    Mutation(
        "options-of-ones-own",
        "nbclient/link/options.py",
        "    if last == options:\n",
        "    if False:\n",
        ("tests/link/test_options.py::test_links_that_are_alike_share_their_options",),
    ),
    Mutation(
        "a-service-of-anything",
        "nbclient/link/service.py",
        "        _check_factory(factory)\n",
        "",
        ("tests/core/test_arguments.py::test_a_service_refuses_what_it_could_not_start",),
    ),
    Mutation(
        "two-services-on-a-factory",
        "nbclient/link/factory.py",
        "        if other is not None and other is not service:\n",
        "        if False:\n",
        ("tests/core/test_arguments.py::test_a_factory_has_one_service",),
    ),
    Mutation(
        "errors-copied-by-their-text",
        "nbclient/errors.py",
        "    return kind.__new__(kind, *args)\n",
        "    return kind(*args)\n",
        (
            "tests/test_errors.py::test_a_copy_says_and_holds_the_same",
            "tests/test_errors.py::test_a_copy_keeps_what_a_user_added_and_a_users_own_kind",
        ),
    ),
    Mutation(
        "a-fake-that-dials-tls-in-plain",
        "nbclient/testing/pipe.py",
        "        secure = secure or self.secure\n",
        "",
        (
            "tests/testing/test_pipe.py::Connectors::"
            "test_what_connect_ssl_dials_speaks_tls_once_accepted",
        ),
    ),
    # The clock.
    Mutation(
        "monotonic-clock",
        "nbclient/daemon/process/clock.py",
        "    reactor.seconds = time.monotonic\n",
        "",
        (
            "tests/daemon/process/test_clock.py::ClockTests::"
            "test_the_time_of_day_is_left_for_the_monotonic_clock",
            f"{WIRE}test_a_clock_set_back_an_hour_stops_no_timer_of_a_monotonic_reactor",
            f"{WIRE}test_a_clock_set_back_an_hour_does_not_keep_a_link_waiting",
        ),
    ),
    Mutation(
        "dies-by-its-signal",
        "nbclient/__main__.py",
        "        signals.die_by(status - signals.BY_SIGNAL)\n",
        "        pass\n",
        (
            "tests/test_main.py::test_a_signal_that_ended_it_ends_the_process",
            "tests/wire/test_commandline.py::test_a_signal_ends_it_as_one_that_nothing_handles",
        ),
    ),
    Mutation(
        "a-slow-end-says-what-for",
        "nbclient/daemon/links/runner.py",
        "            self._later(AT_ONCE, self._tell_what_waits)\n",
        "            pass\n",
        (
            "tests/daemon/links/test_runner.py::JobTests::test_a_signal_says_what_its_end_waits_for",
            "tests/wire/test_commandline.py::"
            "test_the_second_signal_ends_at_once_what_the_first_could_not",
        ),
    ),
    Mutation(
        "plain-files-beside-a-spool",
        "nbclient/spool/file.py",
        "        plain = stat.S_ISREG(path.lstat().st_mode)\n",
        "        plain = True\n",
        ("tests/spool/test_file.py::test_a_folder_beside_the_database_is_refused",),
    ),
    Mutation(
        "our-own-init",
        "nbclient/tap.py",
        '    if not hasattr(sys.modules["nbclient"], _MARK):\n',
        "    if False:\n",
        (
            "tests/test_tap.py::"
            "test_what_is_left_of_a_shared_folder_is_refused_in_one_line_with_status_2",
        ),
    ),
    Mutation(
        "no-folder-shared-with-jupyter",
        "nbclient/__main__.py",
        "    refuse_clash()\n",
        "",
        ("tests/test_main.py::test_it_refuses_to_share_its_folder",),
    ),
    Mutation(
        "monotonic-clock-of-the-shell",
        "nbclient/daemon/cli/shell.py",
        "    use_monotonic_clock(reactor)\n",
        "",
        (f"{WIRE}test_a_clock_set_back_an_hour_does_not_keep_a_link_waiting[python]",),
    ),
    Mutation(
        "monotonic-clock-of-the-daemon",
        "nbclient/daemon/cli/twistd.py",
        "    if not use_monotonic_clock(reactor):\n",
        "    if False:\n",
        (f"{WIRE}test_a_clock_set_back_an_hour_does_not_keep_a_link_waiting[twistd]",),
    ),
    # The tests themselves.
    Mutation(
        "nothing-skips-in-ci",
        "tests/conftest.py",
        '        report.outcome = "failed"\n',
        "        pass\n",
        ("tests/packaging/test_ci.py::test_a_skip_is_a_failure_in_ci_and_says_what_was_missing",),
    ),
)


if __name__ == "__main__":
    sys.exit(main())
