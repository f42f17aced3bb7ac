"""`signicat-proxy check`: settings, network, token and one call, one line each with its fix.

Runs beside a proxy or instead of one, and changes nothing.
May import `proxy.server` and what is below.
"""
