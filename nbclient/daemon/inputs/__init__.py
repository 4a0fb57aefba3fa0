"""Where the frames to send come from: one file a kind."""
