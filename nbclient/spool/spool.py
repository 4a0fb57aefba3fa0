"""Frames that outlive the process: stored before they are called accepted.

A `Spool` is the disk side of an outbox. Everything asked of it is queued and
returns at once; a thread takes all that waits, commits it as one transaction
(`synchronous=FULL`), and only then are the callbacks called, on the thread of
the caller's choice. There is no Twisted here: bytes in, callbacks out.

What a failed commit leaves:

- frames to be added fail, every one in that transaction and no other;
- everything else (acknowledgements, frames set aside, attempts) is tried again
  until it is stored: were it lost, frames would be sent twice, or not kept.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from attrs import define, field

from nbclient.delivery.outbox import Outbox
from nbclient.errors import FrameError, OutboxFull
from nbclient.spool import file as spool_file
from nbclient.spool.database import ChangingStore, Description, SpooledFrame, Totals
from nbclient.spool.file import Connect
from nbclient.spool.folder import Lock, SpoolError, is_volatile, make_folder, reason

TRANSACTION_BYTES = 8 * 1024 * 1024
"""About how much is committed at a time; a longer batch is still one transaction."""

MOST_FORGOTTEN = 4096
"""How many frames at most are forgotten at a time where there is little room."""

LOG_SPARE = 64 * 1024 * 1024
"""How much longer than the spool's limit its log may get while somebody reads, bytes."""

RETRY = 1.0
"""Seconds until what could not be stored is tried again."""

Done = Callable[[Exception | None], None]
"""Told how it ended: None once it is stored, else a `SpoolError`."""

Loaded = Callable[[Exception | None, Sequence[SpooledFrame]], None]
"""Told what was read, or why it could not be."""

Deliver = Callable[[Callable[[], None]], object]
"""Has a function called soon on the caller's thread, as ``reactor.callFromThread`` does."""


class SpoolFailed(SpoolError):
    """The disk did not take it; nothing of it is stored."""


class SpoolOfAnotherPeer(SpoolError):
    """The spool holds frames for somebody else.

    :ivar frames: how many, those set aside included.
    :ivar peer: for whom.
    """

    def __init__(self, folder: Path, frames: int, peer: str, wanted: str) -> None:
        noun = "frame" if frames == 1 else "frames"
        super().__init__(
            f"{folder}: holds {frames} {noun} for {peer}, not for {wanted};"
            " --spool-adopt sends them there all the same"
        )
        self.frames = frames
        self.peer = peer


@define(eq=False)
class _Request:
    """Something to be committed.

    :ivar apply: does it, within a transaction.
    :ivar size: what it weighs in a transaction, bytes.
    :ivar adds: it adds frames: it fails with its transaction, and is not tried again.
    :ivar cursor: name and value of an input's cursor, stored with it.
    :ivar term: of that cursor, see `Spool.append`.
    :ivar upto: of an acknowledgement, else 0.
    :ivar forgets: the first and the last of the frames that it is to remove.
    """

    apply: Callable[[ChangingStore], object]
    dones: tuple[Done, ...]
    size: int = 0
    adds: bool = False
    cursor: tuple[str, str] | None = None
    term: int = 0
    upto: int = 0
    forgets: tuple[int, int] | None = None


@define(eq=False)
class _Load:
    after: int
    most: int
    done: Loaded


@define(eq=False)
class _Taken:
    """What the thread works on next."""

    requests: list[_Request] = field(factory=list)
    loads: list[_Load] = field(factory=list)


