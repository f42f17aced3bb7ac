"""May a request pass, and with whose token: Host, Origin, path, method, route.

Decisions of values, without a socket; each returns, or raises `ProxyError`.
May import `proxy.http1` and what is below.
"""
