"""signicat-proxy: a local authenticating reverse proxy for the Signicat APIs."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("signicat-proxy")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
