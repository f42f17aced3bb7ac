"""Traces: who is sampled, which ids go up, and how spans leave the process (O2 to O5).

What runs for each request is compiled, and knows bytes and instants alone; OpenTelemetry is
imported by `tracing.export` only, and only where the standard OTEL_* variables switch it on.
"""
