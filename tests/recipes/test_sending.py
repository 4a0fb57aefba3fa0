"""The recipes of docs/recipes.md in which what is sent must arrive."""

from __future__ import annotations

import json
import os
import re
import signal
from itertools import islice

from tests.real.children import Child, python
from tests.real.servers import Ngircd, Server
from tests.recipes.peers import HOST, Bench, Wire, eventually

ENDED = 128 + signal.SIGTERM
SET_ASIDE = 1


def message(collector: Wire) -> str:
    """The next one of RFC 6587's octet counting; the content of RFC 5424."""
    digits = collector.until(b" ")
    assert re.fullmatch(rb"[1-9]\d*", digits)
    return text_of(collector.exactly(int(digits)))


def text_of(data: bytes) -> str:
    """The content of a message."""
    text = data.decode()
    head = re.match(rf"<134>1 - {re.escape(os.uname().nodename)} app - - - ", text)
    assert head, text
    return text[head.end() :]


def test_syslog_gets_each_line_of_the_log_over_restarts_of_both_sides(bench: Bench) -> None:
    """The log is rotated meanwhile, too: while this runs, and while it does not."""
    log = bench.folder / "app.log"
    log.write_text("an old line\n")
    peer = bench.peer()
    lines = (f"line {number}: ∆ 12 <134>1" for number in range(10_000))
    written: list[str] = []
    read: list[str] = []

    def write(count: int) -> None:
        new = list(islice(lines, count))
        written.extend(new)
        with log.open("a") as file:
            file.writelines(f"{line}\n" for line in new)

    def rotate() -> None:
        for number in (1, 0):
            name = f".{number}" if number else ""
            older = bench.folder / f"app.log{name}"
            if older.exists():
                older.rename(bench.folder / f"app.log.{number + 1}")

    def read_all() -> None:
        """Up to the last line written: each of them, in order. What a lost connection, or a
        run, leaves in doubt comes once more at the beginning of the next."""
        text = message(collector)
        again = written.index(text)
        assert again <= len(read)
        del read[again:]
        read.append(text)
        while read[-1] != written[-1]:
            read.append(message(collector))
        assert read == written

    cook = bench.cook("syslog", HOST=HOST, PORT=peer.port)
    collector = peer.accept()
    cook.err.expect(": ready")
    assert cook.stop() == ENDED
    assert collector.rest() == b""
    write(20)  # though nothing was read yet, where it begins is known
    cook = bench.cook("syslog", HOST=HOST, PORT=peer.port)
    collector = peer.accept()
    read_all()
    collector.reset()
    write(100)
    collector = peer.accept()
    read_all()
    rotate()
    write(10)
    read_all()

    # A stop in good order, and lines in three files until the next start.
    assert cook.stop() == ENDED
    assert collector.rest() == b""
    write(10)
    rotate()
    write(10)
    rotate()
    write(10)
    cook = bench.cook("syslog", HOST=HOST, PORT=peer.port)
    collector = peer.accept()
    read_all()

    # A crash, with lines on their way: those may come twice.
    write(3000)
    cook.kill()
    write(10)
    read += parse(collector.rest())
    assert read == written[: len(read)]
    cook = bench.cook("syslog", HOST=HOST, PORT=peer.port)
    collector = peer.accept()
    read_all()
    assert cook.stop() == ENDED


def parse(data: bytes) -> list[str]:
    """The whole messages in what was received until the other side died."""
    texts = []
    while data:
        length, _, rest = data.partition(b" ")
        if not length.isdigit() or len(rest) < int(length):
            break
        texts.append(text_of(rest[: int(length)]))
        data = rest[int(length) :]
    return texts


def test_graphite_gets_every_metric_of_many_writers_unbroken(bench: Bench) -> None:
    """Carbon never says a word, is away for a while, and takes each line by itself."""
    peer = bench.peer()
    cook = bench.cook("graphite", HOST=HOST, PORT=peer.port, LISTEN=f"{HOST}:0")
    address = cook.err.expect(r"listening at (\S+:\d+)")[1]
    carbon = peer.accept()
    writers = [bench.program(address) for _ in range(8)]

    def write(start: int, stop: int) -> None:
        for number in range(start, stop):
            for which, writer in enumerate(writers):
                writer.send(b"hosts.w%d.load %d" % (which, number))
                writer.send(b".5 1700000000\n")

    def read(start: int, stop: int) -> None:
        """Each writer's own come in order."""
        expected = dict.fromkeys(range(len(writers)), start)
        while set(expected.values()) != {stop}:
            line = carbon.until(b"\n")
            found = re.fullmatch(rb"hosts\.w(\d)\.load (\d+)\.5 1700000000", line)
            assert found, line
            which, number = map(int, found.groups())
            assert number == expected[which]
            expected[which] += 1

    write(0, 20)
    read(0, 20)
    carbon.reset()
    write(20, 200)
    carbon = peer.accept()
    read(20, 200)
    assert cook.stop() == ENDED
    assert carbon.rest() == b""


