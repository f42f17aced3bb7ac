"""Tests with the real tools of operators: image, compose, chart, alerts (`make test-deploy`)."""
