"""What the operating system knows of a connection; system calls, no Twisted."""
