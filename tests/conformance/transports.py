"""Stand-ins for transports and child processes."""

from __future__ import annotations

from typing import Any


class Pipe:
    """A transport with room for so many bytes; what is over pauses its producer.

    :ivar data: what was written; `taken`: of that, how much has left.
    """

    def __init__(self, room: int = 10**9) -> None:
        self.room = room
        self.data = b""
        self.taken = 0
        self.producer: Any = None
        self.said: list[str] = []

    @property
    def waiting(self) -> int:
        return len(self.data) - self.taken

    def write(self, data: bytes) -> None:
        self.data += data
        if self.waiting >= self.room:
            self.producer.pauseProducing()

    def take(self) -> None:
        """Everything written leaves."""
        self.taken = len(self.data)
        if self.producer is not None:
            self.producer.resumeProducing()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert self.producer is None
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def loseConnection(self) -> None:
        assert self.producer is None  # it would not close
        self.said.append("lose")

    def abortConnection(self) -> None:
        self.said.append("abort")

    def pauseProducing(self) -> None:
        self.said.append("pause")

    def resumeProducing(self) -> None:
        self.said.append("resume")