class Spool:
    """One link's frames on disk. Made by `open`; `start` starts its thread.

    All methods but `open` and `step` belong to one thread, the one that
    `deliver` calls back on, and return at once. Opened after a fork, never before.

    :ivar totals: what it holds, as of the last callback.
    :ivar cursors: where each input stopped reading, likewise.
    :ivar limit: the bound, bytes, `FRAME_COST` a frame included.
    :ivar trouble: why the last commit failed; None where it did not.
    """

    def __init__(
        self,
        store: ChangingStore,
        lock: Lock,
        limit: int,
        deliver: Deliver,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._lock = lock
        self._deliver = deliver
        self._now = now
        self.folder = store.path.parent
        self.limit = limit
        self.totals = store.totals
        self.cursors = dict(store.cursors)
        self.trouble: SpoolError | None = None
        self._last = store.last_seq
        self._undecided = 0  # bytes of the appends whose callback is still to come
        self._terms: dict[str, int] = {}
        self._thread: threading.Thread | None = None
        self._closed = False
        self._user: object = None
        self._used = False  # by `_user`, still
        # Shared with the thread. It alone takes from the queue, the caller alone adds to it.
        self._changed = threading.Condition()
        self._queue: deque[_Request | _Load] = deque()
        self._idle = False
        # And under the condition's lock:
        self._closing: list[Done] | None = None
        self._ended = False
        # The thread's own:
        self._again: list[_Request] = []
        self._failed_terms: dict[str, int] = {}
        self._untidy = True

    @classmethod
    def open(
        cls,
        directory: str | Path,
        link_name: str,
        peer: str,
        limit_bytes: int,
        *,
        deliver: Deliver,
        adopt: bool = False,
        wait: float = 10.0,
        pause: Callable[[float], bool] | None = None,
        now: Callable[[], float] = time.time,
        connect: Connect = spool_file.connect,
    ) -> Spool:
        """Open the spool of this link in `directory`, and make it where it is missing.

        Blocks, for up to `wait` seconds while another process has it, and as
        long as it takes to read the file once: call it off the reactor's thread.

        :param peer: where the frames go, as text. A spool that holds frames
            for another peer is refused; an empty one forgets its cursors.
        :param limit_bytes: the bound of frames waiting and set aside, `FRAME_COST` each included.
        :param deliver: has a function called soon on the caller's thread.
        :param adopt: the peer is the old one under a new name: frames and cursors stay.
        :param pause: sleeps so many seconds while waiting for the owner; True gives up.
        :param now: the time of day, seconds since the epoch.
        :param connect: opens the database (for tests).
        :raises SpoolInUse: another process has it.
        :raises SpoolOfAnotherPeer: it holds frames for somebody else.
        :raises SpoolError: it cannot be used; it is left as it was found.
        """
        folder = make_folder(Path(directory).absolute(), link_name)
        with ExitStack() as undo:
            lock = Lock.take(folder, wait) if pause is None else Lock.take(folder, wait, pause)
            undo.callback(lock.release)
            store = _open_store(folder, Description(link_name, peer), adopt, connect)
            undo.callback(store.close)
            spool = cls(store, lock, limit_bytes, deliver, now)
            undo.pop_all()
            return spool

    # -- what it holds -------------------------------------------------------------------

    @property
    def oldest_age(self) -> float | None:
        """Seconds since the first frame that waits was accepted, by the time of day."""
        oldest = self.totals.oldest
        return None if oldest is None else max(0.0, self._now() - oldest)

    @property
    def room(self) -> int:
        """What may still be added, bytes, `FRAME_COST` a frame included; never negative."""
        return max(0, self.limit - self.totals.size - self._undecided)

    @property
    def volatile(self) -> bool:
        """Whether a restart of the machine loses it all (tmpfs): worth a warning."""
        return is_volatile(self.folder)

    @property
    def last_seq(self) -> int:
        """The highest number given to a frame so far, 0 before the first."""
        return self._last

    # -- whose it is ---------------------------------------------------------------------

    def claim(self, user: object) -> None:
        """From now on `user` alone sends what it holds: two would send it twice.

        :raises SpoolError: it is closed, or somebody else has it.
        """
        if self._closed:
            raise self._is_closed()
        if self._used:
            raise SpoolError(f"{self.folder}: another link has it, and it is for one at a time")
        self._user, self._used = user, True

    def reclaim(self, user: object) -> None:
        """As `claim`, for who knows from before what it holds.

        :raises SpoolError: it is closed, or somebody else has claimed it since.
        """
        if self._closed:
            raise self._is_closed()
        if self._user is not user:
            raise SpoolError(f"{self.folder}: another link has had it since; make a new link")
        self._used = True

    def release(self) -> None:
        """Its user sends no more, for now: another may claim it."""
        self._used = False

    # -- what is asked of it -------------------------------------------------------------

    def append(
        self, frames: Sequence[bytes], done: Done, cursor: tuple[str, str] | None = None
    ) -> int:
        """Add frames to the end.

        The numbers count on from the one returned. Those of a batch that
        fails stay unused.

        :param done: told None once all are on the disk, or why none is.
        :param cursor: name and value of an input's cursor, stored with the
            frames. Where that fails, every later batch of the same cursor fails
            too until `done` has told of it: none may be read past what is not stored.
        :return: the number of the first one.
        :raises FrameError: a frame is longer than SQLite stores.
        :raises OutboxFull: they do not fit into `room`.
        :raises SpoolError: the spool is closed.
        """
        frames = tuple(frames)
        size = Outbox.cost(frames)
        if size > spool_file.LONGEST and max(map(len, frames)) > spool_file.LONGEST:
            raise FrameError(f"a spool stores frames of up to {spool_file.LONGEST} bytes")
        if frames and size > self.room:
            raise OutboxFull(self.limit, size)
        first = self._last + 1
        request = _Request(
            partial(_append, first=first, frames=frames, cursor=cursor, now=self._now()),
            (done,),
            size,
            adds=True,
            cursor=cursor,
            term=self._terms.get(cursor[0], 0) if cursor else 0,
        )
        self._ask(request)
        self._last += len(frames)
        self._undecided += size
        return first

    def cursor(self, name: str, value: str, done: Done | None = None) -> None:
        """Move an input's cursor alone: it has read what gives no frames.

        :raises SpoolError: the spool is closed.
        """
        self.append((), done or _ignore, (name, value))

    def acknowledge(self, upto: int, done: Done | None = None) -> None:
        """Every frame that waits up to this number is delivered, and may be forgotten.

        :raises SpoolError: the spool is closed.
        """
        self._ask(_removal(1, upto, (done,) if done else (), upto))

    def drop(self, first: int, last: int, done: Done | None = None) -> None:
        """Forget the frames that wait with these numbers (expired, or dropped by choice).

        :raises SpoolError: the spool is closed.
        """
        self._ask(_removal(first, last, (done,) if done else ()))

    def set_aside(self, seq: int, reason: str, done: Done | None = None) -> None:
        """Keep this frame, but send it no more.

        :raises SpoolError: the spool is closed.
        """
        move = partial(ChangingStore.set_aside, seq=seq, why=reason, now=self._now())
        self._ask(_Request(move, (done,) if done else ()))

    def attempted(self, first: int, last: int, done: Done | None = None) -> None:
        """The frames with these numbers were sent on a connection that was lost.

        :raises SpoolError: the spool is closed.
        """
        count = partial(ChangingStore.count_attempt, first=first, last=last)
        self._ask(_Request(count, (done,) if done else ()))

    def load(self, after: int, most: int, done: Loaded) -> None:
        """Read the frames that wait behind number `after`, in order.

        Those of every `append` whose callback has come before are among them.

        :param most: about how many bytes, `FRAME_COST` a frame included; one
            frame at least. Fewer frames only where there are no more.
        :raises SpoolError: the spool is closed.
        """
        self._ask(_Load(after, most, done))

    def start(self) -> None:
        """Start the thread that does it."""
        # A daemon: a disk that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="nbclient spool", daemon=True)
        self._thread.start()

    def close(self, done: Done | None = None) -> None:
        """Do all that was asked, then close the file and let go of the lock.

        Where the thread was never started, this does it here and now.

        :param done: told once it is closed: None, or why something is not
            stored that `done`'s caller believed to be (frames will be sent again).
        """
        self._closed = True
        with self._changed:
            if self._ended:
                self._deliver(partial(done or _ignore, None))
                return
            self._closing = [*(self._closing or ()), done or _ignore]
            self._changed.notify()
        if self._thread is None:
            self._run()

    def join(self, timeout: float | None = None) -> bool:
        """Block until the thread has ended.

        :param timeout: seconds to wait at most.
        :return: whether it has.
        """
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _ask(self, request: _Request | _Load) -> None:
        if self._closed:
            raise self._is_closed()
        self._queue.append(request)
        if self._idle:  # else it looks before it waits; to take the lock each time is dear
            with self._changed:
                self._changed.notify()

    def _is_closed(self) -> SpoolError:
        return SpoolError(f"{self.folder}: is closed")

    # -- the thread ----------------------------------------------------------------------

    def _run(self) -> None:
        while self._wait():
            self.step()
        self._finish()

    def _wait(self) -> bool:
        """Block until there is something to do; False when that is to end."""
        with self._changed:
            self._idle = True  # before the look: what comes after it is told of
            if not self._queue and self._closing is None and not self._untidy:
                self._changed.wait(RETRY if self._again else None)
            self._idle = False
            return bool(self._queue) or self._closing is None

    def step(self) -> None:
        """Do what waits: the thread's work, to be called by hand where there is no thread."""
        taken = self._take()
        # Only what is forgotten leaves pages free, and to look costs a tenth of a small commit.
        self._untidy |= bool(self._again) or any(not r.adds for r in taken.requests)
        if self._again:
            # By itself: what fails for want of room may go through without the new frames.
            kept = [*self._again, *(r for r in taken.requests if not r.adds)]
            taken.requests = [r for r in taken.requests if r.adds]
            self._settle(kept)
        self._commit(taken.requests)
        for load in taken.loads:
            self._load(load)
        self._tidy()

    def _take(self) -> _Taken:
        """The oldest requests, about `TRANSACTION_BYTES` of them."""
        taken, size = _Taken(), 0
        while self._queue and size < TRANSACTION_BYTES:
            request = self._queue.popleft()
            if isinstance(request, _Load):
                taken.loads.append(request)
                break  # so that it sees what was asked before it, and nothing after it
            taken.requests.append(request)
            size += request.size
        return taken

    def _commit(self, requests: list[_Request]) -> None:
        requests = self._refuse_stale(requests)
        if not requests:
            return
        try:
            self._transact(requests)
        except Exception as error:
            self._store.rollback()
            self._fail(requests, self._failure(error))
        else:
            self._tell(requests, None)

    def _settle(self, kept: list[_Request]) -> None:
        """Commit what could not be stored before: all at once, else bit by bit, in order."""
        self._again = []
        self._commit(kept)
        left, self._again = self._again, []
        while left and not self._again:
            request = left.pop(0)
            if request.forgets:
                self._forget(*request.forgets)
            self._commit([request])
        self._again += left

    def _forget(self, first: int, last: int) -> None:
        """Forget the frames with these numbers, as many at a time as there is room for.

        Each page that is given back goes through the log first, so to forget much at
        once takes much room.
        """
        most = MOST_FORGOTTEN
        while most:
            try:
                self._store.begin()
                count = self._store.remove_some(first, last, most)
                self._store.commit()
                self._store.write_back()
            except Exception:  # of what is left `_commit` tells
                self._store.rollback()
                most //= 8
            else:
                if count < most:
                    return

    def _transact(self, requests: list[_Request]) -> None:
        store = self._store
        added = sum(request.size for request in requests)
        if added:
            store.check_place()
            store.make_room(added, self._bounded_log())
        store.begin()
        for request in requests:
            request.apply(store)
        store.commit()

    def _bounded_log(self) -> int:
        """The size of the log, bytes.

        :raises SpoolError: it cannot be written back, for somebody reads, and is too long.
        """
        most = self.limit + LOG_SPARE
        size = self._store.log_size()
        if size <= most:
            return size
        self._store.write_back()
        size = self._store.log_size()
        if size > most:
            raise SpoolError(
                f"{self._store.path}: its log is over {most} bytes long,"
                " for another program keeps the file open for reading"
            )
        return size

    def _refuse_stale(self, requests: list[_Request]) -> list[_Request]:
        """Fail the batches that follow one of the same cursor that failed."""
        stale = [
            r for r in requests if r.cursor and r.term < self._failed_terms.get(r.cursor[0], 0)
        ]
        if not stale:
            return requests
        why = SpoolFailed(f"{self._store.path}: what was read before it is not stored")
        self._tell(stale, why)
        return [request for request in requests if request not in stale]

    def _fail(self, requests: list[_Request], why: SpoolError) -> None:
        added = [request for request in requests if request.adds]
        for request in added:
            if request.cursor:
                self._failed_terms[request.cursor[0]] = request.term + 1
        self._again = _merged([*self._again, *(r for r in requests if not r.adds)])
        self._tell(added, why)

    def _failure(self, error: Exception) -> SpoolError:
        if isinstance(error, SpoolError):
            return error
        why = reason(error) if isinstance(error, OSError) else error
        failed = SpoolFailed(f"{self._store.path}: not stored: {why}")
        failed.__cause__ = error
        return failed

    def _load(self, load: _Load) -> None:
        try:
            frames = self._store.load(load.after, load.most)
        except Exception as error:
            why = SpoolFailed(f"{self._store.path}: cannot be read: {error}")
            self._deliver(partial(load.done, why, ()))
        else:
            self._deliver(partial(load.done, None, frames))

    def _tidy(self) -> None:
        """Give back room: a piece after each commit, until there is no more to give."""
        if not self._untidy:
            return
        try:
            self._untidy = self._store.shrink()
        except Exception:
            # A full or failing disk; whoever stores something there is told.
            self._untidy = False
            self._store.rollback()

    def _finish(self) -> None:
        self._settle(self._again)
        why: SpoolError | None = None
        if self._again:
            why = SpoolFailed(
                f"{self._store.path}: not everything delivered could be noted as such"
            )
            self._tell(self._again, why)
        try:
            self._store.close()
        except Exception as error:
            why = self._failure(error)
        self._lock.release()
        with self._changed:
            self._ended = True
            closing = self._closing or ()
        for done in closing:
            self._deliver(partial(done, why))

    # -- back on the caller's thread -----------------------------------------------------

    def _tell(self, requests: Sequence[_Request], why: SpoolError | None) -> None:
        """Have the callbacks called: once for all, since each call wakes the reactor."""
        self._deliver(partial(self._told, tuple(requests), why, self._store.totals))

    def _told(self, requests: Sequence[_Request], why: SpoolError | None, totals: Totals) -> None:
        self.totals = totals
        self.trouble = why
        for request in requests:
            self._undecided -= request.size
            if request.cursor and why is None:
                self.cursors[request.cursor[0]] = request.cursor[1]
        with ExitStack() as calls:  # one that raises does not keep the others from being told
            for request in reversed(requests):
                for done in reversed(request.dones):
                    calls.callback(done, why)
                if request.cursor and why is not None:
                    # Not earlier: who is told before may ask for more of the same cursor.
                    calls.callback(self._next_term, request.cursor[0], request.term + 1)

    def _next_term(self, cursor: str, term: int) -> None:
        """What is asked from now on is read by one who knows what failed."""
        self._terms[cursor] = max(self._terms.get(cursor, 0), term)


def _open_store(folder: Path, wanted: Description, adopt: bool, connect: Connect) -> ChangingStore:
    if not spool_file.check_files(folder):
        spool_file.create(folder, wanted)
    found, totals = spool_file.examine(folder)
    if found.link != wanted.link:
        raise SpoolError(f"{folder}: belongs to the link {found.link!r}, not to {wanted.link!r}")
    held = totals.waiting + totals.set_aside
    if found.peer != wanted.peer and held and not adopt:
        raise SpoolOfAnotherPeer(folder, held, found.peer, wanted.peer)
    store = spool_file.open_to_change(folder, connect)
    if found.peer != wanted.peer:
        _change_peer(store, wanted, adopt)
    return store


def _change_peer(store: ChangingStore, wanted: Description, adopt: bool) -> None:
    try:
        store.begin()
        store.describe(wanted)
        if not adopt:  # the new peer has seen nothing of what was read for the old one
            store.forget_cursors()
        store.commit()
    except Exception as error:
        store.close()
        raise SpoolError(f"{store.path}: cannot be changed: {error}") from None


def _append(
    store: ChangingStore,
    first: int,
    frames: Sequence[bytes],
    cursor: tuple[str, str] | None,
    now: float,
) -> None:
    if frames:
        store.append(first, frames, now)
    if cursor is not None:
        store.put_cursor(*cursor)


def _removal(first: int, last: int, dones: tuple[Done, ...], upto: int = 0) -> _Request:
    remove = partial(ChangingStore.remove, first=first, last=last)
    return _Request(remove, dones, upto=upto, forgets=(first, last))


def _merged(requests: list[_Request]) -> list[_Request]:
    """The same with neighbouring acknowledgements as one, so that they cannot pile up."""
    merged: list[_Request] = []
    for request in requests:
        if request.upto and merged and merged[-1].upto:
            upto = max(merged[-1].upto, request.upto)
            dones = (*merged[-1].dones, *request.dones)
            merged[-1] = _removal(1, upto, dones, upto)
        else:
            merged.append(request)
    return merged


def _ignore(_: Exception | None) -> None:
    """For who need not be told."""
