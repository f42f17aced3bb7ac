"""Tests of what is deployed, with the real tools: `make test-deploy`."""
