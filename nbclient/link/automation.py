"""What a link says by itself on one connection: heartbeats and polls, on the clock.

The rules are in `nbclient.core.automation`. Everything goes out on the direct lane:
on this connection only, and never again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from nbclient.connection.timers import Timer, timers_of
from nbclient.core.automation import Heartbeat, Poll, Polling
from nbclient.errors import ConnectionClosed, FrameError

SELDOM = 60.0
"""Seconds at least between two lines about polls that are not answered any more."""


class Talker:
    """Sends heartbeats and polls while a connection is ready.

    :param connection: a `FrameProtocol`.
    :param clock: for the timers.
    :param now: seconds on a monotonic scale.
    :param name: what logs call the link.
    :param isNews: whether a kind of line is worth it: each connection may cause the same.
    """

    log = Logger(namespace="nbclient")

    def __init__(
        self,
        connection: Any,
        heartbeat: Heartbeat | None,
        poll: Poll | None,
        clock: Any,
        now: Callable[[], float],
        name: str,
        isNews: Callable[[str], bool] = lambda kind: True,
    ) -> None:
        self._connection = connection
        self._heartbeat = heartbeat
        self._clock = timers_of(clock)
        self._now = now
        self._name = name
        self._isNews = isNews
        self._sent = now()
        self._timers: dict[str, Timer] = {}
        self._polling = None if poll is None else Polling(poll, self._sent)
        self._frames = connection.framesIn
        self._silent = False  # it was told that a poll was not answered
        self._next_told = self._sent  # when that may be told again
        if heartbeat is not None:
            self._later("heartbeat", heartbeat.due(self._sent), self._beat)
        if self._polling is not None:
            self._act(self._ask)

    def wrote(self) -> None:
        """Something was sent: no heartbeat is needed for a while."""
        self._sent = self._now()

    def stop(self) -> None:
        """Say nothing more."""
        timers, self._timers = self._timers, {}
        for timer in timers.values():
            self._clock.cancel(timer)
        polling, self._polling = self._polling, None
        if polling is not None and polling.unanswered:
            self._warner("unanswered polls")(
                "{link}: {unanswered} of {asked} polls were not answered",
                link=self._name,
                unanswered=polling.unanswered,
                asked=polling.asked,
            )
        if polling is not None and polling.left_out:
            self._warner("polls left out")(
                "{link}: {count} polls were left out, the peer was not reading",
                link=self._name,
                count=polling.left_out,
            )

    def _warner(self, kind: str) -> Callable[..., None]:
        return self.log.warn if self._isNews(kind) else self.log.debug

    def _beat(self) -> None:
        heartbeat: Any = self._heartbeat
        if heartbeat.due(self._sent) <= self._now():
            # Behind a full transport it would only pile up, and be old when it leaves.
            if self._connection.writable:
                self._say(heartbeat.frame)
            self._sent = self._now()
        self._later("heartbeat", heartbeat.due(self._sent), self._beat)

    def _ask(self) -> None:
        polling: Any = self._polling
        unanswered, heard = polling.unanswered, self._connection.framesIn != self._frames
        # While this side does not read, nobody can say that there is no answer.
        if heard or self._connection.readingHeld:
            polling.heard()
        if heard and self._silent:
            self._tell_of_answers(polling)
        ask = False
        if self._connection.full:  # of a peer that does not read; they would pile up
            self._leave_out(polling)
        else:
            ask = polling.tick(self._now())
        if polling.unanswered > unanswered and self._now() >= self._next_told:
            self._tell_of_silence(polling)
        if ask:
            self._frames = self._connection.framesIn
            self._say(polling.poll.frame)
        self._later("poll", polling.due(self._now()), self._ask)

    def _leave_out(self, polling: Polling) -> None:
        polling.left_out += 1
        if polling.left_out == 1:
            self._warner("leaves out polls")(
                "{link}: the peer does not read, polls are left out until it does", link=self._name
            )

    def _tell_of_silence(self, polling: Polling) -> None:
        """Once, until there is an answer: the connection may last for months."""
        if not self._silent:
            self._silent = True
            self._warner("an unanswered poll")(
                "{link}: a poll was not answered within {seconds:g} s",
                link=self._name,
                seconds=polling.poll.timeout,
            )

    def _tell_of_answers(self, polling: Polling) -> None:
        self._silent = False
        self._next_told = self._now() + SELDOM
        self.log.info(
            "{link}: polls are answered again, {unanswered} of {asked} were not",
            link=self._name,
            unanswered=polling.unanswered,
            asked=polling.asked,
        )

    def _say(self, frame: bytes) -> None:
        try:
            self._connection.sendFrame(frame)
        except FrameError as error:
            (self.log.error if self._isNews("cannot be said") else self.log.debug)(
                "{link}: {why}", link=self._name, why=str(error)
            )
        except ConnectionClosed:  # after our half-close there is nothing to say
            self.log.debug("{link}: closed, nothing is said any more", link=self._name)

    def _later(self, what: str, due: float, call: Callable[[], None]) -> None:
        self._timers[what] = self._clock.after(max(0.0, due - self._now()), self._act, call)

    def _act(self, call: Callable[[], None]) -> None:
        """What it raises ends the connection: a link must not fall silent for it."""
        try:
            call()
        except BaseException:
            self._connection.sendingFailed(Failure())
