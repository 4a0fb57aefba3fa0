"""What --proxy takes, and what it refuses."""

from __future__ import annotations

import pytest

from nbclient.daemon.config.proxy import Proxy, parse
from nbclient.errors import SpecError
from tests.conformance.daemon import shell
from tests.daemon.config.test_rules import refused


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("socks5://gate:1080", Proxy("socks5", "gate", 1080)),
        ("socks5h://gate:1080", Proxy("socks5", "gate", 1080)),
        ("HTTP://gate.example:3128/", Proxy("http", "gate.example", 3128)),
        ("http://[::1]:3128", Proxy("http", "::1", 3128)),
        ("https://gate:443", Proxy("https", "gate", 443)),
    ],
)
def test_a_proxy_is_a_url_as_other_programs_take_it(text: str, proxy: Proxy) -> None:
    assert parse(text) == proxy


def test_it_is_shown_as_it_would_be_typed() -> None:
    for text in ("socks5://gate:1080", "http://[::1]:3128", "https://gate:443"):
        assert str(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must not be empty"),
        ("gate:1080", "'gate:1080' is not socks5://HOST:PORT, http://HOST:PORT or https:"),
        ("ftp://gate:443", "'ftp://' is not spoken, only socks5://HOST:PORT, http"),
        ("socks4://gate:1080", "'socks4://' is not spoken"),
        ("socks5://gate", "'socks5://gate' names no port"),
        ("socks5://[::1]", "'socks5://[::1]' names no port"),
        ("socks5://:1080", "':1080' is not HOST:PORT"),
        ("http://gate:3128/path", "'3128/path' is not a port number"),
        ("http://gate:70000", "70000 is out of range"),
    ],
)
def test_what_is_no_proxy_is_refused(text: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize("text", ["socks5://joe:s3cret@gate:1080", "joe:s3cret@gate:1080"])
def test_a_login_in_the_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(SpecError, match="--proxy-auth") as caught:
        parse(text)
    assert "s3cret" not in str(caught.value)
    assert "joe" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("h", "1", "--delivery", "tcp"), "--delivery tcp and --proxy: TCP ends at the proxy"),
        (("--unix", "/s"), "--unix and --proxy: "),
        (("--endpoint", "tcp:h:1"), "--endpoint and --proxy: "),
        (("--demo",), "--demo and --proxy: "),
        (("h", "1", "--proxy-tls-ca", "x"), "--proxy-tls-ca: needs --proxy https://HOST:PORT"),
    ],
)
def test_what_a_proxy_makes_impossible_is_refused(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    assert refused(capsys, *words, "--proxy", "http://p:1").startswith(says)


@pytest.mark.parametrize(
    "words",
    [
        ("h", "1", "--tls", "-4", "--bind", "127.0.0.1"),
        ("h", "1", "--peer", "b:2", "--failback", "60", "--proxy-auth", "login"),
        ("h", "1", "--delivery", "written"),
        ("h", "1", "--check"),
    ],
)
def test_what_goes_through_a_proxy_is_taken(words: tuple[str, ...]) -> None:
    assert shell(*words, "--proxy", "socks5://p:1").proxy == Proxy("socks5", "p", 1)


def test_tls_inside_of_tls_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A connection would count as ready before the peer's certificate was looked at."""
    says = refused(capsys, "h", "1", "--tls", "--proxy", "https://p:1")
    assert says.startswith("--tls and --proxy https://: TLS inside of TLS is not spoken")


def test_the_authorities_of_a_proxy_need_a_proxy_that_shows_a_certificate() -> None:
    words = ("h", "1", "--proxy-tls-ca", "ca.pem", "--proxy")
    assert shell(*words, "https://p:1").proxy_tls_ca == "ca.pem"
