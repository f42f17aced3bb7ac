"""Tests of the proxy, over real sockets wherever there is one."""
