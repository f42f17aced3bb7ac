"""Bytes of HTTP/1: heads, bodies and framing, read strictly and written anew.

No socket, no setting and no clock: bytes in, values or `MalformedMessageError` out.
May import `proxy.errors`, `proxy.problem` and its own modules.
"""
