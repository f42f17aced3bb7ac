"""The life of a token: asked for, kept, renewed, refused, rotated.

One writer for each client, `refresher`; requests read `cache`. Reads no setting.
May import `proxy.net`, `proxy.guard` and what is below.
"""
