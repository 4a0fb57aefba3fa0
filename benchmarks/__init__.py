"""How fast nbclient is beside what people would pick instead: ``python -m benchmarks``."""
