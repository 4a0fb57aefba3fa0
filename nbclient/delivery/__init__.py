"""Frames on their way out."""
