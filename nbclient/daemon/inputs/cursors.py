"""Where an input file stopped being read: stored with its frames, found again at the next start.

A cursor is text: a JSON object. It names the file by what it is (`Identity`) and by digests
of what is in it: names are used again, and files of the same contents are not the same.
Where it is not certain that what was sent before is what is there, it is sent once more.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from attrs import frozen

from nbclient.daemon.inputs.identity import Identity
from nbclient.errors import LocalError

VERSION = 2
"""Of the cursors. Those of 1 have no version; they know a batch by its contents alone, and a
file that grows by its inode and first bytes."""

PIECE = 1024 * 1024
"""How much of a file is read at a time to find out whether it is known, bytes."""

HEAD = 256
"""So many bytes at the start of a file that grows are part of what it is known by."""

NEAR = 1024
"""So many bytes before the place are, too: other files may begin like it, as CSV files do."""

_MOST = 2**63 - 1


class DamagedCursor(LocalError):
    """What is stored for an input is no cursor; the argument says why."""


def storable(text: str) -> str:
    """This name as a spool can hold it: a path need not be UTF-8, its texts are.

    One that is stays as it is; of another, bytes that are not are escaped, and "bytes:" stands
    before it, so that no two names become one.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        data = os.fsencode(text).replace(b"\\", b"\\\\")
        return "bytes:" + data.decode("utf-8", "backslashreplace")
    return text


class Cursor(ABC):
    """The place up to which a file's frames were offered.

    :ivar name: of the input, in the spool.
    """

    name: str

    @abstractmethod
    def mark(self, data: bytes, held: int) -> str:
        """The place, as text, once the frames in what was read are accepted.

        :param data: what was read last.
        :param held: how many of the last bytes read are behind the last frame: of a frame
            that is not whole, or passed over.
        """


# -- a file that is read to its end, once


@frozen
class BatchPlace:
    """A place in a file that is read once, as `BatchCursor.mark` gave it.

    :ivar offset: bytes before the place.
    :ivar seen: bytes that were read, `digest` (SHA-256) is theirs.
    :ivar identity: of the file, None if not known (of a cursor of version 1).
    :ivar size: of the file when they had been read, bytes.
    :ivar written: when it had been written to last, nanoseconds since the epoch.
    """

    offset: int
    seen: int
    digest: str
    identity: Identity | None = None
    size: int = 0
    written: int = 0

    @property
    def done(self) -> bool:
        """True if all that was in the file had been taken."""
        return self.identity is not None and self.offset == self.size

    @classmethod
    def parse(cls, stored: str | None) -> BatchPlace | None:
        """Of what is stored; None: nothing is.

        :raises DamagedCursor: it makes no sense.
        """
        place = _Fields.read(stored)
        if place is None:
            return None
        offset = place.number("offset")
        if "seen" not in place.found:
            return cls(offset, offset, place.digest("sha256"))
        return cls(
            offset=offset,
            seen=place.number("seen", least=offset),
            digest=place.digest("sha256"),
            identity=place.identity(),
            size=place.number("size"),
            written=place.number("written", least=-_MOST),
        )


@frozen
class Resumed:
    """What became of a cursor.

    :ivar passed: bytes at the start of the file that are passed over.
    :ivar says: a line for the log, behind the input's name; "" if there is nothing to say.
    :ivar warns: it means that something may be sent twice, or was not sent.
    """

    passed: int = 0
    says: str = ""
    warns: bool = False


