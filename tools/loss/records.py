"""What the server wrote down, and what of that was lost, doubled or out of order."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field, frozen


@define
class Visit:
    """A connection as the server saw it.

    :ivar port: where it came from.
    :ivar numbers: the frames worked on, in order.
    :ivar broken: lines that were no whole frame.
    :ivar tail: bytes of a frame left unfinished at the peer's end; None: the server
        died first.
    :ivar taken: at the server's death, bytes that its kernel can have acknowledged at
        most; None: it did not die, or half-closed and went on.
    """

    port: int
    numbers: list[int] = field(factory=list)
    broken: int = 0
    tail: int | None = None
    taken: int | None = None


@define
class Record:
    """Everything, over all lives.

    :ivar worked: the frames worked on, in order, whatever the connection.
    :ivar deaths: the kinds, in order.
    """

    visits: list[Visit] = field(factory=list)
    worked: list[int] = field(factory=list)
    deaths: list[str] = field(factory=list)


def read_record(lines: Iterable[str]) -> Record:
    """Read what `tools.loss.server` writes.

    :raises ValueError: it has not written that.
    """
    record = Record()
    latest: dict[str, Visit] = {}
    visit = Visit(0)
    for line in lines:
        what, _, rest = line.partition(" ")
        if what.isdigit():
            visit.numbers.append(int(what))
            record.worked.append(int(what))
        elif what == "C":
            visit = latest[rest] = Visit(int(rest))
            record.visits.append(visit)
        elif what == "@":
            visit = latest[rest]
        elif what == "E":
            visit.tail = int(rest)
        elif what == "B":
            visit.broken += 1
        elif what == "T":
            visit.taken = sum(map(int, rest.split()))
        elif what == "X":
            record.deaths.append(rest)
        else:
            raise ValueError(f"the server's record holds {line!r}")
    return record


@frozen
class Outcome:
    """What came of `count` frames.

    :ivar lost: never worked on.
    :ivar duplicated: worked on again, each time counted.
    :ivar out_of_order: came for the first time after one with a higher number.
    :ivar broken: lines that were no whole frame.
    :ivar cut: connections that the sender ended inside a frame.
    """

    lost: int
    duplicated: int
    out_of_order: int
    broken: int
    cut: int


def outcome(record: Record, count: int) -> Outcome:
    """Count over all connections."""
    seen: set[int] = set()
    out_of_order = 0
    highest = -1
    for number in record.worked:
        if number not in seen:
            seen.add(number)
            out_of_order += number < highest
            highest = max(highest, number)
    return Outcome(
        lost=count - len(seen),
        duplicated=len(record.worked) - len(seen),
        out_of_order=out_of_order,
        broken=sum(visit.broken for visit in record.visits),
        cut=sum(bool(visit.tail) for visit in record.visits),
    )
