"""The rings are folders: every module has one, imports point inward, and nothing grows too large.

python -m tests.test_house    writes the tables of docs/inside/architecture.md anew
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "nbclient"
PAGE = ROOT / "docs" / "inside" / "architecture.md"

# -- the tables -----------------------------------------------------------------------------

ERRORS, PURE, TWISTED, PROGRAM, DOORS = range(5)

RINGS = {
    "core": PURE,
    "framing": PURE,
    "delivery": PURE,
    "kernel": PURE,
    "spool": PURE,
    "connection": TWISTED,
    "link": TWISTED,
    "endpoints": TWISTED,
    "testing": TWISTED,
    "daemon": PROGRAM,
    "daemon/config": PROGRAM,
    "daemon/local": PROGRAM,
    "daemon/inputs": PROGRAM,
    "daemon/outputs": PROGRAM,
    "daemon/links": PROGRAM,
    "daemon/process": PROGRAM,
    "daemon/cli": PROGRAM,
}
"""The ring of each folder of nbclient/."""

FILES = {
    "errors.py": ERRORS,
    # Doors: they name things and hold nothing, so they may know every ring, and no ring them.
    "__init__.py": DOORS,
    "__main__.py": DOORS,
    "tap.py": DOORS,
    "alternatives.py": DOORS,
    "proxies.py": DOORS,
    "reasons.py": DOORS,
    "spooling.py": DOORS,
    "talking.py": DOORS,
    "terminal.py": DOORS,
    "delivery/spool.py": DOORS,
    "spool/__main__.py": DOORS,
}
"""Files whose ring is not that of their folder."""

ORDER = (
    (("core",), ("framing",), ("delivery",), ("kernel",), ("spool",)),
    (("connection",), ("link",), ("endpoints",), ("testing",)),
    (
        ("daemon/config",),
        ("daemon/local",),
        ("daemon/inputs", "daemon/outputs"),
        ("daemon/links",),
        ("daemon/process",),
        ("daemon/cli", "daemon"),
    ),
)
"""Inside a ring a folder imports from those before it; two on one step do not know each other."""

NO_SOCKETS = ("core", "framing", "delivery")
"""The folders that load no event loop and no socket either: rules over values."""

LIMITS = {"lines": 450, "class lines": 400, "methods": 30, "attributes": 20, "function lines": 40}
"""
lines: of a module.
class lines: of a class, from its name to its end.
methods: defined in the class itself, properties too.
attributes: set on `self` in its methods, or declared in its body.
function lines: without the docstring.
"""

OUTWARD = {
    ("connection.wording", "endpoints.tls_endpoint"): "for explain_tls, until core/wording",
    ("daemon.config.proxy", "daemon.cli.options"): "for Settings, until config/model",
    ("daemon.config.rules", "daemon.cli.options"): "for Settings, until config/model",
    ("daemon.config.rules", "daemon.links.opening"): "for SCRIPT, until config/model",
    ("daemon.inputs.exec", "daemon.outputs.base"): "until its output has a file of its own",
    ("daemon.inputs.exec", "daemon.outputs.formats"): "until its output has a file of its own",
    ("daemon.inputs.exec", "daemon.outputs.queued"): "until its output has a file of its own",
    ("daemon.inputs.intake", "daemon.outputs.queued"): "for os_reason, until core/wording",
    ("daemon.inputs.tail", "daemon.outputs.queued"): "for os_reason, until core/wording",
    ("daemon.links.automation", "daemon.cli.options"): "for Settings, until config/model",
    ("daemon.links.builder", "daemon.cli.options"): "for Settings, until config/model",
    ("daemon.links.notices", "daemon.cli.options"): "for Settings, until config/model",
    ("daemon.links.plan", "daemon.cli.options"): "for Settings, until config/model",
    ("daemon.links.progress", "daemon.process.logs"): "for write_stderr, until it is handed in",
    ("daemon.links.runner", "daemon.cli.options"): "for Settings, until config/model",
    ("daemon.links.runner", "daemon.process.demo"): "until the supervisor starts it",
    ("daemon.links.runner", "daemon.process.signals"): "for BY_SIGNAL, until the supervisor",
    ("daemon.local.listener", "daemon.inputs.intake"): "until inputs/listen and outputs/listen",
    ("daemon.local.listener", "daemon.outputs.base"): "until inputs/listen and outputs/listen",
    ("daemon.local.listener", "daemon.outputs.formats"): "until inputs/listen and outputs/listen",
    ("daemon.local.listener", "daemon.outputs.queued"): "until inputs/listen and outputs/listen",
    ("daemon.spooltool", "tap"): "for refuse_clash, until that is no door's",
    ("errors", "core.terminal"): "for escape, until core/wording",
}
"""Imports that point the wrong way today: module, what it imports, and what will cure it.

