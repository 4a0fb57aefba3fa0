"""The opening script: what is said, and waited for, before a link is ready.

Texts may name files and variables of the environment, so that no secret has
to stand on a command line. They are read anew at each connection, and neither
a text nor what was read for it is ever logged.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from typing import Any

from attrs import field, frozen
from twisted.internet.defer import CancelledError

from nbclient.core.states import State
from nbclient.core.terminal import printable
from nbclient.daemon.config.values import shown
from nbclient.daemon.links.hearing import Hearing, Speaker
from nbclient.daemon.links.masking import Masker
from nbclient.daemon.outputs.formats import is_raw
from nbclient.daemon.outputs.queued import os_reason
from nbclient.errors import ConnectionClosed, LocalError, SpecError
from nbclient.framing import raw
from nbclient.framing.base import Framing
from nbclient.framing.pair import outgoing

MOST = 1024 * 1024
"""The longest file that an opening reads, bytes."""

SHOWN = 80
"""Most bytes of a frame that the log repeats."""

SCRIPT = ("opening", "opening-file", "expect", "expect-prompt")
"""The options that make a script."""

_RAW = raw()

_SPECIAL = re.compile(
    rb"\\(?P<code>x[0-9A-Fa-f]{2}|.|$)|\$\{(?P<name>[^}]*)(?P<end>\}?)", re.DOTALL
)
_PLAIN = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"0": b"\0", b"\\": b"\\", b"$": b"$"}


@frozen
class Text:
    """A text of --opening: one frame.

    :ivar parts: bytes as they are, and functions that read the others.
    """

    parts: tuple[bytes | Callable[[], bytes], ...] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Text:
        """From the command line.

        :raises SpecError: an unknown escape or ``${...}``.
        """
        data = text.encode("utf-8", "surrogateescape")
        parts: list[bytes | Callable[[], bytes]] = []
        end = 0
        for found in _SPECIAL.finditer(data):
            parts += [data[end : found.start()], _special(found)]
            end = found.end()
        return cls((*parts, data[end:]))

    def render(self, masker: Masker) -> bytes:
        """The frame.

        :param masker: gets to know what is read for it.
        :raises LocalError: a file cannot be read, a variable is not set.
        """
        pieces = []
        for part in self.parts:
            if isinstance(part, bytes):
                pieces.append(part)
            else:
                pieces.append(part())
                masker.add(pieces[-1])
        return b"".join(pieces)

    def frames(self, framing: Framing, masker: Masker) -> list[bytes]:
        """See `render`."""
        return [self.render(masker)]


@frozen
class File:
    """A file of --opening-file: each line a frame, or all of it where there are no frames."""

    path: str

    def frames(self, framing: Framing, masker: Masker) -> list[bytes]:
        """The frames.

        :param masker: gets to know them.
        :raises LocalError: the file cannot be read.
        """
        data = read_file(self.path)
        for line in data.splitlines():
            masker.add_line(line)
        if not data:
            return []
        if is_raw(outgoing(framing)):
            return [data]
        return [line.removesuffix(b"\r") for line in data.removesuffix(b"\n").split(b"\n")]


@frozen
class Expect:
    """Wait for a frame in which the pattern is found.

    :ivar prompt: or for one that is not finished, once nothing more comes.
    """

    pattern: re.Pattern[bytes]
    prompt: bool = False


Step = Text | File | Expect


def parse_script(
    steps: Sequence[tuple[str, Any]],
    framing: Framing | None = None,
    masker: Masker | None = None,
) -> tuple[Step, ...]:
    """From `Settings.script`; everything that can be read is read once, to be sure of it.

    :param framing: must be able to carry what is said, if it is given.
    :param masker: gets to know what is read.
    :raises LocalError: one line that names the option and what is wrong.
    """
    known = masker or Masker()
    return tuple(_parse_step(name, value, framing, known) for name, value in steps)


def _parse_step(name: str, value: Any, framing: Framing | None, masker: Masker) -> Step:
    if name in ("expect", "expect-prompt"):
        return Expect(value, prompt=name == "expect-prompt")
    try:
        step = Text.parse(value) if name == "opening" else File(value)
        frames = step.frames(_RAW if framing is None else framing, masker)
        if framing is not None:
            framing.check(frames)
    except LocalError as error:
        raise SpecError(f"--{name}: {error}") from None
    return step


async def run_script(script: Sequence[Step], speaker: Speaker, apart: bool = False) -> Hearing:
    """Say and wait, in order.

    What was waited for in vain is logged, with the last frame that came.

    :param apart: the frames of the opening are none of the data: they are taken.
    :return: what of the last of them belongs to what comes next.
    :raises LocalError: a file or variable is no longer there; a frame cannot be carried.
    :raises ConnectionClosed: the connection ended first.
    """
    hearing = Hearing(speaker, apart)
    for step in script:
        if isinstance(step, Expect):
            await _wait_for(step, speaker, hearing)
        else:
            speaker.sendFrames(step.frames(speaker.framing, speaker.factory.masker))
    return hearing


async def _wait_for(step: Expect, speaker: Speaker, hearing: Hearing) -> None:
    hearing.last = None
    try:
        await hearing.wait_for(step.pattern, step.prompt)
    except (ConnectionClosed, CancelledError):  # the latter: its time was up
        if speaker.factory.state is not State.CLOSING:  # else it is no failure
            news = speaker.factory.isNews("the opening waited")
            (speaker.log.warn if news else speaker.log.debug)(
                "{link}: the opening waited in vain for /{pattern}/, {seen}",
                link=speaker.factory.name,
                pattern=shown(step.pattern.pattern.decode("utf-8", "backslashreplace")),
                seen=_seen(hearing.last, speaker.tail, speaker.factory.masker),
            )
        raise


def _seen(frame: bytes | None, tail: bytes, masker: Masker) -> str:
    """What came last: a frame, or what is there of one that is not finished."""
    if frame is None and not tail:
        return "and no frame came"
    last = printable(masker.mask(tail or frame or b""), SHOWN)
    if tail:
        return f"what came last is no whole frame: {last}"
    return f"the last frame was: {last}"


def read_file(path: str) -> bytes:
    """A small file.

    :raises LocalError: it cannot be read, is longer than `MOST`, or can be read
        only once (a pipe), while it is wanted at each connection.
    """
    try:
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise LocalError(f"{path}: not a regular file, and it is read at each connection")
        with open(path, "rb") as file:
            data = file.read(MOST + 1)
    except OSError as error:
        raise LocalError(f"{path}: {os_reason(error)}") from None
    except ValueError:
        raise LocalError(f"{shown(path)}: a path cannot hold a NUL") from None
    if len(data) > MOST:
        raise LocalError(f"{path}: is longer than {MOST} bytes")
    return data


def _special(found: re.Match[bytes]) -> bytes | Callable[[], bytes]:
    """What an escape or ``${...}`` stands for."""
    code = found["code"]
    if code is None:
        if not found["end"]:
            raise SpecError(f"'{shown(os.fsdecode(found[0]))}' lacks its }}")
        return _reader(os.fsdecode(found["name"]))
    if code in _PLAIN:
        return _PLAIN[code]
    if len(code) == 3:
        return bytes.fromhex(code[1:].decode("ascii"))
    raise SpecError(
        f"'{shown(os.fsdecode(found[0]))}' is no escape (\\n \\r \\t \\0 \\\\ \\$ \\xHH are)"
    )


def _reader(name: str) -> Callable[[], bytes]:
    kind, _, rest = name.partition(":")
    if kind == "file" and rest:
        return lambda: _secret(rest)
    if kind == "env" and rest:
        return lambda: _variable(rest)
    raise SpecError(f"${{{shown(name)}}}: only ${{file:PATH}} and ${{env:NAME}} are known")


def _secret(path: str) -> bytes:
    """A file's contents without the last line end."""
    return read_file(path).removesuffix(b"\n").removesuffix(b"\r")


def _variable(name: str) -> bytes:
    value = os.environ.get(name)
    if value is None:
        raise LocalError(f"the environment has no {shown(name)}")
    return os.fsencode(value)
