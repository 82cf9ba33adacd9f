"""What a collector written with Pillow does with large photos: two processes that decode, shrink and encode.

`pillow_pool.py PHOTOS OUT SIDE QUALITY` writes every JPEG below PHOTOS to OUT with its long side at most SIDE, by the
filter (bilinear, widened as the photo shrinks) and the sampling of colours (4:4:4) that natureddit uses, and prints how
many. With `--draft` the decoder may leave out detail that shrinking would throw away.
"""

import argparse
import functools
import json
import multiprocessing
import pathlib

from PIL import Image

PROCESSES = 2


def shrink(out, side, quality, draft, path):
    with Image.open(path) as picture:
        scale = side / max(picture.size)
        size = tuple(min(side, round(length * scale)) for length in picture.size) if scale < 1 else picture.size
        if draft:
            picture.draft("RGB", size)
        rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
        small = rgb.resize(size, Image.Resampling.BILINEAR)
    small.save(out / path.name, quality=quality, subsampling="4:4:4")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("side", type=int)
    parser.add_argument("quality", type=int)
    parser.add_argument("--draft", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    paths = sorted(arguments.photos.glob("*/*.jpg"))
    work = functools.partial(shrink, arguments.out, arguments.side, arguments.quality, arguments.draft)
    with multiprocessing.Pool(PROCESSES) as pool:
        done = sum(1 for _ in pool.imap_unordered(work, paths))
    print(json.dumps({"photos": done}))


if __name__ == "__main__":
    main()
