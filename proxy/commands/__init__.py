"""The command line: `run`, `demo`, `mock`, `check`, `token`, `config`, `health`.

Each command imports what it needs when it is called, so that the others start fast.
May import everything; nothing but `proxy.__main__` imports it.
"""