class BatchCursor(Cursor):
    """In a file that is read from its start to its end, once.

    What a run before has read is passed over if the file is the same one, begins with the
    same bytes (by their digest), and has only grown since then, or not changed at all.

    :param path: the file's.
    """

    def __init__(self, path: str) -> None:
        self.name = storable(f"file:{os.path.realpath(path)}")  # by whichever name, it is sent once
        self._read = 0
        self._digest = hashlib.sha256()
        self._identity: Identity | None = None
        self._size = self._written = 0

    def look(self, descriptor: int) -> None:
        """Note how large the file is now, and when it was written to. Blocks.

        :raises OSError: that cannot be known.
        """
        if self._identity is None:
            self._identity = Identity.of(descriptor)
        status = os.fstat(descriptor)
        self._size, self._written = status.st_size, status.st_mtime_ns

    def resume(self, descriptor: int, stored: str | None) -> Resumed:
        """Go on where `stored` says, if this is the file that it was noted for. Blocks.

        :param descriptor: the file; afterwards it stands where to read on.
        :raises OSError: it cannot be read.
        """
        self.look(descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return Resumed()  # a device has no places
        try:
            place = BatchPlace.parse(stored)
        except DamagedCursor as damage:
            return Resumed(
                says=f"read from its start: its cursor in the spool is damaged ({damage})",
                warns=True,
            )
        if place is None or not place.offset:
            return Resumed()
        same = place.identity is None or place.identity.is_of(descriptor)
        if place.done and not same:
            return Resumed()  # the old one was sent, and this is a new one
        digest = hashlib.sha256()
        if not (
            _digests(digest, descriptor, 0, place.offset)
            and _digests(rest := digest.copy(), descriptor, place.offset, place.seen)
            and rest.hexdigest() == place.digest
        ):
            return _changed(place)
        found = self._judged(place, same)
        if found.passed:
            os.lseek(descriptor, place.offset, os.SEEK_SET)
            self._read, self._digest = place.offset, digest
        return found

    def _judged(self, place: BatchPlace, same: bool) -> Resumed:
        """What is to be done with a file that begins with what was read before."""
        passed = place.offset
        behind = f"the first {passed} bytes were taken before, going on behind them"
        if place.identity is None:
            if self._size > passed:
                return Resumed(passed, f"{behind}; which file that was is not known", True)
            return _twice("a file of the same contents was sent before, perhaps this one")
        if not same:
            return _twice("another file that begins like it was sent in part before")
        if self._size > place.size:
            return Resumed(passed, behind)
        if (self._size, self._written) != (place.size, place.written):
            return _twice("it was sent before, and written to since, but it has not grown")
        if place.done:
            return Resumed(passed, f"all of its {passed} bytes were taken before, nothing is new")
        return Resumed(passed, behind)

    def mark(self, data: bytes, held: int) -> str:
        """See `Cursor.mark`; `look` comes first."""
        self._digest.update(data)
        self._read += len(data)
        assert self._identity is not None
        return json.dumps(
            {
                "version": VERSION,
                "offset": self._read - held,
                "seen": self._read,
                "sha256": self._digest.hexdigest(),
                **_named(self._identity),
                "size": self._size,
                "written": self._written,
            }
        )


def _digests(digest: Any, descriptor: int, start: int, stop: int) -> bool:
    """Take these bytes of a file into the digest; False: it has not so many.

    :raises OSError: it cannot be read.
    """
    while start < stop and (data := os.pread(descriptor, min(stop - start, PIECE), start)):
        digest.update(data)
        start += len(data)
    return start == stop


def _twice(why: str) -> Resumed:
    return Resumed(says=f"all of it is sent, perhaps once more: {why}", warns=True)


def _changed(place: BatchPlace) -> Resumed:
    """The contents are others; of a file that was not done, nothing more can be sent."""
    if place.done or place.identity is None:
        return Resumed()
    return Resumed(
        says=f"read from its start: it is no longer the file of which {place.offset} of"
        f" {place.size} bytes were taken before, the rest of that is not sent",
        warns=True,
    )


# -- a file that grows


@frozen
class NothingYet:
    """There was no file: all that comes is new.

    :ivar since: when reading began, nanoseconds since the epoch; None if not known (of a
        cursor before 0.1.0).
    """

    since: int | None

    @classmethod
    def parse(cls, stored: str | None) -> NothingYet | None:
        """Of what `text` gave; None: something else is stored.

        :raises DamagedCursor: it makes no sense.
        """
        place = _Fields.read(stored)
        if place is None or "nothing" not in place.found:
            return None
        known = place.found.get("since") is not None
        return cls(place.number("since", least=-_MOST) if known else None)

    @property
    def text(self) -> str:
        """To be stored."""
        return json.dumps({"version": VERSION, "nothing": True, "since": self.since})


@frozen
class TailPlace:
    """A place in a file that grows.

    :ivar identity: of the file.
    :ivar head: digest (SHA-256) of its first `head_size` bytes.
    :ivar offset: bytes before the place.
    :ivar seen: bytes before what had not been read.
    :ivar near: digest of the last `near_size` bytes before that; None if not known (of a
        cursor of version 1), as is `written`.
    :ivar written: when the file had been written to last, nanoseconds since the epoch.
    """

    identity: Identity
    head_size: int
    head: str
    offset: int
    seen: int
    near_size: int = 0
    near: str | None = None
    written: int | None = None

    @classmethod
    def of(cls, descriptor: int, offset: int, seen: int, near: bytes) -> TailPlace:
        """The place `offset` bytes into this file.

        :param seen: bytes of it that were read.
        :param near: the last of these.
        :raises OSError: it cannot be read.
        """
        size = min(HEAD, seen)
        return cls(
            identity=Identity.of(descriptor),
            head_size=size,
            head=_digest(os.pread(descriptor, size, 0)),
            offset=offset,
            seen=seen,
            near_size=len(near),
            near=_digest(near),
            written=os.fstat(descriptor).st_mtime_ns,
        )

    @classmethod
    def of_read(cls, identity: Identity, seen: int, near: bytes) -> TailPlace:
        """The place behind all that was read of this file, which need not be readable.

        :param near: the last bytes that were read.
        """
        return cls(identity, 0, _digest(b""), seen, seen, len(near), _digest(near))

    @classmethod
    def parse(cls, stored: str | None) -> TailPlace | None:
        """Of what `text` gave; None: nothing is stored.

        :raises DamagedCursor: it makes no sense.
        """
        place = _Fields.read(stored)
        if place is None:
            return None
        offset = place.number("offset")
        new = "seen" in place.found
        seen = place.number("seen", least=offset) if new else offset
        return cls(
            identity=place.identity(),
            head_size=place.number("head_size", most=min(HEAD, seen)),
            head=place.digest("head"),
            offset=offset,
            seen=seen,
            near_size=place.number("near_size", most=min(NEAR, seen)) if new else 0,
            near=place.digest("near") if new else None,
            written=place.number("written", least=-_MOST) if new else None,
        )

    @property
    def text(self) -> str:
        """To be stored."""
        return json.dumps(
            {
                "version": VERSION,
                **_named(self.identity),
                "head_size": self.head_size,
                "head": self.head,
                "offset": self.offset,
                "seen": self.seen,
                "near_size": self.near_size,
                "near": self.near,
                "written": self.written,
            }
        )

    def is_in(self, descriptor: int) -> bool:
        """Whether it is in this file.

        :raises OSError: it cannot be read.
        """
        if not self.identity.is_of(descriptor) or os.fstat(descriptor).st_size < self.seen:
            return False
        if _digest(os.pread(descriptor, self.head_size, 0)) != self.head:
            return False
        near = os.pread(descriptor, self.near_size, self.seen - self.near_size)
        return self.near is None or _digest(near) == self.near

    def find(self, path: str) -> int | None:
        """The file that it is in: under its name, or renamed in the same folder.

        :return: a descriptor to read from; None: it is gone.
        """
        descriptor = self._opened(Path(path))
        if descriptor is not None:
            return descriptor
        try:
            names = sorted(Path(path).absolute().parent.iterdir())
        except OSError:
            return None
        return next((found for name in names if (found := self._opened(name)) is not None), None)

    def _opened(self, name: Path) -> int | None:
        try:
            if name.stat().st_ino != self.identity.inode:
                return None
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:  # it has just gone, or is not to be read: it is not found
            return None
        try:
            found = self.is_in(descriptor)
        except OSError:
            found = False
        if not found:
            os.close(descriptor)
        return descriptor if found else None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# -- how they are stored


def _named(identity: Identity) -> dict[str, int | None]:
    return {"device": identity.device, "inode": identity.inode, "born": identity.born}


@frozen
class _Fields:
    """The fields of a cursor, none of which is believed unseen.

    :ivar found: by name.
    """

    found: dict[str, Any]

    @classmethod
    def read(cls, stored: str | None) -> _Fields | None:
        """Those of the object that is stored; None: nothing is.

        :raises DamagedCursor: it is none, or a later version's.
        """
        if not stored:
            return None
        try:
            found = json.loads(stored)
        except (ValueError, RecursionError):
            raise DamagedCursor("it is no JSON") from None
        if not isinstance(found, dict):
            raise DamagedCursor("it is no object")
        if found.get("version", VERSION) != VERSION:
            raise DamagedCursor(f"its version is not {VERSION}")
        return cls(found)

    def number(self, name: str, least: int = 0, most: int = _MOST) -> int:
        """A whole number within these bounds.

        :raises DamagedCursor: it is none.
        """
        value = self.found.get(name)
        if type(value) is int and least <= value <= most:
            return value
        raise DamagedCursor(f"its {name} is no number from {least} to {most}")

    def digest(self, name: str) -> str:
        """Hexadecimal digits.

        :raises DamagedCursor: it has another form.
        """
        value = self.found.get(name)
        if isinstance(value, str):
            return value
        raise DamagedCursor(f"its {name} is no text")

    def identity(self) -> Identity:
        """Which file it is.

        :raises DamagedCursor: that is not told.
        """
        born = None if self.found.get("born") is None else self.number("born", least=-_MOST)
        return Identity(self.number("device", most=2**64), self.number("inode", most=2**64), born)
