"""What is recorded of requests and tokens: request log, metrics, rates, recent errors.

Secrets, paths and queries never come here; labels come from closed sets.
May import `proxy.oauth` and what is below, but not `proxy.settings`.
"""
