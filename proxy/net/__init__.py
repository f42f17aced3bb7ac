"""Sockets: listening, dialling, names, TLS and the egress proxy.

Knows addresses and bytes, and neither tokens nor requests. Reads no setting.
May import `proxy.http1` and what is below, but not `proxy.guard`.
"""
