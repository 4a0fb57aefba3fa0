"""Programs of this machine at the other end, and calls that block."""
