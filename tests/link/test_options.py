"""A link's options: checked, compared, shared."""

from __future__ import annotations

import gc
import weakref

import attrs
import pytest

from nbclient import Backoff, ReconnectingFactory, framing
from nbclient.delivery.replies import Reply
from nbclient.errors import LocalError
from nbclient.link.options import BACKOFF, LinkOptions, shared
from nbclient.link.pump import RULES


def test_links_that_are_alike_share_their_options() -> None:
    first, second = (
        ReconnectingFactory(backoff=Backoff(initial=1), framing=framing.lines()) for _ in "ab"
    )
    other = ReconnectingFactory(backoff=Backoff(initial=2), framing=framing.lines())
    assert first.options is second.options
    assert first.options is not other.options


def test_what_is_set_on_one_link_leaves_the_others_alone() -> None:
    first, second = ReconnectingFactory(), ReconnectingFactory()
    first.connectTimeout = 3.0
    assert (first.connectTimeout, second.connectTimeout) == (3.0, 10.0)
    assert attrs.asdict(first.options, recurse=False).items() - attrs.asdict(
        second.options, recurse=False
    ).items() == {("connectTimeout", 3.0)}


def test_what_changed_from_one_configuration_to_the_next_is_a_comparison() -> None:
    assert LinkOptions(maxAge=5.0) == LinkOptions(maxAge=5.0)
    assert LinkOptions(maxAge=5.0) != LinkOptions(maxAge=6.0)


def test_they_cannot_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        LinkOptions().maxAge = 5.0  # type: ignore[misc]


def test_sharing_keeps_no_options_alive() -> None:
    options = shared(LinkOptions(maxAge=7.5))
    gone = weakref.ref(options)
    del options
    gc.collect()
    assert gone() is None
    assert shared(LinkOptions(maxAge=7.5)).maxAge == 7.5


def test_what_is_left_out_has_its_default() -> None:
    options = LinkOptions(backoff=None)  # type: ignore[arg-type]
    assert options.backoff is BACKOFF
    assert options.rules is RULES
    assert options.reply is None
    assert LinkOptions(delivery="reply").reply == Reply()


def test_the_rules_of_the_outbox_are_made_of_them() -> None:
    rules = LinkOptions(whenFull="refuse", maxAge=5.0, maxAttempts=3, onReject="set-aside").rules
    assert (rules.when_full, rules.max_age) == ("refuse", 5.0)
    assert (rules.max_attempts, rules.on_reject) == (3, "set-aside")


def test_a_reply_needs_the_level_that_asks_for_one() -> None:
    with pytest.raises(LocalError, match="reply is of no use at delivery 'tcp'"):
        LinkOptions(delivery="tcp", reply=Reply())
