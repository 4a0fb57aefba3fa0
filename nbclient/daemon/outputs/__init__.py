"""Where received frames go: one file a kind."""
