"""What is measured with the traffic server on the other side, and who takes part."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.measuring import Peer, Workload
from benchmarks.tools import PEERS, Tools

Command = Callable[[Tools, int, int], Sequence[str]]
HOST = "127.0.0.1"


def python(file: str, *before: str, after: Sequence[str] = ()) -> Command:
    """A peer in Python: its file, what comes before host and port, and after the count."""

    def command(tools: Tools, port: int, count: int) -> list[str]:
        script = str(PEERS / file)
        return [tools.python, script, *before, HOST, str(port), str(count), *after]

    return command


def program(*words: str, role: str, after: Sequence[str] = ()) -> Command:
    """A peer in another language; ``@`` stands for the folder of what was built."""

    def command(tools: Tools, port: int, count: int) -> list[str]:
        first = [word.replace("@", str(tools.folder)) for word in words]
        return [*first, role, HOST, str(port), str(count), *after]

    return command


def node(file: str, role: str, after: Sequence[str] = ()) -> Command:
    return program("node", str(PEERS / file), role=role, after=after)


JAVA = ("java", "-cp", "@", "NioClient")
ASIO = ("@/asio_client",)


def traffic(*words: str) -> Command:
    """The raw program in C: what the other side can do at most."""

    def command(tools: Tools, port: int, count: int) -> list[str]:
        mode, *rest = [word.replace("@count", str(count)) for word in words]
        return [tools.traffic, mode, HOST, str(port), *rest]

    return command


# -- (a) frames in ---------------------------------------------------------------------


def frames_in(
    shape: str, size: int, count: int, most: bool, runs: int, mixed: bool = False
) -> Workload:
    """Frames of one shape and size, each handed to a callback that counts it.

    :param most: every peer takes part; otherwise those that the table names.
    :param mixed: no two sizes in a row are the same; `size` is their mean.
    """
    lines = shape in ("lines", "crlf")
    peers = [
        Peer("ours", "nbclient", python("ours.py", f"{shape}-in")),
        Peer("ours-batch", "nbclient, batch callback", python("ours.py", f"{shape}-in-batch")),
    ]
    if shape == "crlf":
        peers.insert(1, Peer("ours-lines", "nbclient, `lines`", python("ours.py", "lines-in")))
        peers[0] = Peer("ours", "nbclient, `crlf`", peers[0].command)
    if shape != "octet":
        name = {"length": "Int32StringReceiver", "netstring": "NetstringReceiver"}.get(
            shape, "LineReceiver"
        )
        slow = 10 if shape == "netstring" else 1
        stock = python("twisted_stock.py", f"{shape}-in")
        peers.append(Peer("twisted", f"Twisted {name}", stock, slow=slow))
    slow = 2 if shape in ("netstring", "octet") else 1
    streams = python("streams.py", "asyncio", f"{shape}-in")
    peers.append(Peer("asyncio", "asyncio streams", streams, slow=slow))
    if lines or shape == "length":
        peers += others_in(shape, lines, most)
    peers.append(Peer("c", "raw reader in C", traffic("drain", f"size={size}")))
    sizes = (
        f"{size // 2 + 1} to {size + size // 2 - 1} bytes, mixed" if mixed else f"{size} bytes each"
    )
    words = ["source", f"shape={shape}", f"size={size}", f"mixed={int(mixed)}"]
    return Workload(
        f"{shape}-{'mixed' if mixed else size}",
        f"frames in: {TITLES[shape]}, {sizes}",
        "frames/s",
        count,
        lambda n: [*words, f"count={n}"],
        peers,
        runs=runs,
    )


TITLES = {
    "lines": "lines (LF)",
    "crlf": "lines (CRLF)",
    "length": "4-byte length",
    "netstring": "netstrings",
    "octet": "octet-counted",
}


def others_in(shape: str, lines: bool, most: bool) -> list[Peer]:
    role = f"{shape}-in"
    plain = "lines" if lines else shape
    name = "readline" if lines else "by hand"
    file = "node_stock.js" if lines else "node_hand.js"
    peers = [
        Peer("node", f"Node net, {name}", node(file, role), needs=("node",)),
        Peer("java", "java.nio", program(*JAVA, role=role), needs=("java",)),
    ]
    if not most:
        return peers
    asio_name = "async_read_until" if lines else "async_read"
    if lines:
        hand = node("node_hand.js", role)
        peers.append(Peer("node-hand", "Node net, by hand", hand, needs=("node",)))
    return [
        *peers,
        Peer("uvloop", "uvloop streams", python("streams.py", "uvloop", role), needs=("uvloop",)),
        Peer("twisted-expert", "Twisted, cut by hand", python("twisted_expert.py", role)),
        Peer("asyncio-expert", "asyncio Protocol", python("asyncio_expert.py", "asyncio", role)),
        Peer(
            "uvloop-expert",
            "uvloop Protocol",
            python("asyncio_expert.py", "uvloop", role),
            needs=("uvloop",),
        ),
        Peer("selectors", "raw selectors", python("selectors_client.py", role)),
        Peer(
            "asio",
            f"Boost.Asio {asio_name}",
            program(*ASIO, role=f"{plain}-in"),
            needs=("boost",),
        ),
        Peer(
            "asio-hand",
            "Boost.Asio, by hand",
            program(*ASIO, role=f"{plain}-in-hand"),
            needs=("boost",),
        ),
    ]


# -- (b) frames out --------------------------------------------------------------------


def frames_out(count: int) -> Workload:
    """Lines of 100 bytes, each sent by a call of its own where not said otherwise."""
    batch = "nbclient, sendFrames of 100"
    return Workload(
        "out",
        "frames out: lines of 100 bytes, back-pressure honoured",
        "frames/s",
        count,
        lambda n: ["sink"],
        [
            Peer("ours", "nbclient, sendFrame each", python("ours.py", "out")),
            Peer("ours-batch", batch, python("ours.py", "out-batch")),
            Peer("twisted", "Twisted transport.write", python("twisted_stock.py", "out")),
            Peer(
                "twisted-expert",
                "Twisted, 100 joined for a write",
                python("twisted_expert.py", "out-batch"),
            ),
            Peer("asyncio", "asyncio streams", python("streams.py", "asyncio", "out"), slow=2),
            Peer(
                "asyncio-batch",
                "asyncio streams, a drain in 100",
                python("streams.py", "asyncio", "out-batch"),
            ),
            Peer(
                "uvloop",
                "uvloop streams",
                python("streams.py", "uvloop", "out"),
                needs=("uvloop",),
                slow=2,
            ),
            Peer("node", "Node net", node("node_stock.js", "out"), needs=("node",)),
            Peer(
                "node-batch",
                "Node net, corked by 100",
                node("node_hand.js", "out-batch"),
                needs=("node",),
            ),
            Peer("java", "java.nio, one buffer", program(*JAVA, role="out"), needs=("java",)),
            Peer(
                "asio",
                "Boost.Asio async_write",
                program(*ASIO, role="out"),
                needs=("boost",),
                slow=5,
            ),
            Peer("selectors", "raw selectors", python("selectors_client.py", "out"), slow=5),
            Peer("c", "raw writer in C", traffic("pour", "count=@count")),
        ],
        bytes_each=100,
    )


# -- (c) request and reply ---------------------------------------------------------------


def asking(connections: int, count: int, runs: int) -> Workload:
    """64 bytes there and back; the next request when the reply is in."""
    after = [str(connections)]
    request = Peer(
        "ours-request",
        "nbclient RequestProtocol",
        python("ours_request.py", "ask", after=after),
        needs=("requests",),
    )
    return Workload(
        f"ask-{connections}",
        f"request and reply: 64 bytes, {connections:,} connection{'s' * (connections > 1)}",
        "replies/s",
        count,
        lambda n: ["echo", f"connections={connections}"],
        [
            Peer("ours", "nbclient, lines", python("ours.py", "ask", after=after)),
            request,
            Peer(
                "twisted",
                "Twisted transport.write, uncut",
                python("twisted_stock.py", "ask", after=after),
            ),
            Peer(
                "twisted-lines",
                "Twisted LineReceiver",
                python("twisted_stock.py", "ask-lines", after=after),
            ),
            Peer(
                "twisted-expert",
                "Twisted, cut by hand, sent at once",
                python("twisted_expert.py", "ask", after=after),
            ),
            Peer("asyncio", "asyncio streams", python("streams.py", "asyncio", "ask", after=after)),
            Peer(
                "uvloop",
                "uvloop streams",
                python("streams.py", "uvloop", "ask", after=after),
                needs=("uvloop",),
            ),
            Peer(
                "uvloop-expert",
                "uvloop Protocol, uncut",
                python("asyncio_expert.py", "uvloop", "ask", after=after),
                needs=("uvloop",),
            ),
            Peer(
                "selectors",
                "raw selectors, uncut",
                python("selectors_client.py", "ask", after=after),
            ),
            Peer("node", "Node net, uncut", node("node_stock.js", "ask", after), needs=("node",)),
            Peer(
                "java",
                "java.nio, uncut",
                program(*JAVA, role="ask", after=after),
                needs=("java",),
            ),
            Peer("asio", "Boost.Asio", program(*ASIO, role="ask", after=after), needs=("boost",)),
            Peer("c", "raw epoll in C", _ask_in_c(connections)),
        ],
        least=connections,
        runs=runs,
        startup=f"ask-{connections}",
    )


def _ask_in_c(connections: int) -> Command:
    def command(tools: Tools, port: int, count: int) -> list[str]:
        how = [f"connections={connections}", f"requests={count // connections}"]
        return [tools.traffic, "ask", HOST, str(port), *how]

    return command


# -- (f) whole processes ----------------------------------------------------------------


def command_line(*options: str) -> Command:
    """``python -m nbclient`` from the tree that the suite is in."""

    def command(tools: Tools, port: int, count: int) -> list[str]:
        return [tools.python, "-m", "nbclient", HOST, str(port), "--once", "-q", *options]

    return command


def tool(name: str, *words: str) -> Command:
    """One of the programs that an operator would pick."""

    def command(tools: Tools, port: int, count: int) -> list[str]:
        return [name, *(word.replace("@PORT", str(port)) for word in words)]

    return command


def to_file(count: int, runs: int) -> Workload:
    """Lines of 100 bytes from a socket into a file."""
    ours = ("--input", "none", "--output", "file:@OUT")
    socat = ("-u", f"TCP:{HOST}:@PORT", "CREATE:@OUT")
    return Workload(
        "to-file",
        "whole process: lines of 100 bytes from a socket into a file",
        "frames/s",
        count,
        lambda n: ["source", "shape=lines", "size=100", f"count={n}"],
        [
            Peer("ours-raw", "nbclient --raw", command_line("--raw", *ours), counts=False),
            Peer("ours-lines", "nbclient, `lines`", command_line(*ours), counts=False),
            Peer("socat", "socat", tool("socat", *socat), ("socat",), counts=False),
            Peer(
                "socat-64k",
                "socat -b 65536",
                tool("socat", "-b", "65536", *socat),
                ("socat",),
                counts=False,
            ),
            Peer(
                "ncat",
                "ncat",
                tool("ncat", "--recv-only", HOST, "@PORT"),
                ("ncat",),
                counts=False,
                stdout="OUT",
            ),
            Peer(
                "nc",
                "nc",
                tool("nc", "-d", HOST, "@PORT"),
                ("nc",),
                counts=False,
                stdout="OUT",
            ),
        ],
        runs=runs,
        fresh_startup=True,
        bytes_each=100,
        prepare=_out_file,
    )


def from_file(count: int, runs: int) -> Workload:
    """A file of lines of 100 bytes to a socket."""
    ours = ("--input", "file:@IN", "--output", "none")
    socat = ("-u", "OPEN:@IN", f"TCP:{HOST}:@PORT")
    return Workload(
        "from-file",
        "whole process: lines of 100 bytes from a file to a socket",
        "frames/s",
        count,
        lambda n: ["sink"],
        [
            Peer("ours-raw", "nbclient --raw", command_line("--raw", *ours), counts=False),
            Peer("ours-lines", "nbclient, `lines`", command_line(*ours), counts=False),
            Peer(
                "ours-written",
                "nbclient, `lines`, written",
                command_line("--delivery", "written", *ours),
                counts=False,
            ),
            Peer("socat", "socat", tool("socat", *socat), ("socat",), counts=False),
            Peer(
                "socat-64k",
                "socat -b 65536",
                tool("socat", "-b", "65536", *socat),
                ("socat",),
                counts=False,
            ),
            Peer(
                "ncat",
                "ncat",
                tool("ncat", "--send-only", HOST, "@PORT"),
                ("ncat",),
                counts=False,
                stdin="IN",
            ),
            Peer("nc", "nc", tool("nc", "-N", HOST, "@PORT"), ("nc",), counts=False, stdin="IN"),
        ],
        runs=runs,
        fresh_startup=True,
        bytes_each=100,
        prepare=_in_file,
    )


def _out_file(folder: Path, count: int) -> Mapping[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return {"OUT": folder / "out"}


def _in_file(folder: Path, count: int) -> Mapping[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "in"
    lines = (b"x" * 99 + b"\n") * 1000
    with path.open("wb") as file:
        for _ in range(count // 1000):
            file.write(lines)
        file.write(lines[: 100 * (count % 1000)])
    return {"IN": path}


# -- (h) delivery ------------------------------------------------------------------------


def delivery(count: int, runs: int) -> Workload:
    """Through the outbox, at each level."""
    peers = [
        Peer(
            f"{level}-{size}",
            f"factory.send, {level}, {words}",
            python("ours.py", f"link-{level}-{size}"),
            slow=slow,
        )
        for level in ("written", "tcp")
        for size, words, slow in (("batch", "100 frames", 1), ("one", "each frame", 4))
    ]
    spool = Peer(
        "spool-batch",
        "factory.send, spool, 100 frames",
        python("ours_spool.py", "link-tcp-batch"),
        needs=("spool",),
        slow=4,
    )
    loop = Peer(
        "raw-spool",
        "raw loop of write, fdatasync, send, 100 frames",
        python("raw_spool.py", "out"),
        slow=4,
    )
    return Workload(
        "delivery",
        "delivery: lines of 100 bytes through the outbox",
        "frames/s",
        count,
        lambda n: ["sink"],
        [*peers, spool, loop],
        runs=runs,
        bytes_each=100,
    )


def unfinished_parts() -> dict[str, str]:
    """Parts of nbclient that a peer needs and this tree does not have yet."""
    import nbclient
    from nbclient.link.factory import ReconnectingFactory

    missing = {}
    if not hasattr(nbclient, "RequestProtocol"):
        missing["requests"] = "nbclient.RequestProtocol is not there"
    if "spool" not in inspect.signature(ReconnectingFactory.__init__).parameters:
        missing["spool"] = "ReconnectingFactory takes no spool"
    return missing


def all_of_them() -> list[Workload]:
    """In the order of the table."""
    main = partial(frames_in, most=True)
    side = partial(frames_in, most=False, runs=2)
    return [
        main("lines", 100, 1_500_000, runs=5),
        main("crlf", 100, 1_500_000, runs=5),
        main("length", 100, 1_500_000, runs=5),
        side("lines", 16, 2_000_000),
        side("lines", 1000, 400_000),
        side("crlf", 16, 2_000_000),
        side("crlf", 1000, 400_000),
        side("length", 100, 1_500_000, mixed=True),
        side("length", 16, 2_000_000),
        side("length", 1000, 400_000),
        side("netstring", 16, 1_000_000),
        side("netstring", 100, 1_000_000),
        side("netstring", 1000, 300_000),
        side("octet", 16, 1_000_000),
        side("octet", 100, 1_000_000),
        side("octet", 1000, 300_000),
        frames_out(1_000_000),
        asking(1, 15_000, runs=2),
        asking(100, 100_000, runs=5),
        asking(2000, 100_000, runs=5),
        to_file(3_000_000, runs=5),
        from_file(3_000_000, runs=2),
        delivery(1_000_000, runs=5),
    ]
