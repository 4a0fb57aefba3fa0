"""The frames of a connection for a loop that asks for them, and for nothing else."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from nbclient.errors import ConnectionClosed

if TYPE_CHECKING:
    from nbclient.connection.receiver import FrameReceiver, PauseToken


class Frames:
    """Owns the frames of a connection until it is closed; made by `FrameProtocol.frames`.

    ::

        with connection.frames() as frames:
            async for frame in frames:
                await something_else()

    Between two frames that are asked for, the others wait, and reading stops: nothing is
    lost, nothing is handed to ``frameReceived``, and what waits is bounded by one read. The
    loop ends behind the last frame of the connection; why that ended, its link knows.
    What was not taken when it is closed goes to ``frameReceived``, as everything before.

    A connection is over only when its last frame was taken or this was closed: a link
    connects anew after that. One that is forgotten closes itself (`__del__`).
    """

    __slots__ = ("_receiver", "_token")

    def __init__(self, receiver: FrameReceiver, token: PauseToken | None) -> None:
        self._receiver = receiver
        self._token = token

    def next(self) -> Deferred[bytes]:
        """The next frame.

        :return: fails with `ConnectionClosed` where none comes, or this is closed; may be
            cancelled.
        """
        if self._token is None:
            return fail(ConnectionClosed("no more frames come here"))
        taken = self._receiver._take()
        taken.addErrback(self._ended)
        return taken

    def close(self) -> None:
        """Give the frames back to ``frameReceived``; a second call does nothing."""
        token, self._token = self._token, None
        if token is not None:
            self._receiver._giveBack(token)

    def _ended(self, reason: Failure) -> Failure:
        if reason.check(ConnectionClosed):
            self.close()
        return reason

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.next()
        except ConnectionClosed:
            raise StopAsyncIteration from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
