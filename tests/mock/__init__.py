"""The mock of Signicat."""
