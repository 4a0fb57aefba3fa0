"""The loss harness: that it would find a lie, and a small run of it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.real.children import Child, python
from tools.loss.frames import LENGTH, frame, number_of
from tools.loss.judge import Claim, Claims, foretell, judge, judge_by_record, pair, read_claims
from tools.loss.records import Outcome, Record, Visit, outcome, read_record
from tools.loss.schedule import KINDS, deaths

COUNT = 100


def record_of(*runs: range, taken: int | None = None) -> Record:
    """What the server writes where each connection brought one of `runs`."""
    visits = [Visit(port, list(run), taken=taken) for port, run in enumerate(runs, 1)]
    return Record(visits, [number for run in runs for number in run])


def claims_of(*acknowledged: int, resent: int = 0, **end: Any) -> Claims:
    """What a link says of connections after which so many frames were delivered."""
    claims = [Claim(port, count, resent) for port, count in enumerate(acknowledged, 1)]
    told = {"conserved": True, "acknowledged": acknowledged[-1], "waiting": 0, "resent": resent}
    return Claims(claims, ["tcp"], {**told, **end})


def faults(record: Record, claims: Claims, level: str = "tcp", **more: Any) -> list[str]:
    claims = attrs.evolve(claims, levels=[level]) if claims.levels == ["tcp"] else claims
    return judge(level, COUNT, record, outcome(record, COUNT), claims, **more)


# -- the oracles ------------------------------------------------------------------------


def test_a_link_that_tells_the_truth_passes() -> None:
    """40 worked on, 45 acknowledged: the five between are lost, and that was foretold."""
    assert faults(record_of(range(40), range(45, 100)), claims_of(45, 100, resent=10)) == []


def test_frames_that_were_worked_on_and_not_acknowledged_come_twice() -> None:
    record = record_of(range(40), range(30, 100))
    assert outcome(record, COUNT) == Outcome(0, 10, 0, 0, 0)
    assert faults(record, claims_of(30, 100, resent=10)) == []
    assert faults(record, claims_of(30, 100, resent=9)) == [
        "1 more came twice than were resent, not 0"
    ]


def test_a_frame_that_was_called_delivered_too_early_is_found() -> None:
    """The next connection begins one frame behind what was claimed."""
    found = faults(record_of(range(40), range(46, 100)), claims_of(45, 100))
    assert any("it had to begin with 45" in fault for fault in found)


def test_more_acknowledged_than_the_servers_kernel_had_is_found() -> None:
    record = record_of(range(40), range(45, 100))
    record.visits[0].taken = 45 * LENGTH
    assert faults(record, claims_of(45, 100)) == []
    record.visits[0].taken = 45 * LENGTH - 1
    [fault] = faults(record, claims_of(45, 100))
    assert "kernel had 44 at most" in fault
    assert faults(record, claims_of(45, 100), secure=True) == []  # those bytes are others


def test_what_a_half_closed_server_went_on_reading_is_not_sent_again() -> None:
    """Taking stock at once, at the peer's FIN, would do that."""
    record = record_of(range(40), range(30, 100))
    record.visits[0].tail = record.visits[1].tail = 0
    [fault] = faults(record, claims_of(30, 100, resent=10))
    assert "connection 1: the server read to its end, and -10 more" in fault


def test_at_level_reply_nothing_may_be_lost() -> None:
    lossy = record_of(range(40), range(45, 100)), claims_of(45, 100)
    assert faults(*lossy, level="reply") == ["5 frames are lost, not 0"]
    assert (
        faults(record_of(range(40), range(30, 100)), claims_of(30, 100, resent=10), "reply") == []
    )


def test_at_level_written_nothing_is_sent_again() -> None:
    record = record_of(range(40), range(45, 100))
    assert faults(record, claims_of(45, 100), "written") == []
    assert faults(record, claims_of(45, 100, resent=3), "written") != []


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        (claims_of(100, conserved=False), "conservation"),
        (claims_of(100, waiting=1), "still waited"),
        (claims_of(99), "99 frames were called delivered"),
        (attrs.evolve(claims_of(100), levels=["written", "tcp"]), "levels in force"),
        (attrs.evolve(claims_of(100), end={}), "did not come to its end"),
    ],
)
def test_what_else_a_link_may_say_wrong(claims: Claims, fault: str) -> None:
    assert fault in " ".join(faults(record_of(range(100)), claims))


def test_disorder_and_frames_in_part_are_found() -> None:
    record = record_of([*range(50), 51, 50, *range(52, 100)])  # type: ignore[arg-type]
    found = " ".join(faults(record, claims_of(100)))
    assert "leave out none" in found
    assert "1 frames are out of order" in found
    record = record_of(range(100))
    record.visits[0].broken = 1
    assert faults(record, claims_of(100)) == ["1 frames came in part, not 0"]
    assert judge_by_record(outcome(record, COUNT)) == ["1 frames came in part"]
    assert judge_by_record(outcome(record_of(range(99)), COUNT)) == ["1 frames are lost"]


