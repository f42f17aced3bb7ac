"""Many sidecars against one token endpoint, in virtual time: `python -m bench.fleet`.

Imports nothing of `bench.load`: no load runs here, and no figure hangs on the machine.
"""
