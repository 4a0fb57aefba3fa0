"""Two framings in one: a peer that is spoken to in another way than it speaks."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from nbclient.framing.base import Decoder, Framing


def pair(receive: Framing, send: Framing) -> Framing:
    """Decode by one framing, encode by another.

    For protocols whose two directions differ: requests of a fixed form and answers
    with a length (Modbus RTU), lines there and a binary stream back (NTRIP).

    :param receive: cuts what the peer sends; its limit, and what it does with a bad
        frame, are the pair's.
    :param send: makes the images of what is sent.
    """
    received, sent = incoming(receive), outgoing(send)
    return received if received == sent else Pair(received, sent)


def incoming(framing: Framing) -> Framing:
    """The framing of what is received: of a pair one half, else the framing itself."""
    return framing.receive if isinstance(framing, Pair) else framing


def outgoing(framing: Framing) -> Framing:
    """The framing of what is sent: of a pair one half, else the framing itself."""
    return framing.send if isinstance(framing, Pair) else framing


@frozen(slots=False)
class Pair(Framing):
    """The recipe behind `pair`.

    Of the promises of `Framing` one is not kept, and cannot be: what `encode` makes
    is not what `decoder` reads.
    """

    receive: Framing
    send: Framing
    max_frame: int = field(init=False, repr=False, eq=False)
    line_like: bool = field(init=False, repr=False, eq=False)
    on_bad_frame: str = field(init=False, repr=False, eq=False)
    answers: bool = field(init=False, repr=False, eq=False)

    @max_frame.default
    def _limit(self) -> int:
        return self.receive.max_frame

    @line_like.default
    def _is_line_like(self) -> bool:
        return self.receive.line_like

    @on_bad_frame.default
    def _way_with_bad_frames(self) -> str:
        return getattr(self.receive, "on_bad_frame", "close")

    @answers.default
    def _answers_itself(self) -> bool:
        return self.receive.answers

    @property
    def most_held(self) -> int:
        return self.receive.most_held

    def __str__(self) -> str:
        return f"{self.receive}, sent as {self.send}"

    @property
    def sends(self) -> bool:
        return self.send.sends

    def decoder(self) -> Decoder:
        return self.receive.decoder()

    def encode(self, frames: Sequence[bytes]) -> list[bytes]:
        return self.send.encode(frames)

    def joined(self, frames: Sequence[bytes]) -> bytes:
        return self.send.joined(frames)

    def image(self, frame: bytes) -> bytes:
        return self.send.image(frame)

    def check(self, frames: Sequence[bytes]) -> None:
        self.send.check(frames)
