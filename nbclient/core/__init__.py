"""Rules over states and times, without I/O."""
