"""From the table of options to Twisted's `usage.Options`, and to the reference page.

``python -m nbclient.daemon.cli.parser`` writes ``docs/command-line.md``.
"""

from __future__ import annotations

import getopt
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

from twisted.python import usage

from nbclient.daemon.cli.helptext import INTERRUPTED, STATUSES, help_for, spelling, version_text
from nbclient.daemon.cli.options import GROUPS, SHELL, TWISTD, Given, Option, Settings, table
from nbclient.daemon.config.rules import check
from nbclient.daemon.config.values import shown
from nbclient.daemon.process.logs import one_line
from nbclient.errors import SpecError


class SettingsOptions(usage.Options):
    """The table of options as a parser; `settings` holds the outcome.

    A wrong usage is one line on stderr and status 2. (Twisted would print the
    whole help on stdout and exit with 1.)
    """

    front = SHELL
    settings: Settings

    def __init__(self) -> None:
        super().__init__()
        self._values: dict[str, Any] = {}
        self._places = 0

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Parse; options and arguments may be mixed. Ends the process at a fault."""
        words = list(sys.argv[1:] if options is None else options)
        try:
            super().parseOptions(self._sorted_out(words))
        except (usage.UsageError, SpecError) as error:
            refuse(str(error))

    def _sorted_out(self, words: list[str]) -> list[str]:
        """The options first, each with its value by ``=``; then the arguments."""
        try:
            found, arguments = getopt.gnu_getopt(words, self.shortOpt, self.longOpt)
        except getopt.GetoptError as error:
            raise SpecError(self._explain(error)) from None
        if ("--help", "") in found or (
            "-h",
            "",
        ) in found:  # before Twisted's own, which knows no topics
            tell(help_for(self.front, arguments[0] if arguments else None))
        with_value = {name[:-1] for name in self.longOpt if name.endswith("=")}
        options = [
            f"{name}={value}" if name.removeprefix("--") in with_value else name
            for name, value in found
        ]
        return [*options, "--", *arguments]

    def _explain(self, error: getopt.GetoptError) -> str:
        name = error.opt or ""
        dashed = f"--{name}" if len(name) > 1 else f"-{name}"
        if "requires argument" in error.msg:
            return f"{dashed}: needs a value"
        if "must not have an argument" in error.msg:
            return f"{dashed}: takes no value"
        if "not a unique prefix" in error.msg:
            return f"{shown(dashed)}: could be more than one option"
        elsewhere = {option.name for option in table()} - {
            option.name for option in table(self.front)
        }
        if name in elsewhere:
            return f"{dashed}: is not for {self.front}"
        near = get_close_matches(name, [option.name for option in table(self.front)], 1)
        hint = f"; did you mean --{near[0]}?" if near else "; --help lists them"
        return f"{shown(dashed)}: there is no such option{hint}"

    def take(self, option: Option, value: str | None) -> None:
        """One use of `option` on the command line."""
        try:
            parsed = True if value is None else option.parse(value)
        except SpecError as error:
            raise SpecError(f"--{option.name}: {error}") from None
        if option.repeat:
            self._places += 1
            self._values.setdefault(option.field, []).append(Given(self._places, parsed))
        elif self._values.get(option.field, parsed) != parsed:
            raise SpecError(f"--{option.name}: is given twice")
        else:
            self._values[option.field] = parsed

    def postOptions(self) -> None:
        """Make and check `settings`."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in self._values.items()
        }
        given = frozenset(name.replace("_", "-") for name in values)
        self.settings = Settings(**values, given=given)
        check(self.settings, self.front)

    opt_h = usage.Options.opt_help  # so that it is known; `_sorted_out` sees to it

    def opt_version(self) -> NoReturn:
        """Show the versions and exit."""
        tell(version_text())


class ShellOptions(SettingsOptions):
    """What ``python -m nbclient`` understands."""

    front = SHELL

    def parseArgs(self, *arguments: str) -> None:
        """HOST and PORT, the same as --host and --port."""
        names = ("host", "port")
        if len(arguments) > len(names):
            raise SpecError(f"{shown(arguments[2])!r}: only HOST and PORT are taken")
        by_name = {option.name: option for option in table(self.front)}
        for name, value in zip(names, arguments, strict=False):
            if name in self._values:
                raise SpecError(f"--{name} and {name.upper()}: say it once")
            self.take(by_name[name], value)


