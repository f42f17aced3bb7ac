"""`python -m proxy.mock` is `signicat-proxy mock`."""

import argparse
import sys

from proxy.mock.command import add_arguments, run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m proxy.mock", description="MOCK of Signicat.")
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
