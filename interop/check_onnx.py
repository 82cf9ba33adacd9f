"""Opens the ONNX graphs of the pushed bundle with the real `onnx` and `onnxruntime`, computes the predictions from
nothing but the files of the bundle, and compares them with `natureddit predict`."""

import hashlib
import io
import json
import pathlib
import struct
import tempfile

import numpy
import onnx
import onnxruntime
from PIL import Image, ImageOps
from tokenizers import Tokenizer

from project import Checks, Project

PROBABILITY_DIFFERENCE_MAX = 1e-3
# Photos that have to be decoded and shrunk: Pillow and we round differently by a level or two of 255, and what that does to a
# probability depends on the model and, with encoders in eight bits, on the processor.
RESIZED_DIFFERENCE_MAX = 0.1
POSTS = 6
TITLES = ["Red fox 🦊 in the snow [OC] 4000x3000", "Čeština, 日本語 und “Anführung”", "tree " * 200]


def main():
    project = Project(__doc__)
    checks = Checks()
    bundle = Bundle(project.bundle(), checks)
    with tempfile.TemporaryDirectory() as scratch:
        compare(project, bundle, checks, pathlib.Path(scratch))
    checks.end()


def compare(project, bundle, checks, scratch):
    worst = {}
    posts = project.posts()[:POSTS]
    for number, post in enumerate(posts):
        original = project.photo(post)
        # Of the size that the encoder takes, without loss: nothing is left to a decoder or to resizing.
        exact = scratch / f"{number}.png"
        bundle.resized(original).save(exact)
        title = post["title"]
        for what, text, photo, tolerance in [
            ("title and exact photo", title, exact, PROBABILITY_DIFFERENCE_MAX),
            ("exact photo", None, exact, PROBABILITY_DIFFERENCE_MAX),
            ("title", title, None, PROBABILITY_DIFFERENCE_MAX),
            ("title and photo", title, original, RESIZED_DIFFERENCE_MAX),
        ]:
            apart = compare_one(project, bundle, checks, f"{post['id']}, {what}", text, photo, tolerance)
            worst[what] = max(worst.get(what, 0), apart)
    for title in TITLES:
        compare_one(project, bundle, checks, f"{title:.20}", title, None, PROBABILITY_DIFFERENCE_MAX)
    for what, apart in worst.items():
        print(f"{what}: at most {apart:.6f} apart")


def compare_one(project, bundle, checks, what, text, photo, tolerance):
    words = (["--text", text] if text else []) + (["--image", str(photo)] if photo else [])
    ours = project.run_json("predict", *words)
    theirs = bundle.probabilities(text, photo)
    apart = max(abs(ours["probabilities"][name] - theirs[name]) for name in bundle.classes)
    checks.true(f"{what}: {apart:.6f} apart, at most {tolerance}", apart <= tolerance)
    checks.equal(f"{what}: classes", list(ours["probabilities"]), bundle.classes)
    checks.equal(f"{what}: label", ours["label"], max(theirs, key=theirs.get))
    return apart


class Bundle:
    """A pushed bundle, read with none of our code."""

    def __init__(self, folder, checks):
        manifest = json.loads((folder / "manifest.json").read_text())
        self.classes = manifest["classes"]
        for name, record in manifest["files"].items():
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            checks.equal(f"{name}: sha256", found, record["sha256"])
        labels = json.loads((folder / "labels.json").read_text())
        checks.equal("labels.json", labels, {str(i): name for i, name in enumerate(self.classes)})

        preprocess = json.loads((folder / "preprocess.json").read_text())
        self.image = preprocess["image"]
        self.image_encoder = open_graph(folder / "image_encoder.onnx", checks)
        self.text_encoder = open_graph(folder / "text_encoder.onnx", checks)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(preprocess["text"]["tokens_max"])
        self.head = read_safetensors(folder / "head.safetensors")

    def resized(self, photo):
        with Image.open(photo) as image:
            if "decoded_side_min" in self.image:
                image.draft(None, (self.image["decoded_side_min"],) * 2)
            upright = ImageOps.exif_transpose(image)
            if upright.has_transparency_data:
                white = Image.new("RGBA", upright.size, "white")
                upright = Image.alpha_composite(white, upright.convert("RGBA"))
            size = (self.image["size"], self.image["size"])
            return upright.convert("RGB").resize(size, Image.Resampling.BILINEAR)

    def image_features(self, photo):
        pixels = numpy.asarray(self.resized(photo), dtype=numpy.float32)
        pixels = (pixels - self.image["mean"]) / self.image["scale"]
        return run_graph(self.image_encoder, pixels=pixels.transpose(2, 0, 1)[None])

    def text_features(self, text):
        ids = numpy.array([self.tokenizer.encode(text).ids], dtype=numpy.int64)
        return run_graph(self.text_encoder, input_ids=ids, attention_mask=numpy.ones_like(ids))

    def probabilities(self, text, photo):
        """The head over `[photo features, title features, photo missing, title missing]`, standardised."""
        parts = []
        for name, given, features in [("image", photo, self.image_features), ("text", text, self.text_features)]:
            mean, deviation = self.head[f"{name}.mean"], self.head[f"{name}.deviation"]
            parts.append((features(given) - mean) / deviation if given else numpy.zeros_like(mean))
        row = numpy.concatenate([*parts, [photo is None, text is None]])
        if "hidden.weight" in self.head:
            row = numpy.maximum(self.head["hidden.weight"] @ row + self.head["hidden.bias"], 0)
        scores = self.head["weight"] @ row + self.head["bias"]
        scores /= self.head.get("temperature", 1)
        exponents = numpy.exp(scores - scores.max())
        return dict(zip(self.classes, (exponents / exponents.sum()).tolist()))


def open_graph(path, checks):
    """The graph as a session, once `onnx` itself finds nothing wrong with it."""
    model = onnx.load(io.BytesIO(path.read_bytes()))
    try:
        onnx.checker.check_model(model, full_check=True)
        problem = None
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        problem = str(error)
    checks.equal(f"{path.name}: onnx.checker", problem, None)
    opsets = {opset.domain or "ai.onnx": opset.version for opset in model.opset_import}
    print(f"{path.name}: ir version {model.ir_version}, {opsets}, {len(model.graph.node)} nodes")
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def run_graph(session, **inputs):
    """The only output's first row."""
    (output,) = session.run(None, inputs)
    return output[0]


def read_safetensors(path):
    """Eight bytes of header length, a JSON header, then the tensors' bytes; here all are f32."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, record in header.items():
        assert record["dtype"] == "F32", (name, record)
        start, end = (8 + length + offset for offset in record["data_offsets"])
        tensors[name] = numpy.frombuffer(data[start:end], dtype="<f4").reshape(record["shape"])
    return tensors


if __name__ == "__main__":
    main()
