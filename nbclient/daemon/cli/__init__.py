"""The command line: the table of options, and the two front ends."""