def test_batch_is_delivered_whole_although_the_server_restarts(bench: Bench) -> None:
    """The server is not there yet, and leaves in the middle."""
    batch = b"".join(b"%06d a line of the night\n" % number for number in range(200_000))
    (bench.folder / "batch.txt").write_bytes(batch)
    peer = bench.absent_peer(room=65536)
    cook = bench.cook("batch", HOST=HOST, PORT=peer.port)
    cook.err.expect("connection refused")
    peer.listen()
    server = peer.accept()
    cook.err.expect("delivery: tcp ")
    server.exactly(100)
    server.close()
    second = peer.accept().rest()
    assert cook.wait() == 0
    # What the first connection had not settled came again: whole lines, in order.
    assert batch.endswith(second)
    assert second[6:].startswith(b" a line of the night\n")
    assert bench.files("sent-batch-*.txt") == batch
    assert not (bench.folder / "batch.txt").exists()
    assert bench.files("batch-*.txt") == b""
    cook = bench.cook("batch", HOST=HOST, PORT=peer.port)
    assert cook.wait() == 2, "there is none"


def test_a_batch_that_comes_meanwhile_waits_for_the_next_run(bench: Bench) -> None:
    """And both are kept, though they are of one day."""
    batch = bench.folder / "batch.txt"
    peer = bench.peer()
    for text in ("one\n", "two\n"):
        batch.write_text(text)
        cook = bench.cook("batch", HOST=HOST, PORT=peer.port)
        server = peer.accept()
        assert server.until(b"\n") == text.strip().encode()
        batch.write_text("to come\n")
        assert server.rest() == b""
        assert cook.wait() == 0
        assert batch.read_text() == "to come\n"
    assert bench.files("sent-batch-*.txt") == b"one\ntwo\n"


def test_batch_that_was_not_delivered_stays_and_the_status_says_so(bench: Bench) -> None:
    batch = bench.folder / "batch.txt"
    batch.write_text("one\ntwo\n")
    cook = bench.cook("batch", HOST=HOST, PORT=bench.absent_peer().port)
    cook.err.expect("connection refused")
    assert cook.stop() == 1
    # A busy machine may not have read the file by then.
    assert re.search("2 frames not delivered|the input was not read to its end", cook.err.end())
    assert bench.files("batch-*.txt") == b"one\ntwo\n"
    (waiting,) = bench.folder.glob("batch-*.txt")
    waiting.rename(bench.folder / "batch-20200101-000000.txt")  # not of this second
    peer = bench.peer()
    batch.write_text("three\n")
    cook = bench.cook("batch", HOST=HOST, PORT=peer.port)
    assert peer.accept().rest() == b"one\ntwo\n"
    assert peer.accept().rest() == b"three\n"
    assert cook.wait() == 0
    assert bench.files("sent-batch-*.txt") == b"one\ntwo\nthree\n"


class Irc(Ngircd):
    """Asks for a password, and welcomes nobody who has not answered a PING."""

    ping_first = True
    password = "swordfish"


def joined(bench: Bench, server: Server) -> Wire:
    """Somebody else in the channel."""
    human = bench.program(f"{HOST}:{server.port}")
    human.send(b"PASS swordfish\r\nNICK human\r\nUSER human 0 * :human\r\n")
    while b" 001 " not in (line := human.until(b"\r\n")):
        if line.startswith(b"PING "):
            human.send(b"PONG " + line[5:] + b"\r\n")
    human.send(b"JOIN #ops\r\n")
    while b" 366 " not in human.until(b"\r\n"):
        pass
    return human


def heard(human: Wire, text: bytes) -> bool:
    """Wait until the bot says so in the channel."""
    while b" PRIVMSG " not in (line := human.until(b"\r\n")):
        pass
    return re.fullmatch(rb":logbot!\S+ PRIVMSG #ops :" + text, line) is not None


def test_irc_logs_the_channel_and_speaks_after_a_restart_too(bench: Bench) -> None:
    folder = bench.folder / "server"
    folder.mkdir()
    with Irc(folder) as server:
        server.start()
        cook = bench.cook("irc", HOST=HOST, PORT=server.port)
        human = joined(bench, server)
        cook.err.expect(": ready")
        say = bench.folder / "say"
        say.write_text("PRIVMSG #ops :the backup is done\n")
        assert heard(human, b"the backup is done")
        human.send(b"PRIVMSG #ops :thank you\r\n")
        eventually(lambda: b"#ops :thank you\n" in bench.files("irc-*.log"), "the thanks")
        server.kill()
        cook.err.expect("connection refused")
        # To itself, since nobody else is sure to be back before it.
        say.write_text("PRIVMSG logbot :and back\n")
        server.start()
        eventually(lambda: b" logbot :and back\n" in bench.files("irc-*.log"), "the return")
        assert cook.stop() == ENDED
        assert "swordfish" not in cook.err.text


