"""How this copy of the proxy was built; itself among the modules that `setup.py` compiles."""

__all__ = ["build"]


def build() -> str:
    """Return `compiled` or `interpreted`."""
    return "interpreted" if __file__.endswith(".py") else "compiled"
