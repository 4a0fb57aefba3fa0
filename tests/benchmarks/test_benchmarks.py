"""The suite itself: that it measures, goes on where a peer fails, and judges rightly."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import evolve

from benchmarks import __main__ as suite
from benchmarks import claims, picture, tables, workloads
from benchmarks.measuring import Peer, Rounds, Sample, Workload, interleaved, median, ratio
from benchmarks.tools import CannotBuild, Tools


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Tools:
    """The traffic server, built once."""
    made = Tools(tmp_path_factory.mktemp("built"))
    try:
        made.build(only_python=True)
    except CannotBuild as error:
        pytest.skip(str(error))
    return made


def test_one_command_measures_and_writes_table_and_results(tmp_path: Path, tools: Tools) -> None:
    words = ["--only", "lines-100", "--peers", "ours", "--peers", "asyncio", "--runs", "1"]
    words += [
        "--scale",
        "0.001",
        "--python-only",
        "--no-picture",
        "--silent",
        "--output",
        str(tmp_path),
    ]
    assert suite.main(words) in (0, 1)
    report = json.loads((tmp_path / "results.json").read_text())
    samples = report["results"]["lines-100"]
    assert {each["peer"] for each in samples} == {"ours", "asyncio"}
    assert all(each["error"] is None and each["rate"] > 0 for each in samples)
    assert report["about"]["versions"]["Twisted"]
    assert "| lines in (LF), 100 B | asyncio streams |" in (tmp_path / "table.md").read_text()


def measured_rows() -> dict[str, list[list[str]]]:
    """The table of promises of docs/performance.md: title -> rows of cells."""
    table = suite.PAGE.read_text().partition("## The promises")[2].strip().split("\n\n")[0]
    found: dict[str, list[list[str]]] = {}
    title = ""
    for line in table.splitlines()[2:]:
        first, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        title = first or title
        found.setdefault(title, []).append(cells)
    return found


def test_what_the_readme_says_is_what_was_measured() -> None:
    """A line for each headline, with every peer of its row, and what is below its target said."""
    readme = suite.README.read_text()
    ours = readme.partition(suite.BEGIN)[2].partition(suite.END)[0].strip().splitlines()
    rows = measured_rows()
    assert len(ours) == len(tables.HEADLINES) == 4
    for line in ours:
        found = re.fullmatch(r"- \*\*(.+)\*\*(?: \(lower is better\))?: (.+)", line)
        assert found is not None
        title, said = found.groups()
        for against, measured, least, _, verdict in rows[title]:
            figure = f"{measured} {against}"
            if "below" in verdict and "aim" not in verdict:
                figure += f" (**below** the {least} wanted)"
            assert figure in said
            said = said.replace(figure, "", 1)
        assert not said.strip(" ,")


def test_publishing_writes_page_picture_and_readme(
    tmp_path: Path, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("README", "PAGE"):
        (tmp_path / "docs").mkdir(exist_ok=True)
        kept = tmp_path / "docs" / name
        kept.write_text(f"before\n{suite.BEGIN}\nold\n{suite.END}\nbehind\n")
        monkeypatch.setattr(suite, name, kept)
    words = ["--only", "lines-100", "--peers", "ours", "--peers", "asyncio", "--runs", "1"]
    words += ["--scale", "0.001", "--python-only", "--no-picture", "--silent", "--publish"]
    assert suite.main([*words, "--output", str(tmp_path)]) in (0, 1)
    readme = (tmp_path / "docs" / "README").read_text()
    assert readme.startswith(f"before\n{suite.BEGIN}\n\n- **lines in (LF), 100 B**: ")
    assert readme.endswith(f"\n\n{suite.END}\nbehind\n")
    assert " x asyncio streams" in readme
    assert "old" not in readme
    assert "## The promises" in (tmp_path / "docs" / "PAGE").read_text()


def failing(*command: str) -> Peer:
    """A peer that does nothing right."""

    def run(tools: Tools, port: int, count: int) -> Sequence[str]:
        return command

    return Peer("broken", "broken", run)


def test_a_peer_that_fails_is_named_and_the_others_are_measured(
    tmp_path: Path, tools: Tools
) -> None:
    reader = Peer("c", "raw reader in C", workloads.traffic("drain", "size=100"))
    missing = Peer("gone", "gone", reader.command, needs=("gone",))
    tools.missing["gone"] = "not installed"
    for broken in (failing("/nonexistent"), failing(sys.executable, "-c", "exit(3)")):
        work = Workload("any", "any", "frames/s", 100, _source, [broken, missing, reader], runs=3)
        samples = interleaved(tools, work, Rounds(3), tmp_path, lambda text: None)
        assert [each.peer for each in samples if each.error] == ["broken"] * 2
        assert [each.peer for each in samples if not each.error] == ["c"] * 3


def test_whom_no_promise_names_is_measured_less_often() -> None:
    rounds = Rounds(5, named=frozenset({"ours"}))
    one, other = failing(), evolve(failing(), key="ours")
    assert [rounds.takes_part(one, run) for run in range(3)] == [True, True, False]
    assert all(rounds.takes_part(other, run) for run in range(5))


def test_a_peer_that_counts_wrongly_is_not_believed(tmp_path: Path, tools: Tools) -> None:
    reader = Peer("c", "c", workloads.traffic("drain", "size=50"))
    work = Workload("any", "any", "frames/s", 100, _source, [reader])
    (sample,) = interleaved(tools, work, Rounds(1), tmp_path, lambda text: None)
    assert sample.error is not None
    assert "not 100" in sample.error


def _source(count: int) -> list[str]:
    return ["source", "shape=lines", "size=100", f"count={count}"]


def test_every_shape_of_traffic_is_what_it_says(tools: Tools, tmp_path: Path) -> None:
    """Our own framings read it, and so the server may be trusted."""
    from benchmarks.measuring import Server
    from benchmarks.peers.ours import FRAMINGS

    for shape, recipe in FRAMINGS.items():
        server = Server(tools, ["source", f"shape={shape}", "size=100", "count=7"])
        data = _read(server.port)
        assert server.result()["bytes"] == len(data) == 700
        server.stop()
        frames = recipe.decoder().feed(data)
        assert len(frames) == 7
        assert b"".join(recipe.encode(frames)) == data


def _read(port: int) -> bytes:
    import socket

    with socket.create_connection(("127.0.0.1", port)) as link:
        data = b""
        while more := link.recv(65536):
            data += more
        return data


# -- the figures ---------------------------------------------------------------------


def test_ratios_are_taken_within_a_run() -> None:
    """A minute in which the machine was slow falls on both."""
    fast = [Sample("a", 0, rate=10), Sample("b", 0, rate=5), Sample("b", 2, error="x")]
    slow = [Sample("a", 1, rate=2), Sample("b", 1, rate=1), Sample("a", 2, rate=99)]
    assert ratio([*fast, *slow], "a", "b", claims.rate) == 2
    assert median([*fast, *slow], "b", claims.rate) == 3
    assert ratio(fast, "a", "nobody", claims.rate) is None


def test_the_cpu_of_the_start_is_taken_off() -> None:
    assert Sample("a", 0, user=0.5, system=0.25, startup=0.25).cpu == 0.5
    assert Sample("a", 0, user=0.1, startup=0.25).cpu > 0


@pytest.mark.parametrize(
    ("measured", "low", "word"),
    [
        (3.0, False, "aim reached"),
        (1.5, False, "holds; below the aim"),
        (0.5, False, "**below**"),
        (3.0, True, "**below**"),
        (None, False, "not measured"),
    ],
)
def test_a_promise_is_judged(measured: float | None, low: bool, word: str) -> None:
    verdict = claims.Verdict("row", "title", "peer", measured, 1, 2, low)
    assert tables.promises([verdict]).endswith(f"| {word} |")


def results() -> dict[str, list[Sample]]:
    """Everything at 1, where no promise of more can hold."""
    found: dict[str, list[Sample]] = {}
    for work in workloads.all_of_them():
        made = (Sample(each.key, 0, rate=1, seconds=1, user=1, startup=0.5) for each in work.peers)
        found[work.key] = list(made)
    links = {"links": 5, "rss": 9000.0, "idle": 0.0}
    found["idle"] = [Sample("ours", 0, rate=1, more=links), Sample("asyncio", 0, more=links)]
    back = {"links": 5, "back": 5, "peak": 3, "maximum": 4, "down": 0.1}
    found["restart"] = [Sample("ours", 0, rate=1, seconds=3, more=back)]
    found["worst"] = [Sample("segments-lines", 0, rate=1.1), Sample("empty-lines", 0, error="x")]
    return found


ABOUT = {
    "machine": {"processor": "any"},
    "versions": {"node": "v20 | any"},
    "missing": {"boost": "not installed"},
    "when": "today",
    "scale": 1.0,
    "took": 1.0,
}


def test_the_table_has_every_promise_and_the_reasons_of_those_that_do_not_hold(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = results()
    titles = {key: (f"title of {key}", "frames/s") for key in found}
    verdicts = claims.judge(found, {})
    assert {each.row for each in verdicts if each.holds is False} >= {"lines", "out", "idle"}
    assert {each.row for each in verdicts if each.holds} >= {"file-raw", "segments", "restart"}
    notes = tmp_path / "notes.md"
    notes.write_text("# Head\n\n## lines\n\nIt is the callback.\n\n## out\n\nNo.\n")
    monkeypatch.setattr(tables, "NOTES", notes)
    text = tables.document(verdicts, found, titles, {}, ABOUT)
    assert "**lines** does not hold. It is the callback." in text
    assert "Nobody has looked yet." in text
    assert all(f"### title of {key}" in text for key in found)
    assert "- left out: boost (not installed)" in text
    assert "| 5 of 5 | 3.0 s (maximum 4 s) |" in text


def test_a_run_with_less_work_says_that_it_is_not_to_be_judged_by() -> None:
    """At a fifth of the work Java has not warmed up, and looks half as fast as it is."""
    few = tables.document([], {}, {}, {}, {**ABOUT, "scale": 0.2})
    assert "At scale 0.2 no ratio is to be judged by" in few
    assert "to be judged by" not in tables.document([], {}, {}, {}, ABOUT)


def test_links_that_did_not_come_back_break_the_promise() -> None:
    lost = {"links": 5, "back": 4, "peak": 1, "maximum": 4}
    late, rush = claims.restart([Sample("ours", 0, rate=1, seconds=1, more=lost)])
    assert late.holds is False
    assert rush.holds is True


def test_the_picture_shows_what_is_better_to_the_right() -> None:
    low = claims.Verdict("row", "title", "peer", 0.5, 1, None, low=True)
    assert picture.times_better(low) == 2
    assert picture.times_better(claims.Verdict("row", "title", "peer", 0.5, 1, None)) == 0.5


def test_every_promise_names_a_workload_and_peers_that_exist() -> None:
    there = {work.key: {peer.key for peer in work.peers} for work in workloads.all_of_them()}
    for row in claims.ROWS:
        assert {row.ours, *row.against} <= there[row.workload]
