"""What is measured, how a sample is taken, and in which order.

May import `bench.peers` and the modules of `bench` itself.
"""
