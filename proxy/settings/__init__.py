"""Every setting: type, default and meaning, from all sources, checked together.

Only `commands`, `check` and `server` read settings; all others get plain values.
May import `proxy.oauth` and what is below, but not `proxy.telemetry`.
"""
