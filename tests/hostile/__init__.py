"""What callers, upstreams and pages do that mean harm, or are broken."""
