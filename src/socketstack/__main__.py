"""``python -m socketstack``."""

import sys

from socketstack.cli import main

if __name__ == "__main__":
    sys.exit(main())
