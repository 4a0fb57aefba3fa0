"""Where the frames to send come from: a descriptor read in a thread, or transports.

One chunk at a time: the next is read when the link has accepted the frames of
the last one, so a full outbox pauses the reading.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from nbclient.connection.wording import explain
from nbclient.core.terminal import printable
from nbclient.daemon.inputs.cursors import Cursor
from nbclient.daemon.local.thread import Runner
from nbclient.daemon.outputs.queued import os_reason
from nbclient.errors import FrameError, LocalError, NBClientError
from nbclient.framing.base import Decoder, Framing

CHUNK = 256 * 1024
"""Most bytes of one read, which only a regular file fills: what is read at once is offered
at once, and with a spool stored at once. A file takes a third less time than by 64 KiB."""

SHOWN = 200
"""Most bytes of a frame that the log repeats."""


def open_file(path: str) -> int:
    """A descriptor to read a file from.

    :raises LocalError: it cannot be opened, or is no regular file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise LocalError(f"{path}: {os_reason(error)}") from None
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or stat.S_ISCHR(mode):
        os.set_blocking(descriptor, True)
        return descriptor
    os.close(descriptor)
    raise LocalError(f"{path}: {'is a directory' if stat.S_ISDIR(mode) else 'not a regular file'}")


def read_chunk(descriptor: int) -> bytes:
    """Some bytes, b"" at the end; waits also where another process made it non-blocking.

    A terminal that has hung up is at its end, and SIGHUP says the rest.

    :raises OSError: it cannot be read.
    """
    while True:
        try:
            return os.read(descriptor, CHUNK)
        except BlockingIOError:
            waiting = select.poll()
            waiting.register(descriptor, select.POLLIN)
            waiting.poll(1000)
        except OSError as error:
            if error.errno == errno.EIO and _hung_up(descriptor):
                return b""
            raise


def _hung_up(descriptor: int) -> bool:
    """Whether it is a terminal without another end; a disk gives EIO too, and a job in the
    background that nobody stops."""
    asked = select.poll()
    asked.register(descriptor, 0)
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISCHR(mode) and any(found & select.POLLHUP for _, found in asked.poll(0))


class Source(ABC):
    """Where frames to send come from.

    :ivar refused: frames that were read, or begun, and not offered to the link.
    :ivar ended: fires, and never fails, when nothing more will come.
    :ivar exhausted: it had an end, and was read to it.
    """

    ended: Deferred[None]
    exhausted = False

    @property
    @abstractmethod
    def refused(self) -> int:
        """See above."""

    @property
    @abstractmethod
    def failed(self) -> bool:
        """True if not all of it was read: it cannot be read, or by a fault of ours."""

    @abstractmethod
    def start(self) -> None:
        """Begin to read."""

    @abstractmethod
    def stop(self) -> None:
        """Read no more. `ended` need not fire: a read may hang for ever."""


Send = Callable[[Sequence[bytes], "tuple[str, str] | None"], Awaitable[None]]


class Intake:
    """Hands the frames of one input to the link, and counts those it cannot.

    :param name: what logs call the input.
    :param framing: how the input separates frames.
    :param check: raises FrameError for frames that the link cannot carry.
    :param send: takes frames over, and the cursor behind them; done when it has.
    :param log: told of what could not be sent, once for each cause.

    :ivar refused: see `Source.refused`.
    :ivar stopped: nothing is wanted any more.
    :ivar broken: something of ours failed, and not all that was read was offered.
    :ivar taken: told how many frames go to the link, and how many bytes of the
        input they and what was left out before them were.
    """

    broken = False

    def __init__(
        self,
        name: str,
        framing: Framing,
        check: Callable[[Sequence[bytes]], None],
        send: Send,
        log: Logger,
    ) -> None:
        self.refused = 0
        self.stopped = False
        self.framing = framing
        self._name = name
        self._check = check
        self._send = send
        self._log = log
        self.taken: Callable[[int, int], object] | None = None
        self._complained: set[str] = set()
        # Many streams take turns: what waits for the link is one chunk's frames.
        self._turns = Turns()

    def stream(self, cursor: Cursor | None = None) -> Stream:
        """For bytes that belong together, from a new frame on."""
        return Stream(self, cursor)

    async def offer(
        self, frames: list[bytes], size: int = 0, cursor: tuple[str, str] | None = None
    ) -> bool:
        """Whether the link is still there to take more.

        :param size: what `taken` is told.
        :param cursor: name and value of the place behind them.
        """
        frames = self._carried(frames)
        if self.taken is not None:
            self.taken(len(frames), size)
        await self._turns.take()
        try:
            if not self.stopped:
                await self._send(frames, cursor)
            elif cursor is None:  # else the next run reads them again
                self.refused += len(frames)
        except NBClientError as error:  # the link counts what it refuses
            if not self.stopped:
                self.complain("stops", f"stops: {error}")
            return False
        finally:
            self._turns.give_back()
        return not self.stopped

    def _carried(self, frames: list[bytes]) -> list[bytes]:
        """The frames that the link's framing can carry; the others are counted."""
        try:
            self._check(frames)
        except Exception:  # a framing of a user's own may raise what it likes
            return [frame for frame in frames if self._can_carry(frame)]
        return frames

    def _can_carry(self, frame: bytes) -> bool:
        try:
            self._check([frame])
        except Exception as error:
            why = str(error) if isinstance(error, FrameError) else explain(Failure())
            shown = printable(frame, SHOWN)
            self.refuse("frame", f"has a frame that cannot be sent ({why}): {shown}")
            return False
        return True

    def broke(self, failure: Failure) -> None:
        """A fault of ours: nobody else would hear of it."""
        self.broken = True
        self._log.failure("input {name} has failed", failure, name=self._name)

    def refuse(self, cause: str, what: str, count: int = 1) -> None:
        """Count frames that cannot be sent."""
        self.refused += count
        self.complain(cause, what)

    def complain(self, cause: str, what: str) -> None:
        """Tell it, once for each cause."""
        if cause not in self._complained:
            self._complained.add(cause)
            self._log.error("input {name} {what}", name=self._name, what=what)


