"""The command line: wiring only, nothing that a user of the library would miss.

`options` is the one table of what can be asked for; `commandline` turns it
into parsers and help; `run` runs one job; `twistd` and ``python -m nbclient``
are the two front ends.
"""
