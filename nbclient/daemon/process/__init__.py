"""What there is once in a process, however many links it runs."""