class Turns:
    """One at a time, in the order they came; thousands may wait."""

    def __init__(self) -> None:
        self._taken = False
        self._waiting: deque[Deferred[None]] = deque()
        self._calling = False

    async def take(self) -> None:
        """Wait for one's turn."""
        if self._taken:
            turn: Deferred[None] = Deferred()
            self._waiting.append(turn)
            await turn
        self._taken = True

    def give_back(self) -> None:
        """Whose turn is next, goes on."""
        self._taken = False
        if self._calling:
            return  # from within the loop below: no deeper
        self._calling = True
        while self._waiting and not self._taken:
            self._taken = True
            self._waiting.popleft().callback(None)
        self._calling = False


class Stream:
    """Bytes that belong together, on their way to become frames.

    :ivar faulty: no frame can be told apart any more.
    """

    def __init__(self, intake: Intake, cursor: Cursor | None = None) -> None:
        self.faulty = False
        self._intake = intake
        self._cursor = cursor
        self._decoder = intake.framing.decoder()
        self._skipped = 0
        self._behind = 0  # bytes behind the last frame: of one not whole, or passed over

    async def begin(self) -> bool:
        """Note where reading begins, for the run after this one; whether all is well."""
        place = self._place(b"", 0)
        return place is None or await self._intake.offer([], cursor=place)

    async def feed(self, data: bytes) -> bool:
        """Whether more can be taken."""
        if self.faulty:
            return False
        decoder, intake = self._decoder, self._intake
        before = 0 if intake.taken is None else len(decoder.eof())
        frames = decoder.feed(data)
        if frames is None:  # of a framing of a user's own: it would pass for no frame yet
            raise _nothing_returned(decoder, "feed")
        skipping = decoder.skipped > self._skipped
        if skipping:
            count, self._skipped = decoder.skipped - self._skipped, decoder.skipped
            intake.refuse("skipped", "has frames over the limit, they are left out", count)
        size = 0 if intake.taken is None else before + len(data) - len(decoder.eof())
        place = None
        if self._cursor is not None:
            place = self._place(data, self._after(frames, data, skipping))
        if frames and not await intake.offer(frames, size, place):
            return False
        if decoder.fault is not None:
            self.faulty = True
            intake.refuse("fault", f"has a fault: {decoder.fault}")
        return not self.faulty

    def _after(self, frames: list[bytes], data: bytes, skipping: bool) -> int:
        """How many of the bytes that were read are behind the last frame.

        A run that goes on there is in no frame that is passed over: it meets its
        beginning again, and passes over it, too.

        :param skipping: whether the decoder has passed over something in this chunk.
        """
        if not frames:
            self._behind += len(data)
        elif not skipping:
            self._behind = len(self._decoder.eof())
        else:
            self._behind = self._begin_behind(data)
        return self._behind

    def _begin_behind(self, data: bytes) -> int:
        """What is behind the last frame, some of it passed over: to a new decoder, for the
        old one is spent once it has said what that is."""
        rest = self._decoder.unread(data, [])
        self._decoder = self._intake.framing.decoder()
        self._decoder.feed(rest)
        self._skipped = self._decoder.skipped
        return len(rest)

    async def end(self) -> None:
        """A last line may lack its end; a last frame of any other framing may not."""
        tail = b"" if self.faulty else self._decoder.eof()
        if tail is None:
            raise _nothing_returned(self._decoder, "eof")
        if tail and self._intake.framing.line_like:
            place = self._place(b"", 0)
            await self._intake.offer([tail.removesuffix(b"\r")], len(tail), place)
        elif tail:
            what = f"ends inside a frame, {len(tail)} bytes of it are not sent"
            self._intake.refuse("tail", what)

    def _place(self, data: bytes, held: int) -> tuple[str, str] | None:
        """The cursor behind the frames that were whole, for an input that has one."""
        cursor = self._cursor
        return None if cursor is None else (cursor.name, cursor.mark(data, held))


