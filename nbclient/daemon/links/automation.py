"""What the link says by itself, from the command line: answers, heartbeats, polls."""

from __future__ import annotations

from nbclient.core.automation import LEAST_PATIENCE, Answer, Heartbeat, Poll
from nbclient.daemon.cli.options import Settings
from nbclient.daemon.links.masking import Masker
from nbclient.daemon.links.opening import Text
from nbclient.errors import LocalError, SpecError
from nbclient.framing.base import Framing


def answers(settings: Settings) -> tuple[Answer, ...]:
    """What --answer asks for, in the order given."""
    return tuple(given.value for given in settings.answer)


def heartbeat(settings: Settings, framing: Framing, masker: Masker) -> Heartbeat | None:
    """What --heartbeat asks for.

    :raises SpecError: the text is not understood, or no frame of this framing.
    """
    if settings.heartbeat is None or settings.heartbeat_every is None:
        return None
    frame = _frame("heartbeat", settings.heartbeat, framing, masker)
    return Heartbeat(frame, settings.heartbeat_every)


def poll(settings: Settings, framing: Framing, masker: Masker) -> Poll | None:
    """What --poll asks for.

    :raises SpecError: as `heartbeat`.
    """
    if settings.poll is None or settings.poll_every is None:
        return None
    frame = _frame("poll", settings.poll, framing, masker)
    return Poll(frame, settings.poll_every, max(settings.poll_every, LEAST_PATIENCE))


def _frame(option: str, text: str, framing: Framing, masker: Masker) -> bytes:
    try:
        frame = Text.parse(text).render(masker)
        framing.check([frame])
    except LocalError as error:
        raise SpecError(f"--{option}: {error}") from None
    return frame
