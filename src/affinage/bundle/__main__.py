"""`python -m affinage.bundle BUNDLE IMAGE...`: answers as lines of JSON, without PyTorch."""

import json
import sys
from dataclasses import asdict

from affinage.bundle.reader import open_bundle
from affinage.errors import AffinageError


def main(arguments: list[str]) -> int:
    """Print an answer for each image, and return the exit code."""
    if len(arguments) < 2:
        print("Usage: python -m affinage.bundle BUNDLE IMAGE...", file=sys.stderr)
        return 2
    try:
        answers = open_bundle(arguments[0]).predict_all(arguments[1:])
    except AffinageError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    for one in answers:
        print(json.dumps({"format": 1, **asdict(one)}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