def _nothing_returned(decoder: Decoder, method: str) -> TypeError:
    return TypeError(f"{type(decoder).__name__}.{method} returned None")


Resume = Callable[[Runner], Awaitable[object]]


class Input(Source):
    """Reads in a thread and offers frames to the link.

    :param intake: takes them.
    :param read: a blocking read: some bytes, b"" at the end; used in `runner`.
    :param runner: the thread.
    :param endless: b"" is not the end of everything, only of what belongs
        together: a writer has left, another file has begun.
    :param interrupt: has `read` end soon, from any thread.
    :param cursor: notes what was read.
    :param resume: goes on where a run before stopped; called once, before the
        first read.
    """

    def __init__(
        self,
        intake: Intake,
        read: Callable[[], bytes],
        runner: Runner,
        endless: bool = False,
        interrupt: Callable[[], object] | None = None,
        cursor: Cursor | None = None,
        resume: Resume | None = None,
    ) -> None:
        self.ended = Deferred()
        self._intake = intake
        self._read = read
        self._runner = runner
        self._endless = endless
        self._interrupt = interrupt
        self._cursor = cursor
        self._resume = resume
        self._unreadable = False

    @property
    def refused(self) -> int:
        """See `Source.refused`."""
        return self._intake.refused

    @property
    def failed(self) -> bool:
        """See `Source.failed`."""
        return self._unreadable or self._intake.broken

    def start(self) -> None:
        """See `Source.start`."""
        Deferred.fromCoroutine(self._run()).addErrback(self._intake.broke).addCallback(self._end)

    def stop(self) -> None:
        """See `Source.stop`."""
        self._intake.stopped = True
        if self._interrupt is not None:
            self._interrupt()
        self._runner.stop()

    async def _run(self) -> None:
        stream = self._intake.stream(self._cursor)
        while True:
            try:
                if self._resume is not None:
                    resume, self._resume = self._resume, None
                    await resume(self._runner)
                    if not await stream.begin():
                        return
                data = await self._runner.run(self._read)
            except OSError as error:
                self._unreadable = True
                self._intake.complain("unreadable", f"cannot be read ({os_reason(error)})")
                return
            if data:  # after the stop, too: then it is counted
                if not (await stream.feed(data) or (stream.faulty and self._endless)):
                    return
            elif self._intake.stopped:
                return
            else:
                await stream.end()
                if not self._endless:
                    self.exhausted = True
                    return
                stream = self._intake.stream(self._cursor)

    def _end(self, _: None) -> None:
        self._runner.stop()
        self.ended.callback(None)


class Taker:
    """Bytes from a transport into the link; the transport waits while the link has no room.

    The stream is begun with the first bytes, where a framing that raises is a fault
    of the input. Its maker is a protocol's `connectionMade`: what that raises, Twisted
    logs, and the connection stays half made.

    :param intake: takes the bytes.
    :param transport: is paused and resumed (`IPushProducer`).
    :param enough: called once when nothing more can be taken from here.
    """

    def __init__(self, intake: Intake, transport: Any, enough: Callable[[], object]) -> None:
        self._intake = intake
        self._stream: Stream | None = None
        self._transport = transport
        self._enough = enough
        self._chunks: deque[bytes] = deque()
        self._busy = self._held = self._finished = self._done = False

    def take(self, data: bytes) -> None:
        """Bytes have arrived."""
        if not self._done:
            self._chunks.append(data)
            self._go_on()

    def finish(self) -> None:
        """No more will; what has is taken still."""
        self._finished = True
        self._go_on()

    def _go_on(self) -> None:
        if self._busy or self._done:
            return
        self._busy = True
        Deferred.fromCoroutine(self._take()).addErrback(self._broke).addCallback(self._taken)
        if self._busy and not self._finished:
            self._held = True
            self._transport.pauseProducing()

    async def _take(self) -> None:
        stream = self._stream
        if stream is None:
            stream = self._stream = self._intake.stream()
        while self._chunks and not self._done:
            if not await stream.feed(self._chunks.popleft()):
                self._done = True
                self._enough()
        if self._finished and not self._done:
            self._done = True
            await stream.end()

    def _broke(self, failure: Failure) -> None:
        """Whoever is at the other end learns of it; what it sends is not read any more."""
        self._intake.broke(failure)
        if not self._done:
            self._done = True
            self._enough()

    def _taken(self, _: None) -> None:
        self._busy = False
        if self._held:
            self._held = False
            if not self._finished:
                self._transport.resumeProducing()
