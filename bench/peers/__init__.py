"""Who takes part, and what stands behind them: the upstream and its token endpoint.

May import the modules of `bench` itself.
"""
