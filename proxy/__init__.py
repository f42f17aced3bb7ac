"""signicat-proxy: a local authenticating reverse proxy for the Signicat APIs."""

__all__ = ["__version__"]

# Read by the build (pyproject.toml) too. To look it up in the installed
# distribution would cost every start, and every health probe, 40 ms.
__version__ = "1.0.0"