def test_frames_on_a_connection_that_the_link_knows_nothing_of_are_found() -> None:
    assert "nobody's" in " ".join(faults(record_of(range(100), range(1)), claims_of(100)))


def test_behind_a_relay_connections_are_found_by_the_ports_it_used() -> None:
    """The second never reached the server: all it was acknowledged is lost."""
    record = record_of(range(40), range(60, 100))
    claims = claims_of(45, 60, 100)
    onward = {1: [1], 2: [0], 3: [2]}
    assert pair(claims.connections, record.visits, onward)[0] == [
        record.visits[0],
        None,
        record.visits[1],
    ]
    assert faults(record, claims, onward=onward) == []


def test_what_is_foretold_is_what_happens() -> None:
    """Any sequence of connections, played frame by frame."""
    chance = random.Random(4)
    for _ in range(300):
        worked: list[int] = []
        runs, acknowledged, start = [], [], 0
        for _ in range(chance.randrange(1, 8)):
            run = range(start, start + chance.randrange(20))
            start += chance.randrange(20)
            runs.append(run)
            acknowledged.append(start)
            worked += run
        claims = [Claim(0, count, 0) for count in acknowledged]
        told = foretell(claims, [len(run) for run in runs])
        missing = set(range(start)) - set(worked)
        assert told.lost == len(missing)
        assert told.duplicated == len(worked) - len(set(worked))


# -- what they read ---------------------------------------------------------------------


def test_the_record_is_read_as_it_is_written() -> None:
    """Two connections at once, two lives, a port that comes again."""
    first = ["C 7", "0", "1", "C 8", "5", "@ 7", "2", "T 300 100", "@ 8", "E 12", "X kill"]
    record = read_record([*first, "C 7", "B b'x'", "9", "X half-close", "10", "E 0"])
    assert record.deaths == ["kill", "half-close"]
    assert record.worked == [0, 1, 5, 2, 9, 10]
    assert record.visits == [
        Visit(7, [0, 1, 2], taken=400),
        Visit(8, [5], tail=12),
        Visit(7, [9, 10], broken=1, tail=0),
    ]
    assert outcome(record, 11) == Outcome(lost=5, duplicated=0, out_of_order=1, broken=1, cut=1)
    with pytest.raises(ValueError, match="holds 'nonsense'"):
        read_record(["nonsense"])


def test_what_a_link_prints_is_read_as_claims() -> None:
    """A loss before it was ready is nobody's."""
    connection = {"event": "connection", "port": 5, "delivery": "tcp"}
    loss = {"event": "loss", "acknowledged": 3, "resent": 1}
    end = {"event": "end", "acknowledged": 9, "resent": 1}
    claims = read_claims([loss, connection, loss, connection, end])
    assert claims == Claims([Claim(5, 3, 1), Claim(5, 9, 1)], ["tcp"], end)


def test_a_frame_is_known_by_its_number_and_only_whole() -> None:
    line = frame(12_345)
    assert len(line) + 1 == LENGTH
    assert number_of(line) == 12_345
    for broken in (line[1:], line[:-1], line + b"x", line.replace(b"1", b"a"), line[:50] + line):
        assert number_of(broken) is None


def test_a_seed_is_a_schedule() -> None:
    def draw(seed: int, condition: str = "slow") -> list[Any]:
        return deaths(seed, condition, 100_000, KINDS, 4, (0.1, 0.2))

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert draw(1) != draw(1, "tls")
    assert sorted(death.kind for death in draw(1)) == sorted(KINDS)
    assert all(10_000 <= death.after <= 20_000 for death in draw(1))


# -- a small run --------------------------------------------------------------------------


def test_a_small_run(tmp_path: Path) -> None:
    """A SIGKILL and a reset; the counters of two levels hold against the server's record."""
    figures = tmp_path / "figures"
    options = "--count 2000 --senders written,tcp --conditions slow --deaths 2 --kinds kill,reset"
    with Child(
        python("-m", "tools.loss", *options.split(), "--seed", "3", "--json", str(figures))
    ) as child:
        status = child.wait(60)
        said = child.out.end() + child.err.end()
    assert status == 0, said
    cells = {cell["sender"]: cell for cell in json.loads(figures.read_text())["cells"]}
    assert sorted(cells) == ["tcp", "written"]
    for cell in cells.values():
        assert cell["faults"] == []
        assert cell["deaths"] == 2
        assert cell["counters"]["acknowledged"] == 2000
        unread = sum(cell["unread"])
        assert unread == cell["outcome"]["lost"] - cell["outcome"]["duplicated"]
    assert "| nbclient, `tcp` |" in said
    assert "passed" in said
