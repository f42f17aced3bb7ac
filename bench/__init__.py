"""Compares the proxy with others on one machine: `python -m bench --help`."""
