"""The admin port, and what is told of the traffic: log, metrics, status page."""
