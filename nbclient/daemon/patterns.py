"""Regular expressions from the command line, which no frame can keep busy for long.

A pattern that backtracks may need hours for forty bytes that a peer chose. The
`regex` module gives up after a time; `re` does not.
"""

from __future__ import annotations

import re
from typing import Any

import regex
from attrs import field, frozen

from nbclient.errors import PatternTimeout

LIMIT = 0.1
"""How long a pattern may take on one frame, seconds."""


@frozen
class Pattern:
    """As a compiled pattern of `re`, as far as it is needed here.

    :ivar pattern: its text.
    :raises re.error: it is no regular expression of Python's.
    """

    pattern: bytes
    _compiled: Any = field(init=False, eq=False, repr=False)

    @_compiled.default
    def _compile(self) -> Any:
        re.compile(self.pattern)  # no more is promised than what Python's own knows
        return regex.compile(self.pattern, regex.DOTALL | regex.VERSION0)

    @property
    def groups(self) -> int:
        """How many groups it has."""
        return int(self._compiled.groups)

    def search(self, data: bytes) -> Any:
        """The first match in `data`, or None.

        :raises PatternTimeout: it takes longer than `LIMIT`.
        """
        try:
            return self._compiled.search(data, timeout=LIMIT)
        except TimeoutError:
            raise PatternTimeout(LIMIT, self.pattern) from None

    def check(self, template: bytes) -> None:
        """Whether an answer can be made of what it matches.

        :raises re.error, IndexError: the template names a group that is not there.
        """
        re.compile(self.pattern).sub(template, b"")