The list only shrinks.
"""

LARGE = {
    "connection/protocol.py: lines": (796, "until writer and hooks are files"),
    "connection/protocol.py FrameProtocol: class lines": (663, "until writer and hooks are files"),
    "connection/protocol.py FrameProtocol: methods": (58, "until writer and hooks are files"),
    "connection/protocol.py FrameProtocol: attributes": (40, "until writer and hooks are files"),
    "connection/receiver.py: lines": (861, "until Backlog is a class"),
    "connection/receiver.py FrameReceiver: class lines": (751, "until Backlog is a class"),
    "connection/receiver.py FrameReceiver: methods": (73, "until Backlog is a class"),
    "connection/receiver.py FrameReceiver: attributes": (40, "until Backlog is a class"),
    "connection/requests.py: lines": (523, "until it is a filter of the delivery loop"),
    "connection/requests.py RequestProtocol: class lines": (
        447,
        "until it is a filter of the delivery loop",
    ),
    "connection/requests.py RequestProtocol: methods": (
        45,
        "until it is a filter of the delivery loop",
    ),
    "core/states.py _table: function lines": (73, "the table is one literal, read as one"),
    "daemon/cli/options.py: lines": (
        677,
        "one table of all options; Settings goes to config/model",
    ),
    "daemon/cli/options.py Settings: class lines": (
        538,
        "one table of all options; Settings goes to config/model",
    ),
    "daemon/cli/options.py Settings: attributes": (
        82,
        "one table of all options; Settings goes to config/model",
    ),
    "daemon/inputs/cursors.py: lines": (
        486,
        "until batch and growing file have files of their own",
    ),
    "daemon/inputs/exec.py Coprocess: attributes": (
        22,
        "an input and an output in one, until they are two files",
    ),
    "daemon/inputs/intake.py: lines": (490, "until reader and file are files of their own"),
    "daemon/inputs/tail.py: lines": (473, "until the search for rotated files is a class"),
    "daemon/links/builder.py: lines": (
        515,
        "hands every setting to the link, until LinkOptions and config/model",
    ),
    "daemon/links/builder.py make_link: function lines": (
        50,
        "hands every setting to the link, until LinkOptions and config/model",
    ),
    "daemon/links/runner.py: lines": (500, "until a supervisor holds what is the process's"),
    "daemon/links/runner.py Job: class lines": (
        422,
        "until a supervisor holds what is the process's",
    ),
    "daemon/links/runner.py Job: methods": (38, "until a supervisor holds what is the process's"),
    "daemon/links/runner.py Job: attributes": (
        23,
        "until a supervisor holds what is the process's",
    ),
    "daemon/local/listener.py: lines": (479, "until inputs/listen and outputs/listen are files"),
    "daemon/outputs/queued.py StreamOutput: attributes": (
        21,
        "until the queue is a part of its own",
    ),
    "delivery/outbox.py: lines": (495, "until accounting holds the counters"),
    "delivery/outbox.py Outbox: methods": (34, "until accounting holds the counters"),
    "endpoints/proxy.py: lines": (504, "until proxy_handshakes is a file"),
    "framing/marked.py MarkedDecoder: attributes": (
        23,
        "one decoder for all framings with marks; state of one scan",
    ),
    "framing/prefixed.py: lines": (575, "until length and decimal are files"),
    "kernel/tcpinfo.py: lines": (455, "until probe is a file"),
    "link/factory.py: lines": (
        2031,
        "until LinkOptions, Lifecycle, Redial, Reasons, Watches and Level are out",
    ),
    "link/factory.py ReconnectingFactory: class lines": (
        1702,
        "until LinkOptions, Lifecycle, Redial, Reasons, Watches and Level are out",
    ),
    "link/factory.py ReconnectingFactory: methods": (
        161,
        "until LinkOptions, Lifecycle, Redial, Reasons, Watches and Level are out",
    ),
    "link/factory.py ReconnectingFactory: attributes": (
        78,
        "until LinkOptions, Lifecycle, Redial, Reasons, Watches and Level are out",
    ),
    "link/factory.py ReconnectingFactory.__init__: function lines": (
        103,
        "until LinkOptions, Lifecycle, Redial, Reasons, Watches and Level are out",
    ),
    "link/options.py LinkOptions: attributes": (27, "one attribute for each argument of a link"),
    "link/pump.py: lines": (578, "until it knows a Level and nothing else"),
    "link/pump.py Pump: class lines": (501, "until it knows a Level and nothing else"),
    "link/pump.py Pump: methods": (40, "until it knows a Level and nothing else"),
    "link/pump.py Pump: attributes": (24, "until it knows a Level and nothing else"),
    "spool/spool.py: lines": (656, "until the thread's side is committer"),
    "spool/spool.py Spool: class lines": (480, "until the thread's side is committer"),
    "spool/spool.py Spool: methods": (39, "until the thread's side is committer"),
    "spool/spool.py Spool: attributes": (24, "until the thread's side is committer"),
    "testing/pipe.py: lines": (582, "until dialing and script are files"),
}
"""What is over a limit today, and why. Nothing in it may grow, and the list only shrinks."""

# -- what there is --------------------------------------------------------------------------


def module_of(path: Path) -> str:
    """The dotted name of a file of the package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
