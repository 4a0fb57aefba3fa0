"""What makes ``twistd`` list ``nbclient``.

Twisted runs this file whenever its cache of plugins is cold, for any program
of twistd: it holds one statement and loads nothing of ours. Never rename the
object: a cache made from an older file would go on naming it.
"""

from twisted.application.service import ServiceMaker

NBClient = ServiceMaker(
    "nbclient",
    "nbclient.tap",
    "A TCP client that stays connected and hands on what it receives.",
    "nbclient",
)
