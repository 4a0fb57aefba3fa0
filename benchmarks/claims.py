"""What issue and README promise of the speed, held against what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import frozen

from benchmarks.measuring import Sample, median, ratio

Results = Mapping[str, Sequence[Sample]]

IDLE_LIMIT = 6.8 * 1024
"""What a bare connection of asyncio streams took, bytes, when the aim was set."""

IDLE_AIM = 4 * 1024


def rate(sample: Sample) -> float:
    return sample.rate


def cpu(sample: Sample) -> float:
    return sample.cpu


@frozen
class Verdict:
    """One promise: measured, at least, aim.

    :ivar measured: the ratio, or figure, as measured; None where it could not be.
    :ivar low: the smaller the better.
    :ivar ratio: it is ours over that of a peer, and so the picture shows it.
    """

    row: str
    title: str
    against: str
    measured: float | None
    least: float | None
    aim: float | None
    low: bool = False
    ratio: bool = True
    unit: str = ""

    def reaches(self, mark: float | None) -> bool | None:
        """Whether it is at least so good; None where that cannot be said."""
        if mark is None or self.measured is None:
            return None
        return self.measured <= mark if self.low else self.measured >= mark

    @property
    def holds(self) -> bool | None:
        """Whether what was promised at least is there."""
        return self.reaches(self.least)


@frozen
class Row:
    """A row of promises, each against one peer.

    :ivar against: per peer the factor at least, and the aim, or None.
    """

    key: str
    title: str
    workload: str
    ours: str
    against: Mapping[str, tuple[float | None, float | None]]
    value: Callable[[Sample], float] = rate
    low: bool = False

    def verdicts(self, results: Results, labels: Mapping[str, str]) -> list[Verdict]:
        """What came of them."""
        samples = results.get(self.workload, ())
        return [
            Verdict(
                self.key,
                self.title,
                labels.get(f"{self.workload}/{peer}", peer),
                ratio(samples, self.ours, peer, self.value),
                least,
                aim,
                self.low,
            )
            for peer, (least, aim) in self.against.items()
        ]


ROWS = [
    Row(
        "lines",
        "lines in (LF), 100 B",
        "lines-100",
        "ours",
        {
            "twisted": (5, None),
            "asyncio": (4, None),
            "node": (1.2, None),
            "asio": (2, None),
            "java": (None, 1.1),
        },
    ),
    *(
        Row(
            f"crlf-{shape}",
            f"lines in (CRLF data, `{shape}`), 100 B",
            "crlf-100",
            ours,
            {
                "twisted": (3.5, None),
                "asyncio": (2.5, None),
                "node": (0.9, None),
                "java": (None, 1),
            },
        )
        for shape, ours in (("lines", "ours-lines"), ("crlf", "ours"))
    ),
    Row(
        "batch",
        "lines in, 100 B, batch callback",
        "lines-100",
        "ours-batch",
        {"ours": (1.1, None), "java": (None, 1.3)},
    ),
    Row(
        "length",
        "4-byte length in, 100 B, all of one size",
        "length-100",
        "ours",
        {"twisted": (2, None), "asyncio": (3.5, None), "node": (None, 1)},
    ),
    Row(  # not promised; sizes that never repeat are the harder case
        "length-mixed",
        "4-byte length in, 51 to 149 B, mixed",
        "length-mixed",
        "ours",
        {"twisted": (None, 2), "asyncio": (None, 3.5), "node": (None, 1)},
    ),
    Row(
        "out",
        "frames out, one call each",
        "out",
        "ours",
        {"asyncio": (4, None), "node": (1, 2)},
    ),
    *(
        Row(
            f"ask-{links}",
            f"request and reply, {links:,} links",
            f"ask-{links}",
            "ours",
            {"twisted": (1.3, None), "uvloop": (1, None), "node": (None, 1)},
        )
        for links in (100, 2000)
    ),
    Row(
        "delivery-tcp",
        "delivery `tcp`, 100 frames a send",
        "delivery",
        "tcp-batch",
        {"written-batch": (0.8, None)},
    ),
    Row(
        "delivery-spool",
        "delivery with a spool, 100 frames a send, 32 on their way",
        "delivery",
        "spool-batch",
        {"raw-spool": (0.5, None)},
    ),
    Row(
        "file-raw",
        "300 MB to a file, `raw`: CPU",
        "to-file",
        "ours-raw",
        {"socat": (2, 1), "socat-64k": (None, 1)},
        cpu,
        True,
    ),
    Row(
        "file-lines",
        "300 MB to a file, `lines`: CPU",
        "to-file",
        "ours-lines",
        {"socat": (3, 2), "socat-64k": (None, 2)},
        cpu,
        True,
    ),
]


def named(workload: str) -> frozenset[str]:
    """The peers of a workload that a promise names."""
    rows = [row for row in ROWS if row.workload == workload]
    return frozenset(key for row in rows for key in (row.ours, *row.against))


def judge(results: Results, labels: Mapping[str, str]) -> list[Verdict]:
    """Every promise, in the order of the issue."""
    found = [verdict for row in ROWS for verdict in row.verdicts(results, labels)]
    before = next(n for n, each in enumerate(found) if each.row == "file-raw")
    return [
        *found[:before],
        *idle(results.get("idle", ())),
        *restart(results.get("restart", ())),
        *found[before:],
        *worst(results.get("worst", ())),
    ]


def idle(samples: Sequence[Sample]) -> list[Verdict]:
    """The memory of a link with nothing to do."""

    def resident(sample: Sample) -> float:
        return float(sample.more["rss"])

    title = "idle link, everything on: memory"
    there = ratio(samples, "ours", "asyncio", resident)
    return [
        Verdict(
            "idle",
            title,
            "6.8 KB",
            median(samples, "ours", resident),
            IDLE_LIMIT,
            IDLE_AIM,
            low=True,
            ratio=False,
            unit="B",
        ),
        Verdict("idle", title, "asyncio streams, bare", there, 1, None, low=True),
    ]


def restart(samples: Sequence[Sample]) -> list[Verdict]:
    """When they are back, and whether they came in a rush."""
    title = "{links:,.0f} links, server back"
    links = median(samples, "ours", lambda each: each.more["links"])
    title = title.format(links=links or 0)

    def late(sample: Sample) -> float:
        if sample.more["back"] < sample.more["links"]:
            return float("inf")
        return sample.seconds / float(sample.more["maximum"])

    def rush(sample: Sample) -> float:
        return float(sample.more["peak"] / sample.rate) if sample.rate else float("inf")

    return [
        Verdict(
            "restart",
            f"{title}: all back",
            "retry-maximum",
            median(samples, "ours", late),
            1,
            None,
            low=True,
            ratio=False,
        ),
        Verdict(
            "restart",
            f"{title}: peak second",
            "mean rate",
            median(samples, "ours", rush),
            2,
            None,
            low=True,
            ratio=False,
        ),
    ]


def worst(samples: Iterable[Sample]) -> list[Verdict]:
    """One frame of 16 MB against one of 1 MB: the time per byte."""
    return [
        Verdict(
            "segments",
            "one 16 MB frame in segments: time per byte",
            f"1 MB, `{sample.peer.partition('-')[2]}`",
            None if sample.error else sample.rate,
            1.5,
            None,
            low=True,
            ratio=False,
        )
        for sample in samples
        if sample.peer in {f"segments-{kind}" for kind in ("lines", "crlf", "length", "netstring")}
    ]
