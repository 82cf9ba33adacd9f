"""One post answered at a time, on one thread: natureddit in its own process, in turn with Python's ONNX Runtime, Pillow and
tokenizers here, which read the same graphs, tokenizer and head.

`onnxruntime_prediction.py PROGRAM FOLDER PHOTOS` starts the example `speed` with what it wrote to FOLDER, makes photos of
1980 x 1485 pixels and at most 380 kB in PHOTOS if they are not there, and prints one JSON object: for either precision the
medians in milliseconds, the median ratio of the pairs, and that of the fastest answers of both. Neither side reads the file while it is timed.
"""

import argparse
import io
import json
import pathlib
import statistics
import subprocess
import time

import numpy
import onnxruntime
import tokenizers
from PIL import Image

import make_photos

WIDTH, HEIGHT, BYTES_MAX = 1980, 1485, 380_000
PHOTOS = 12
ROUNDS = 12
TITLES = (
    "A red fox in the snow this morning",
    "Sunrise over the Dolomites, Italy [OC] [4000x3000]",
    "First orchid of the year!",
    "Can anybody tell me what kind of spider this is?",
)
# Pillow's and natureddit's pixels are not the same to the last bit.
APART_MAX = 0.1


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"p{number:02}.jpg" for number in range(PHOTOS)]
    for number, path in enumerate(paths):
        if not path.exists():
            path.write_bytes(make_photos.encode(make_photos.photo(f"{WIDTH} {number}", WIDTH, HEIGHT), BYTES_MAX))
    return paths


def read_safetensors(path):
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    tensors = {}
    for name, entry in json.loads(raw[8:start]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            tensors[name] = numpy.frombuffer(raw[start + begin : start + end], "<f4").reshape(entry["shape"])
    return tensors


class Reference:
    """What somebody would write with these libraries."""

    def __init__(self, graphs, bundle):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.image, self.text = (
            onnxruntime.InferenceSession(graphs / f"{part}_encoder.onnx", options, providers=["CPUExecutionProvider"])
            for part in ("image", "text")
        )
        preprocess = json.loads((bundle / "preprocess.json").read_text())
        self.size, self.mean, self.scale = (preprocess["image"][key] for key in ("size", "mean", "scale"))
        self.tokenizer = tokenizers.Tokenizer.from_file(str(bundle / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(preprocess["text"]["tokens_max"])
        self.head = read_safetensors(bundle / "head.safetensors")

    def pixels(self, photo, draft):
        with Image.open(io.BytesIO(photo)) as picture:
            if draft:
                picture.draft("RGB", (self.size, self.size))
            rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
            small = rgb.resize((self.size, self.size), Image.Resampling.BILINEAR)
        values = (numpy.asarray(small, numpy.float32) - numpy.float32(self.mean)) / numpy.float32(self.scale)
        return numpy.ascontiguousarray(values.transpose(2, 0, 1)[None])

    def answer(self, photo, title, draft=False):
        [[photo_features]] = self.image.run(None, {"pixels": self.pixels(photo, draft)})
        ids = numpy.array([self.tokenizer.encode(title).ids])
        [[title_features]] = self.text.run(None, {"input_ids": ids, "attention_mask": numpy.ones_like(ids)})
        parts = []
        for name, features in (("image", photo_features), ("text", title_features)):
            parts.append((features - self.head[f"{name}.mean"]) / self.head[f"{name}.deviation"])
        scores = self.head["weight"] @ numpy.concatenate([*parts, numpy.zeros(2, numpy.float32)]) + self.head["bias"]
        scores = scores / self.head.get("temperature", numpy.float32(1))
        raised = numpy.exp(scores - scores.max())
        return raised / raised.sum()

    def timed(self, photo, title, draft=False):
        began = time.perf_counter()
        probabilities = self.answer(photo, title, draft)
        return (time.perf_counter() - began) * 1e3, probabilities


class Ours:
    def __init__(self, program, folder, precision):
        command = [program, "answer", folder, precision]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def timed(self, path, title):
        print(path, title, sep="\t", file=self.process.stdin, flush=True)
        milliseconds, *probabilities = (float(word) for word in self.process.stdout.readline().split())
        return milliseconds, numpy.array(probabilities)

    def end(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise SystemExit("natureddit failed")


def compare(program, folder, precision, paths):
    ours, reference = Ours(program, folder, precision), Reference(folder / precision, folder / "floats")
    photos = [path.read_bytes() for path in paths]
    times, apart = {"ours": [], "theirs": [], "draft": []}, 0.0
    for number in range(-1, ROUNDS):
        for at, (path, photo) in enumerate(zip(paths, photos)):
            title = TITLES[at % len(TITLES)]
            took = {}
            took["ours"], found = ours.timed(path, title)
            took["theirs"], expected = reference.timed(photo, title)
            took["draft"], _ = reference.timed(photo, title, draft=True)
            apart = max(apart, float(abs(found - expected).max()))
            # The first round warms up.
            if number >= 0:
                for name, milliseconds in took.items():
                    times[name].append(milliseconds)
    ours.end()
    if apart > APART_MAX:
        raise SystemExit(f"the same post is answered differently: probabilities are {apart} apart")

    def ratio(others):
        return statistics.median(other / own for own, other in zip(times["ours"], times[others]))

    medians = {name: statistics.median(values) for name, values in times.items()}
    # On a machine that others use, what took least was disturbed least.
    fastest = min(times["theirs"]) / min(times["ours"])
    ratios = {"ratio": ratio("theirs"), "fastest_ratio": fastest, "draft_ratio": ratio("draft")}
    return medians | ratios | {"ours_fastest": min(times["ours"]), "apart": apart}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("photos", type=pathlib.Path)
    arguments = parser.parse_args()
    paths = make(arguments.photos)
    sizes = [path.stat().st_size for path in paths]
    report = {of: compare(arguments.program, arguments.folder, of, paths) for of in ("floats", "int8")}
    print(json.dumps(report | {"photo_bytes": statistics.mean(sizes)}))


if __name__ == "__main__":
    main()
