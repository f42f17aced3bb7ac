"""What is decided without a socket: tables of cases, and properties of bytes."""