"""Every module of the package, found by walking."""


def file_of(module: str) -> str:
    """Its path below nbclient/, with forward slashes."""
    return MODULES[module].relative_to(PACKAGE).as_posix()


def folder_of(file: str) -> str:
    """The folder that a file lies in, "" for the package's own."""
    return file.rpartition("/")[0]


def ring_of(module: str) -> int:
    """The module's ring; a file's own line counts more than its folder's."""
    file = file_of(module)
    ring = FILES.get(file, RINGS.get(folder_of(file)))
    assert ring is not None, f"nbclient/{file} lies in a folder that has no ring"
    return ring


@cache
def imports(module: str) -> frozenset[str]:
    """The modules that it imports anywhere, those for the type checker too."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{module}: relative imports hide where a thing lies"
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                found.add(below if below in MODULES else node.module)
    return frozenset(found)


def ours(module: str) -> list[str]:
    """Those of its imports that are modules of the package, but not the package itself."""
    return sorted(name for name in imports(module) if name in MODULES and name != "nbclient")


def step_of(module: str) -> tuple[int, int, str]:
    """Where a module stands: its ring, its step inside the ring, and its folder."""
    ring, folder = ring_of(module), folder_of(file_of(module))
    for steps in ORDER:
        for number, step in enumerate(steps):
            if folder in step:
                return ring, number, folder
    return ring, 0, folder


def inward(module: str, other: str) -> bool:
    """True if the module may import the other."""
    ring, step, folder = step_of(module)
    theirs, below, where = step_of(other)
    if DOORS in (ring, theirs):
        return ring == DOORS
    return theirs < ring or (theirs == ring and (below < step or folder == where))


def outward() -> set[tuple[str, str]]:
    """Every import that points the wrong way, both ends from `nbclient` on."""
    return {
        (module.removeprefix("nbclient."), other.removeprefix("nbclient."))
        for module in MODULES
        for other in ours(module)
        if not inward(module, other)
    }


def sizes(module: str) -> Iterator[tuple[str, int]]:
    """What can be too large in a module: what is measured, and how large it is."""
    file, text = file_of(module), MODULES[module].read_text()
    yield f"{file}: lines", len(text.splitlines())
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            yield f"{file} {node.name}: class lines", lines(node)
            yield f"{file} {node.name}: methods", len(methods)
            yield f"{file} {node.name}: attributes", len(attributes(node))
            for each in methods:
                yield f"{file} {node.name}.{each.name}: function lines", lines(each)
        elif isinstance(node, ast.Module):
            for each in node.body:
                if isinstance(each, ast.FunctionDef):
                    yield f"{file} {each.name}: function lines", lines(each)


def lines(node: ast.FunctionDef | ast.ClassDef) -> int:
    """How many lines it has, a function's docstring left out."""
    whole = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if isinstance(node, ast.ClassDef) or ast.get_docstring(node) is None:
        return whole
    return whole - ((first.end_lineno or first.lineno) - first.lineno + 1)


