"""Makes files of random bytes, which nothing can shorten.

`make_files.py DIR COUNT BYTES SPREAD [FIRST]` writes COUNT files whose sizes are spread around BYTES; FIRST is the number of
the first one, so that more can be added later.
"""

import argparse
import os
import pathlib
import random

BYTES_MIN = 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("count", type=int)
    parser.add_argument("bytes", type=int)
    parser.add_argument("spread", type=int)
    parser.add_argument("first", type=int, nargs="?", default=0)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(arguments.first)
    for number in range(arguments.first, arguments.first + arguments.count):
        size = max(BYTES_MIN, round(rng.gauss(arguments.bytes, arguments.spread)))
        (arguments.folder / f"{rng.getrandbits(24):06x}_{number}.jpg").write_bytes(os.urandom(size))


if __name__ == "__main__":
    main()
