"""``python -m alliance_stats``: the command line."""

import sys

from alliance_stats.cli import main

if __name__ == "__main__":
    sys.exit(main())