def attributes(node: ast.ClassDef) -> set[str]:
    """The names that a class declares, or sets on `self`."""
    found = set()
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            found.add(each.target.id)
        elif isinstance(each, ast.Assign):
            found |= {target.id for target in each.targets if isinstance(target, ast.Name)}
    for each in ast.walk(node):
        if (
            isinstance(each, ast.Attribute)
            and isinstance(each.ctx, ast.Store)
            and isinstance(each.value, ast.Name)
            and each.value.id == "self"
        ):
            found.add(each.attr)
    return found


def large() -> dict[str, int]:
    """All that is over its limit."""
    return {
        what: size
        for module in MODULES
        for what, size in sizes(module)
        if size > LIMITS[what.rpartition(": ")[2]]
    }


# -- rings ----------------------------------------------------------------------------------


def test_every_file_has_one_ring() -> None:
    for module in MODULES:
        ring_of(module)
    assert [file for file in FILES if not (PACKAGE / file).exists()] == []


def test_every_folder_of_the_table_is_there_and_has_its_step() -> None:
    there = {folder_of(file_of(module)) for module in MODULES} - {""}
    assert there == set(RINGS)
    assert sorted(folder for steps in ORDER for step in steps for folder in step) == sorted(RINGS)


def test_imports_point_inward() -> None:
    assert sorted(outward() - set(OUTWARD)) == []


def test_no_exception_to_the_direction_is_listed_that_is_not_needed() -> None:
    assert sorted(set(OUTWARD) - outward()) == []


def test_the_inner_rings_import_no_twisted_anywhere() -> None:
    """Neither inside a function nor for the type checker."""
    for module in MODULES:
        if ring_of(module) <= PURE:
            assert not {name.split(".")[0] for name in imports(module)} & SHUT, module


def test_only_doors_take_names_from_the_package_itself() -> None:
    """Such a name would hide which module is meant; the version has no other home."""
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "nbclient":
                names = {each.name for each in node.names if f"nbclient.{each.name}" not in MODULES}
                assert names <= {"__version__"} or ring_of(module) == DOORS, module


def test_a_door_holds_names_and_nothing_else() -> None:
    for file, ring in FILES.items():
        if ring == DOORS and "/" not in file and file not in OWN_DOORS:
            body = ast.parse((PACKAGE / file).read_text()).body
            kinds = [type(node) for node in body]
            assert kinds == [ast.Expr, ast.ImportFrom, ast.Assign], file


