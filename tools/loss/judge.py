"""nbclient's own counters against the server's record.

A link claims, at the end of each connection, how many frames in all were delivered.
The connection that follows begins with the first that was not. So the claims and
the number of frames worked on at each connection foretell what is lost and what comes
twice, frame by frame; the record has to show just that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import define, frozen

from tools.loss.frames import LENGTH
from tools.loss.records import Outcome, Record, Visit


@frozen
class Claim:
    """What the link said of one connection.

    :ivar port: its local port.
    :ivar acknowledged: frames delivered when it was over, since the start.
    :ivar resent: frames to be sent again when it was over, since the start.
    """

    port: int
    acknowledged: int
    resent: int


@frozen
class Claims:
    """All that a link said.

    :ivar levels: of delivery, that were in force on its connections.
    :ivar end: the last line; empty where it did not get so far.
    """

    connections: Sequence[Claim]
    levels: Sequence[str]
    end: Mapping[str, Any]


def read_claims(events: Iterable[Mapping[str, Any]]) -> Claims:
    """Read what `tools.loss.send_nbclient` prints."""
    claims: list[Claim] = []
    levels = set()
    port = 0
    end: Mapping[str, Any] = {}
    for event in events:
        if event["event"] == "connection":
            port = event["port"]
            levels.add(event["delivery"])
            continue
        if event["event"] == "end":
            end = event
        if port:  # otherwise it was lost before it was ready
            claims.append(Claim(port, event["acknowledged"], event["resent"]))
            port = 0
    return Claims(claims, sorted(levels), end)


@define
class Foretold:
    """What the claims make one expect.

    :ivar lost: frames that were called delivered and that nobody worked on.
    :ivar duplicated: frames worked on that were not called delivered, and came again.
    :ivar unread: of each connection, how many more were called delivered than worked on.
    """

    lost: int
    duplicated: int
    unread: list[int]


def foretell(claims: Sequence[Claim], worked: Sequence[int]) -> Foretold:
    """The losses that follow from the claims.

    :param worked: how many frames the server worked on, of each connection.
    """
    lost = duplicated = start = highest = 0
    unread = []
    for claim, done in zip(claims, worked, strict=True):
        duplicated += max(0, min(highest, start + done) - start)
        highest = max(highest, start + done)
        lost += max(0, claim.acknowledged - max(start, highest))
        unread.append(claim.acknowledged - start - done)
        # A frame called delivered is never sent again: those up to here are decided.
        start = claim.acknowledged
        highest = max(highest, start)
    return Foretold(lost, duplicated, unread)


def pair(
    claims: Sequence[Claim], visits: Sequence[Visit], onward: Mapping[int, Sequence[int]] | None
) -> tuple[list[Visit | None], list[Visit]]:
    """The visit that belongs to each claim, None where the server never saw it.

    :param onward: the relay's ports towards the server, by the port it was called from.
    :return: and the visits with frames that belong to none.
    """
    left = list(visits)
    taken = {port: list(ports) for port, ports in (onward or {}).items()}
    pairs: list[Visit | None] = []
    for claim in claims:
        port = claim.port
        if onward is not None:
            ports = taken.get(port, [])
            port = ports.pop(0) if ports else 0
        found = next((visit for visit in left if visit.port == port), None)
        if found is not None:
            left.remove(found)
        pairs.append(found)
    return pairs, [visit for visit in left if visit.numbers]


def faults_of_order(pairs: Sequence[Visit | None], claims: Sequence[Claim]) -> list[str]:
    """Each connection begins with the first frame not delivered and leaves none out."""
    faults = []
    start = 0
    for index, (visit, claim) in enumerate(zip(pairs, claims, strict=True), 1):
        numbers = visit.numbers if visit else []
        if numbers != list(range(start, start + len(numbers))):
            faults.append(
                f"connection {index} begins with {numbers[0]} and ends with {numbers[-1]} "
                f"in {len(numbers)} frames; it had to begin with {start} and leave out none"
            )
        start = claim.acknowledged
    return faults


def too_much(pairs: Sequence[Visit | None], claims: Sequence[Claim]) -> list[str]:
    """Nothing is called delivered that the server's kernel never had; plain and direct only."""
    faults = []
    start = 0
    for index, (visit, claim) in enumerate(zip(pairs, claims, strict=True), 1):
        delivered, start = claim.acknowledged - start, claim.acknowledged
        if visit is not None and visit.taken is not None and delivered * LENGTH > visit.taken:
            faults.append(
                f"connection {index}: {delivered} frames were called delivered, but the "
                f"server's kernel had {visit.taken // LENGTH} at most"
            )
    return faults


def not_settled(pairs: Sequence[Visit | None], unread: Sequence[int]) -> list[str]:
    """What the server read to the peer's end is just what was called delivered; direct only.

    So a half-close costs nothing: what it goes on reading is not sent again.
    """
    return [
        f"connection {index}: the server read to its end, and {more} more frames were called "
        "delivered than it worked on"
        for index, (visit, more) in enumerate(zip(pairs, unread, strict=True), 1)
        if visit is not None and visit.tail == 0 and more
    ]


def judge_by_record(result: Outcome) -> list[str]:
    """What is wrong with a delivery that must lose nothing; the counters are not known."""
    checks = [
        (result.lost, "{} frames are lost"),
        (result.out_of_order, "{} frames are out of order"),
        (result.broken, "{} frames came in part"),
    ]
    return [text.format(found) for found, text in checks if found]


def judge(
    level: str,
    count: int,
    record: Record,
    result: Outcome,
    claims: Claims,
    onward: Mapping[int, Sequence[int]] | None = None,
    secure: bool = False,
) -> list[str]:
    """What is wrong; empty: the counters tell the truth, and the level is kept.

    :param level: ``written``, ``tcp`` or ``reply``.
    :param secure: under TLS, where the bytes that the kernel had are not those of frames.
    :param onward: see `pair`; None: no relay.
    """
    end = claims.end
    if not end:
        return ["the link did not come to its end"]
    pairs, strangers = pair(claims.connections, record.visits, onward)
    faults = faults_of_order(pairs, claims.connections)
    if level != "written" and onward is None and not secure:
        faults += too_much(pairs, claims.connections)
    worked = [len(visit.numbers) if visit else 0 for visit in pairs]
    foretold = foretell(claims.connections, worked)
    if level != "reply" and onward is None:
        faults += not_settled(pairs, foretold.unread)
    checks = [
        (claims.levels, [level], "the levels in force were {}, not {}"),
        (end["conserved"], True, "conservation of frames: {}, not {}"),
        (end["acknowledged"], count, "{} frames were called delivered, not {}"),
        (end["waiting"], 0, "{} frames still waited, not {}"),
        (len(strangers), 0, "{} connections with frames are nobody's, not {}"),
        (result.lost, foretold.lost, "{} frames are lost; delivered and not worked on are {}"),
        (result.duplicated, foretold.duplicated, "{} frames came twice; foretold were {}"),
        (result.out_of_order, 0, "{} frames are out of order, not {}"),
        (result.broken, 0, "{} frames came in part, not {}"),
        (
            max(result.duplicated - end["resent"], 0),
            0,
            "{} more came twice than were resent, not {}",
        ),
    ]
    if level == "reply":
        checks.append((result.lost, 0, "{} frames are lost, not {}"))
    elif level == "written":
        checks.append((end["resent"], 0, "{} frames were sent again, not {}"))
    faults += [text.format(found, wanted) for found, wanted, text in checks if found != wanted]
    return faults
