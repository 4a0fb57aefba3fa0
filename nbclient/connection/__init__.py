"""One connection: bytes to frames to the application, and back."""
