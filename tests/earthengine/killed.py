"""The command line over the stand-in, killed at a chosen moment: as tests.killed, in a process of its own."""

from __future__ import annotations

import sys

import ee

from pipeline import cli
from tests.killed import arm

if __name__ == "__main__":
    ee.deprecation._FetchDataCatalogStac = dict  # it asks a Google server at every start; tests don't leave the machine
    arm(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["cohmap", *sys.argv[3:]]
    cli.main()
