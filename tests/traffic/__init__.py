"""What a request and its response go through, over sockets."""
