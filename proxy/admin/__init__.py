"""The admin port: probes, metrics, status page, and who may ask for them.

Reads the state of the process and calls nobody.
May import `proxy.telemetry` and what is below, but not `proxy.forward`.
"""
