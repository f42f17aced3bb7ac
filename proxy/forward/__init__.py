"""One exchange: from a caller's connection to the upstream's, and back.

The path of every request; it makes no call of the token endpoint and reads no setting.
May import `proxy.telemetry` and what is below, but not `proxy.admin`.
"""
