"""``python -m benchmarks.fidelity my_module:Adapter``: the same where only NumPy is installed."""

import argparse
import sys
from pathlib import Path

from benchmarks.fidelity.report import write

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fidelity", description=__doc__)
    parser.add_argument("adapter", help="my_module:Adapter")
    parser.add_argument("--output", type=Path, default=Path("reports/adapter"))
    parser.add_argument("--full", action="store_true", help="follow 200 updates, not 10")
    arguments = parser.parse_args()
    try:
        text, status = write(arguments.adapter, arguments.output, arguments.full)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(text)
    sys.exit(status)
