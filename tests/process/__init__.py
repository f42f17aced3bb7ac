"""Start, settings, signals, stop, and what a long life leaves behind."""