class TwistdOptions(SettingsOptions):
    """What ``twistd nbclient`` understands."""

    front = TWISTD

    def parseArgs(self, *arguments: str) -> None:
        """Nothing but options."""
        if arguments:
            raise SpecError(f"{shown(arguments[0])!r}: use --host and --port")


def _add_options(options: type[SettingsOptions]) -> None:
    """Give the class a method for each option of its front end, as Twisted looks for them."""
    for option in table(options.front):
        method = _flag(option) if option.metavar is None else _parameter(option)
        setattr(options, f"opt_{option.field}", method)
        if option.short:
            setattr(options, f"opt_{option.short}", method)


def _flag(option: Option) -> Any:
    def method(self: SettingsOptions) -> None:
        self.take(option, None)

    method.__doc__ = option.help
    return method


def _parameter(option: Option) -> Any:
    def method(self: SettingsOptions, value: str) -> None:
        self.take(option, value)

    method.__doc__ = option.help
    return method


_add_options(ShellOptions)
_add_options(TwistdOptions)


def tell(text: str) -> NoReturn:
    """Print what was asked for and exit; a reader that has enough (``| head``) is no fault."""
    try:
        print(text, flush=True)
    except OSError as error:
        # What is still buffered would raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            refuse(f"standard output: {error.strerror}")
    raise SystemExit(0)


def refuse(message: str) -> NoReturn:
    """One line on stderr, status 2."""
    # A path may hold line ends, and bytes that are no text.
    text = one_line(message.replace("\n", "\\n")).encode("utf-8", "backslashreplace").decode()
    print(f"nbclient: {text}", file=sys.stderr)
    raise SystemExit(2)


def reference() -> str:
    """The page docs/command-line.md, Markdown."""
    parts = [_REFERENCE_HEAD]
    for group, title in GROUPS.items():
        rows = [_reference_row(option) for option in table() if option.group == group]
        parts += [
            f"## {title}",
            "",
            "| option | what it does | default |",
            "|---|---|---|",
            *rows,
            "",
        ]
    parts += ["## Exit status", "", "| status | meaning |", "|---|---|"]
    parts += [f"| {status} | {meaning} |" for status, meaning in STATUSES]
    number, meaning = INTERRUPTED.split(": ", 1)
    parts += [f"| {number} | {meaning} |", "", _REFERENCE_FOOT]
    return "\n".join(parts)


def _reference_row(option: Option) -> str:
    def cell(text: str) -> str:
        return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")

    notes = [cell(option.help)]
    if option.repeat:
        notes.append("*Repeatable.*")
    if len(option.fronts) == 1:
        notes.append(f"*Only `{next(iter(option.fronts))}`.*")
    unit = f" {option.unit}" if option.unit and option.default[:1].isdigit() else ""
    name = spelling(option).replace("|", "\\|")
    return f"| `{name}` | {' '.join(notes)} | {cell(option.default + unit)} |"


_REFERENCE_HEAD = """\
# The command line

<!-- Written by `python -m nbclient.daemon.cli.parser > docs/command-line.md`; a test compares. -->

`nbclient HOST PORT` (`python -m nbclient HOST PORT` is the same program) is for a terminal and for
scripts: standard input is sent, what arrives goes to standard output, the log to standard error.
`nbclient --help` (or `-h`) shows the options that most people need, `--help all` all of them,
`--help NAME` one option or group, `--version` what TLS and delivery this machine has.

`twistd nbclient --host H --port P` is for months in the background: `--input none --output log`,
and the standard streams are refused.

Both know the options below; the long ones may be cut short as long as they stay unambiguous.
Whatever is not listed is refused, and so are combinations that make no sense. `S` stands for
seconds (`0.5` will do), `H` for a name or an address, `P` for a port, `SIZE` for bytes (`64KiB`,
`10M`), `REGEX` for a regular expression of Python's, looked for in a frame's bytes (`.` is any
byte). One that takes more than 0.1 seconds on a frame of the peer ends the connection, and so do
matches of more than a millisecond that take 0.25 seconds of a second together: frames made to keep
patterns busy cannot hold up anything else.
"""

