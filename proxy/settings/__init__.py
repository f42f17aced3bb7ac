"""Every setting: type, default and meaning, from all sources, checked together.

Only the commands, the doctor and the server read settings; all others get plain values.
May import `proxy.oauth` and what is below, but not `proxy.telemetry`.
"""
