"""A token's life, over sockets and on a clock of the test's own."""
