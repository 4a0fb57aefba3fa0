"""Every way Twisted has of dialling, held to one conformance suite."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import ssl
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    clientFromString,
    wrapClientTLS,
)
from twisted.trial.unittest import TestCase

from nbclient import LinkService, endpoints
from nbclient.endpoints import tls_endpoint
from tests.conformance.dialers import (
    DialerConformance,
    TCPServing,
    TLSServing,
    certs,
    reactor,
)


class OverTCP(TCPServing, DialerConformance):
    pass


class OverTLS(TLSServing, DialerConformance):
    pass


class OverUNIX(DialerConformance):
    path = ""

    def listen(self, factory: Any, again: Any = None) -> Any:
        if not self.path:
            folder = tempfile.mkdtemp(prefix="nbclient-")
            self.addCleanup(shutil.rmtree, folder)
            self.path = f"{folder}/s"
        return reactor.listenUNIX(self.path, factory)


class ByEndpoint:
    """Dials with a `LinkService` over whatever `endpoint` gives."""

    def endpoint(self) -> Any:
        raise NotImplementedError

    def dial(self, link: Any, port: Any) -> None:
        LinkService(self.endpoint(), link).startService()


class ConnectTCPTests(OverTCP, TestCase):
    def dial(self, link: Any, port: Any) -> None:
        reactor.connectTCP("127.0.0.1", self.number, link)


class ConnectSSLTests(OverTLS, TestCase):
    def dial(self, link: Any, port: Any) -> None:
        context = tls_endpoint.context_factory("127.0.0.1", self.trust())
        reactor.connectSSL("127.0.0.1", self.number, link, context)


class ConnectUNIXTests(OverUNIX, TestCase):
    def dial(self, link: Any, port: Any) -> None:
        reactor.connectUNIX(self.path, link)


class TCP4ClientEndpointTests(ByEndpoint, OverTCP, TestCase):
    def endpoint(self) -> Any:
        return TCP4ClientEndpoint(reactor, "127.0.0.1", self.number)


class TCP6ClientEndpointTests(ByEndpoint, OverTCP, TestCase):
    interface = "::1"

    def endpoint(self) -> Any:
        return TCP6ClientEndpoint(reactor, "::1", self.number)


class HostnameEndpointTests(ByEndpoint, OverTCP, TestCase):
    def endpoint(self) -> Any:
        return HostnameEndpoint(reactor, "127.0.0.1", self.number, attemptDelay=0.01)


class UNIXClientEndpointTests(ByEndpoint, OverUNIX, TestCase):
    def endpoint(self) -> Any:
        return UNIXClientEndpoint(reactor, self.path)


class WrapClientTLSTests(ByEndpoint, OverTLS, TestCase):
    def endpoint(self) -> Any:
        authority = ssl.Certificate.loadPEM(Path(certs().ca).read_bytes())
        creator = ssl.optionsForClientTLS("localhost", trustRoot=authority)
        return wrapClientTLS(creator, TCP4ClientEndpoint(reactor, "127.0.0.1", self.number))


class ClientFromStringTests(ByEndpoint, OverTCP, TestCase):
    def endpoint(self) -> Any:
        return clientFromString(reactor, f"tcp:127.0.0.1:{self.number}")


class ClientFromTLSStringTests(ByEndpoint, OverTLS, TestCase):
    def endpoint(self) -> Any:
        roots = tempfile.mkdtemp(prefix="nbclient-roots-")
        self.addCleanup(shutil.rmtree, roots)
        shutil.copy(certs().ca, f"{roots}/ca.pem")
        return clientFromString(
            reactor, f"tls:localhost:{self.number}:trustRoots={roots}:timeout=5"
        )


class OurTCPTests(ByEndpoint, OverTCP, TestCase):
    def endpoint(self) -> Any:
        return endpoints.tcp(reactor, "127.0.0.1", self.number)


class OurNamedTCPTests(ByEndpoint, OverTCP, TestCase):
    def endpoint(self) -> Any:
        return endpoints.tcp(reactor, "localhost", self.number, family="4")


class OurUNIXTests(ByEndpoint, OverUNIX, TestCase):
    def endpoint(self) -> Any:
        return endpoints.unix(reactor, self.path)


class OurTLSTests(ByEndpoint, OverTLS, TestCase):
    def endpoint(self) -> Any:
        inner = endpoints.tcp(reactor, "127.0.0.1", self.number)
        return tls_endpoint.tls(inner, "127.0.0.1", self.trust())
