"""The running process: parts wired to each other, ports, signals, drain.

The one place where settings become objects.
May import everything but `proxy.check`, `proxy.commands` and the mock.
"""
