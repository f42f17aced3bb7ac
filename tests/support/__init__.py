"""What the tests are made of: peers, servers, clocks, waiting."""
