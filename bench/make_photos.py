"""Makes photos as cameras make them: detail at every scale, edges, a little noise; the same ones on every machine.

`make_photos.py DIR COUNT WIDTH HEIGHT` writes DIR/{fauna,flora,landscape}/*.jpg, baseline JPEG of 4:2:0 and quality 88; with
`--bytes-max BYTES` of the highest quality with which no file is larger.
"""

import argparse
import io
import multiprocessing
import pathlib
import random

from PIL import Image, ImageDraw

CLASSES = ("fauna", "flora", "landscape")
QUALITY = 88
# How much of a photo is new at each doubling of its size, from the coarsest to the finest: less and less, as in nature.
NEW_DETAIL = (0.06, 0.34)
# The last doubling brings what a sensor adds.
NOISE = (0.05, 0.13)
SHAPES = 40


def noise(rng, width, height):
    return Image.frombytes("RGB", (width, height), rng.randbytes(3 * width * height))


def photo(seed, width, height):
    rng = random.Random(seed)
    sizes = [(width, height)]
    while min(sizes[-1]) > 8:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    sizes.reverse()
    # Some photos are softer and some sharper.
    new_detail, new_noise = rng.uniform(*NEW_DETAIL), rng.uniform(*NOISE)
    picture = noise(rng, *sizes[0])
    for size in sizes[1:]:
        new = new_noise if size == sizes[-1] else new_detail * min(1.0, 400 / size[0])
        picture = Image.blend(picture.resize(size, Image.Resampling.BICUBIC), noise(rng, *size), new)
        if size == sizes[-3]:
            draw_shapes(rng, picture)
    return picture


def draw_shapes(rng, picture):
    draw = ImageDraw.Draw(picture)
    for _ in range(SHAPES):
        x, y = rng.randrange(picture.width), rng.randrange(picture.height)
        reach = rng.randrange(2, max(3, picture.width // 12))
        colour = tuple(rng.randbytes(3))
        if rng.random() < 0.5:
            draw.ellipse((x, y, x + reach, y + reach), fill=colour)
        else:
            draw.line((x, y, x + 3 * reach, y + rng.randrange(reach)), fill=colour, width=rng.randrange(1, 4))


def encode(picture, bytes_max):
    """A JPEG of the highest quality that is small enough."""
    low, high, best = 1, 96, b""
    while high - low > 1:
        middle = (low + high) // 2
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=middle, subsampling="4:2:0")
        if file.tell() <= bytes_max:
            low, best = middle, file.getvalue()
        else:
            high = middle
    return best


def write(task):
    path, seed, width, height, bytes_max = task
    picture = photo(seed, width, height)
    if bytes_max is None:
        picture.save(path, quality=QUALITY, subsampling="4:2:0")
    else:
        path.write_bytes(encode(picture, bytes_max))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("count", type=int)
    parser.add_argument("width", type=int)
    parser.add_argument("height", type=int)
    parser.add_argument("--bytes-max", type=int)
    arguments = parser.parse_args()
    tasks = []
    for number in range(arguments.count):
        folder = arguments.folder / CLASSES[number % len(CLASSES)]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"p{number:05}.jpg"
        seed = f"{arguments.width} {number}"
        tasks.append((path, seed, arguments.width, arguments.height, arguments.bytes_max))
    with multiprocessing.Pool(2) as pool:
        pool.map(write, tasks, chunksize=4)


if __name__ == "__main__":
    main()