def fix(body: str) -> bytes:
    """A message of FIX, its fields between bars."""
    data = body.replace("|", "\x01").encode()
    message = b"8=FIX.4.4\x019=%d\x01%b" % (len(data), data)
    return message + b"10=%03d\x01" % (sum(message) % 256)


def test_fix_logs_on_answers_and_comes_back(bench: Bench) -> None:
    """The venue counts: each message has the right length and checksum, or it is another one."""
    peer = bench.peer()
    cook = bench.cook("fix", HOST=HOST, PORT=peer.port, FIX_PASSWORD="a=b$c")

    def venue() -> Wire:
        wire = peer.accept()
        logon = fix("35=A|49=ME|56=VENUE|108=10|554=a=b$c|")
        assert wire.exactly(len(logon)) == logon
        # A venue may want to know at once, before it says yes.
        wire.send(fix("35=1|49=VENUE|56=ME|112=first|"))
        answer = fix("35=0|49=ME|56=VENUE|112=first|")
        assert wire.exactly(len(answer)) == answer
        wire.send(fix("35=A|49=VENUE|56=ME|108=10|"))
        return wire

    def reports() -> int:
        records = map(json.loads, bench.files("fix-*.jsonl").splitlines())
        return sum(record["data"].startswith("35=8\x01") for record in records)

    wire = venue()
    wire.send(fix("35=8|49=VENUE|56=ME|55=XYZ|58=10=000|") * 2)
    eventually(lambda: reports() == 2, "two reports")
    wire.reset()
    wire = venue()
    wire.send(fix("35=8|49=VENUE|56=ME|55=XYZ|"))
    eventually(lambda: reports() == 3, "a report after the new logon")
    assert cook.stop() == ENDED
    assert "a=b$c" not in cook.err.text


def result(number: int) -> bytes:
    return b"MSH|^~\\&|LAB|HERE|HIS|THERE|20260101||ORU^R01|M%03d|P|2.5\rOBX|1|NM|K||4.1" % number


def test_hl7_messages_wait_for_their_answers_over_restarts_of_both_sides(bench: Bench) -> None:
    """Stop and wait; a message without its answer comes again, a refused one does not."""
    peer = bench.peer()
    file = bench.folder / "outgoing.hl7"

    def append(*numbers: int) -> None:
        with file.open("ab") as outgoing:
            outgoing.writelines(b"\x0b%b\x1c\r" % result(number) for number in numbers)

    def taken(wire: Wire) -> int:
        """Which message comes next."""
        message = wire.until(b"\x1c\r").removeprefix(b"\x0b")
        return next(number for number in range(5) if result(number) == message)

    def answer(wire: Wire, code: str, number: int) -> None:
        assert not wire.hears(0.05), "another message before the answer to this one"
        head = "MSH|^~\\&|HIS|THERE|LAB|HERE|20260101||ACK|A1|P|2.5\r"
        wire.send(f"\x0b{head}MSA|{code}|M{number:03}\r\x1c\r".encode())

    append(1, 2, 3)
    cook = bench.cook("hl7", HOST=HOST, PORT=peer.port)
    hospital = peer.accept()
    assert taken(hospital) == 1
    answer(hospital, "AA", 1)
    assert taken(hospital) == 2
    hospital.reset()  # it had it, and never said so
    hospital = peer.accept()
    assert taken(hospital) == 2
    answer(hospital, "AR", 2)
    assert taken(hospital) == 3
    cook.kill()  # ours, the machine's power
    append(4)
    cook = bench.cook("hl7", HOST=HOST, PORT=peer.port)
    hospital = peer.accept()
    again = taken(hospital)
    status = ENDED
    if again == 2:  # that it was refused had not reached the disk
        status = SET_ASIDE
        answer(hospital, "AR", 2)
        again = taken(hospital)
    assert again == 3
    answer(hospital, "AA", 3)
    assert taken(hospital) == 4
    answer(hospital, "AA", 4)
    eventually(lambda: b"M004" in bench.files("answers-*.jsonl"), "the last answer")
    assert cook.stop() == status
    assert hospital.rest() == b""
    show = python("-m", "nbclient.spool", "show", "--set-aside", "spool")
    with Child(show, cwd=bench.folder) as tool:
        tool.out.expect("M002")
        assert tool.wait() == 0
        assert "M001" not in tool.out.end()