OWN_DOORS = ("__init__.py", "__main__.py", "tap.py")
"""The doors of the program and of the package; `tests/test_exports.py` and others test them."""

# -- loading without Twisted ----------------------------------------------------------------

SHUT = {"twisted", "zope", "OpenSSL", "hyperlink", "incremental", "constantly", "automat"}
LOOPS = {"asyncio", "selectors", "socket", "ssl"}

# Runs in an interpreter of its own: here, Twisted is loaded already. Each module is loaded in
# a fork of that interpreter, so that none finds what another has loaded.
PROBE = """
import json, os, sys

modules, shut, folder = json.loads(sys.argv[1])

class Shut:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in shut:
            raise ImportError("the inner rings may not load " + name)

def load(name):
    try:
        __import__(name)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return sorted({each.partition(".")[0] for each in sys.modules})

sys.meta_path.insert(0, Shut())
sys.path.insert(0, folder)
before = {each.partition(".")[0] for each in sys.modules}
for module in modules:
    if os.fork() == 0:
        found = load(module)
        new = found if isinstance(found, str) else sorted(set(found) - before)
        print(json.dumps([module, new]), flush=True)
        os._exit(0)
    os.wait()
"""


@cache
def loaded(*modules: str) -> dict[str, str | list[str]]:
    """Load modules where there is no Twisted.

    :return: for each the packages that it loaded, or why it could not be.
    """
    done = subprocess.run(
        # -I: nothing of the environment, so that no site hook loads Twisted first.
        [sys.executable, "-I", "-c", PROBE, json.dumps([modules, sorted(SHUT), str(ROOT)])],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


INNER = tuple(module for module in MODULES if ring_of(module) <= PURE or module == "nbclient")


@pytest.mark.parametrize("module", INNER)
def test_an_inner_module_loads_where_there_is_no_twisted(module: str) -> None:
    found = loaded(*INNER)[module]
    assert not isinstance(found, str), found
    if folder_of(file_of(module)) in ("", *NO_SOCKETS):
        assert not set(found) & LOOPS


def test_the_probe_finds_a_module_that_needs_twisted() -> None:
    (found,) = loaded("nbclient.connection.protocol").values()
    assert "the inner rings may not load" in found


# -- sizes ----------------------------------------------------------------------------------


def test_nothing_is_over_a_limit_but_what_is_listed() -> None:
    new = {what: size for what, size in large().items() if what not in LARGE}
    assert not new, "split it; a listed exception needs a reason that a reader accepts"


def test_what_is_listed_has_not_grown() -> None:
    found = large()
    assert {what: found[what] for what in LARGE if found.get(what, 0) > LARGE[what][0]} == {}


def test_what_is_listed_is_still_over_its_limit() -> None:
    assert sorted(set(LARGE) - set(large())) == [], "take it from the list"


# -- the page -------------------------------------------------------------------------------

TABLE = re.compile(r"(<!-- modules of (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str) -> str:
    """The page with its tables drawn from the first lines of the modules' docstrings."""
    return TABLE.sub(lambda found: found[1] + table(found[2]) + found[3], page)


def table(folder: str) -> str:
    """The table of one folder's modules; ``nbclient`` for the package's own."""
    rows = ["| module | what it is |", "|---|---|"]
    for module, path in MODULES.items():
        file = file_of(module)
        if folder_of(file) == ("" if folder == "nbclient" else folder):
            first = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
            line = first.replace("``", "`").replace("|", "\\|").removesuffix(".")
            rows.append(f"| `{file.removesuffix('.py')}` | {line} |")
    return "\n".join(rows) + "\n"


def test_the_page_says_what_the_modules_say() -> None:
    page = PAGE.read_text()
    assert page == filled(page), "python -m tests.test_house"


def test_the_page_has_a_table_for_each_folder() -> None:
    assert {found[2] for found in TABLE.finditer(PAGE.read_text())} == {"nbclient", *RINGS}


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))