_REFERENCE_FOOT = """\
## The opening script

`--opening`, `--opening-file`, `--expect` and `--expect-prompt` are one script, run in the order in
which they are given, at every connection. The link is ready, and the input is sent, when the script
has come to its end within `--opening-timeout`. A failure counts as a failed attempt: the back-off
grows.

    nbclient --opening 'NICK bot' --opening 'USER bot 0 * :bot' --expect ' 001 ' \\
        irc.example 6667

Each `--opening` is one frame: the framing adds the line's end. Passwords do not belong on a command
line, where every user of the machine sees them. `${file:PATH}` stands for a file's contents without
the last line end, `${env:NAME}` for a variable of the environment; both are read again at each
connection.

What was read for an opening, a heartbeat, a poll or `--proxy-auth` is masked wherever the peer's
bytes or ours are logged or kept: in lines of the log and messages (as `***`), in `--hexdump` and
`--bad-frames` (a `*` for each byte) and in the reasons of a spool. Secret is all that `${file:}`
and `${env:}` gave and each of its words; of `--opening-file` each line, and each of its words but
a first one that others follow, which is taken for a command; of a login the password, and what
HTTP makes of it. Not found is what has less than 4 bytes, what the peer encodes or spells in
another way, and what is cut by the end of a frame or a read. Frames that go to outputs are data,
and stay as they are.

`--expect` looks at whole frames. With `--framing raw` and `--raw` there are none: it looks through
what has come since the last match, at most 16 KiB of it, so that it does not matter how the network
cut it. What one step matched, and what is before that, the next one does not see.

A prompt ends no line. `--expect-prompt 'Password: $'` finds it in a frame that is not finished, if
nothing more has come for 0.25 seconds. The two pieces of a line are rarely apart for so long, but
they can be: let the pattern end in `$`, and say as much of the prompt as there is.

    nbclient --expect-prompt 'login: $' --opening admin \\
        --expect-prompt 'Password: $' --opening '${file:./password}' router.example 23

Where a login is text and what follows is not, `--opening-framing lines` is for the first and
`--framing length:4` for the second. What is behind the frame in which the last `--expect` matched
is the first of the data, however it was cut. Behind a prompt of `--expect-prompt` that holds only
where the peer pauses between the two: of data in the same read, what the framing of the opening
takes for the end of a line is lost. The frames of the opening are no data, and no output has them.

## Inputs and outputs

- Reading of the input pauses while the link's outbox is full, reading from the peer while an output
  is slow or its disk full. Nothing is dropped, but by the outputs that say so.
- An unfinished last line of the input is sent as a line. Of any other framing it is reported.
- A frame that the framing of the link or an `--output-framing` cannot carry (a line that holds a
  line feed) is never changed: the input or output leaves it out, says so, counts it (status 1), and
  goes on. Without `--output-framing` an output carries whatever comes: see
  [what is written](inputs-outputs.md#what-is-written).
- `file:` appends. After a short write the rest of that frame goes first; when the disk is full, it
  is tried again every few seconds. A file that ends inside a line is mended with a line end; in a
  file of another framing (a length in front, say) that cannot be seen.
- [Inputs and outputs](inputs-outputs.md) has the rest: `tail:`, `fifo:`, `listen:`, `exec:`,
  `udp:`, rotation, who pauses and who drops.
- `log` shows at most 10 frames a second and 200 bytes of each, and counts the rest.
- On a terminal what arrives is shown in a readable form: control characters, direction marks,
  zero-width characters and invalid UTF-8 are escaped. Anything else than a terminal gets the bytes
  as they came, but for a line feed inside a line.
- A line that is not finished, such as a prompt, is shown there when nothing more has come for 0.25
  seconds, with `...` behind it. What is still to come is then shown behind that.

## How it ends

- The end of the input ends nothing without `--once` or `--drain`; after Ctrl-D on a terminal a line
  says so.
- `--once` sends the input, closes our side of the connection (which TLS cannot), and takes what
  comes back until the peer closes, or neither sends nor closes for `--wait`. With `--input none`
  it stays until the peer closes.
- When the reader of standard output goes away, `nbclient` ends quietly with status 0.
- Sent means handed to the system, which goes on sending; whether the peer has read it, only the
  peer can say.

## Signals

| signal | effect |
|---|---|
| SIGTERM, SIGINT | an orderly end within `--close-timeout` and a second; a second signal: at once |
| SIGHUP | output files are closed and opened anew, between two frames |
| SIGUSR1 | the same; `twistd` rotates its log too |

On a terminal `nbclient` takes SIGHUP for the end of the terminal, and ends. A signal that was
ignored at the start, as SIGHUP is under `nohup`, stays ignored.

An end that is not over in a moment says what is not delivered or stored yet, and how long it may
take. In the end the program dies of the signal, as one that handles none does: a shell gives
128 and its number, and systemd counts the stop of a service as a success. Where something was not
delivered the status is 1 instead.
"""


if __name__ == "__main__":
    print(reference(), end="")
