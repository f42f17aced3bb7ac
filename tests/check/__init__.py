"""`signicat-proxy check`."""
