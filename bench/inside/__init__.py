"""What one exchange costs inside the proxy, without sockets.

May import `bench.peers` and the modules of `bench` itself.
"""
