"""The program: wiring only, nothing that a user of the library would miss.

`cli.options` is the one table of what can be asked for; `cli.parser` turns it
into parsers and help; `links.runner` runs one job; `cli.twistd` and `cli.shell`
(``python -m nbclient``) are the two front ends.
"""
