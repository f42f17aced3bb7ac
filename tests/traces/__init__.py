"""Traces: what goes up, what a span holds, and how spans leave the process."""
