"""Runs the handler of a model archive in plain Python, as TorchServe would call it, and compares its labels with those of
`natureddit predict` on made photos and on those of the project."""

import base64
import copy
import importlib.util
import inspect
import io
import json
import math
import pathlib
import sys
import tempfile
import zipfile

import numpy
from PIL import Image, ImageDraw

from project import MODEL, Checks, Project

# From the same pixels.
PROBABILITY_DIFFERENCE_MAX = 1e-3
# On average over a photo, in levels of 255: Pillow and we round differently where one is decoded and shrunk.
LEVELS_DIFFERENCE_MAX = 1
# What that does to a probability depends on the model and, with encoders in eight bits, on the processor.
DECIDED_BY = 0.2
POSTS = 12
TITLES = ["Red fox 🦊 in the snow [OC] 4000x3000", "Čeština, 日本語 und “Anführung”", "tree " * 200]
ORIENTATION = 0x0112
FILES = {"MAR-INF/MANIFEST.json", "handler.py", "manifest.json"}


def main():
    project = Project(__doc__)
    checks = Checks()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        archive = written(project, checks, scratch)
        folder = scratch / "model"
        with zipfile.ZipFile(archive) as file:
            checks.equal("damaged entries", file.testzip(), None)
            file.extractall(folder)
        look_at(project, checks, folder)
        handler = started(checks, folder)
        compare(project, checks, handler, scratch)
        refuse(checks, handler)
    checks.end()


def written(project, checks, scratch):
    """An archive, which is the same when it is made again."""
    archives = [scratch / "once.mar", scratch / "again.mar"]
    for archive in archives:
        told = project.run_json("model", "archive", "--out", str(archive))
        checks.equal("name", told["name"], MODEL)
        checks.equal("bytes", told["bytes"], archive.stat().st_size)
    checks.true("made again it is the same", archives[0].read_bytes() == archives[1].read_bytes())
    return archives[0]


def look_at(project, checks, folder):
    manifest = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text())
    checks.equal("runtime", manifest["runtime"], "python")
    checks.equal("modelName", manifest["model"]["modelName"], MODEL)
    checks.equal("handler", manifest["model"]["handler"], "handler.py")
    checks.true("modelVersion is a number", manifest["model"]["modelVersion"].isdigit())
    bundle = project.folder / "models" / MODEL / manifest["model"]["modelVersion"]
    named = set(json.loads((bundle / "manifest.json").read_text())["files"])
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    checks.equal("files", found, named | FILES)
    for name in named:
        checks.true(f"{name} is that of the bundle", (folder / name).read_bytes() == (bundle / name).read_bytes())


class Context:
    """What a handler sees of TorchServe."""

    def __init__(self, folder):
        self.system_properties = {"model_dir": str(folder), "gpu_id": None, "batch_size": 1}
        self.manifest = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text())
        self.statuses = {}

    def set_response_status(self, code=200, phrase="", idx=0):
        self.statuses[idx] = (code, phrase)


class Handler:
    """The handler, loaded as TorchServe's model loader does."""

    def __init__(self, checks, folder):
        spec = importlib.util.spec_from_file_location("handler", folder / "handler.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        classes = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
        checks.equal("classes of the handler", len(classes), 1)
        checks.true("a function `handle` would be called in its place", not hasattr(module, "handle"))
        self.folder = folder
        self.service = classes[0]()
        self.service.initialize(Context(folder))

    def probabilities(self, title, photo, pixels=None):
        """By class, from the pixels that are given in place of those that the handler makes of the photo."""
        service = self.service if pixels is None else copy.copy(self.service)
        if pixels is not None:
            service.pixels = lambda _: pixels
        found = service.probabilities(title, photo.read_bytes() if photo else None)
        return dict(zip(service.classes, found.tolist()))

    def answers(self, *requests):
        """The answer to each request of one batch, and the statuses that are not 200."""
        context = Context(self.folder)
        found = self.service.handle(list(requests), context)
        return found, context.statuses


def started(checks, folder):
    return Handler(checks, folder)


def compare(project, checks, handler, scratch):
    cases = [(title, None) for title in TITLES]
    for post in project.posts()[:POSTS]:
        photo = project.photo(post)
        cases += [(post["title"], photo), (None, photo)]
    cases += [(None, path) for path in made_photos(scratch)]
    worst, decided = {"levels": 0, "from the same pixels": 0, "probabilities": 0}, 0
    forms = []
    for title, photo in cases:
        what = f"{title or ''!s:.30} {photo.name if photo else ''}".strip()
        ours, pixels = answer_and_pixels(project, scratch, title, photo)
        if photo is not None:
            apart_by = numpy.abs(handler.service.pixels(photo.read_bytes()) - pixels)
            levels = (apart_by.mean(axis=(0, 2, 3)) * handler.service.image["scale"]).max()
            worst["levels"] = max(worst["levels"], float(levels))
            checks.true(f"{what}: {levels} levels apart", levels <= LEVELS_DIFFERENCE_MAX)
        same = apart(ours, handler.probabilities(title, photo, pixels))
        worst["from the same pixels"] = max(worst["from the same pixels"], same)
        checks.true(f"{what}: {same} apart from the same pixels", same <= PROBABILITY_DIFFERENCE_MAX)
        worst["probabilities"] = max(worst["probabilities"], apart(ours, handler.probabilities(title, photo)))
        request = form(title, photo)
        first, second = sorted(ours["probabilities"].values(), reverse=True)[:2]
        if first - second > DECIDED_BY:
            decided += 1
            checks.equal(f"{what}: label", handler.answers(request), ([ours["label"]], {}))
        forms.append(request)
    checks.true(f"of {len(cases)} cases {decided} are decided", decided > len(cases) / 2)
    one_by_one = [handler.answers(request)[0][0] for request in forms]
    checks.equal("a batch of all", handler.answers(*forms), (one_by_one, {}))
    bodies(checks, handler, project.photo(project.posts()[0]))
    print(f"{len(cases)} cases, {decided} of them decided; at most apart: {worst}")


def answer_and_pixels(project, scratch, title, photo):
    """What `natureddit predict` answers, and the pixels that it gave to the encoder."""
    inputs = scratch / "inputs.npz"
    words = (["--text", title] if title else []) + (["--image", str(photo)] if photo else [])
    ours = project.run_json("predict", *words, "--dump-inputs", str(inputs))
    with numpy.load(inputs) as file:
        return ours, file["pixels"]


def apart(ours, theirs):
    return max(abs(ours["probabilities"][name] - theirs[name]) for name in theirs)


def form(title, photo):
    """The fields as TorchServe hands them over."""
    fields = {}
    if title is not None:
        fields["text"] = bytearray(title.encode())
    if photo is not None:
        fields["image"] = bytearray(photo.read_bytes())
    return fields


def bodies(checks, handler, photo):
    """The same photo in every form of a body."""
    data = photo.read_bytes()
    (expected,), _ = handler.answers({"image": bytearray(data)})
    encoded = base64.b64encode(data).decode()
    for what, request in [
        ("raw body", {"body": bytearray(data)}),
        ("data", {"data": bytearray(data)}),
        ("JSON", {"body": {"image": encoded}}),
        ("JSON with a title of blanks", {"body": {"image": encoded, "text": " \n"}}),
    ]:
        checks.equal(what, handler.answers(request), ([expected], {}))
    (expected,), _ = handler.answers({"text": b"a red fox"})
    checks.equal("text", handler.answers({"body": "a red fox"}), ([expected], {}))


def refuse(checks, handler):
    good = {"text": b"a red fox"}
    (label,), _ = handler.answers(good)
    animated = io.BytesIO()
    frames = [Image.new("L", (8, 8), value) for value in (0, 255)]
    frames[0].save(animated, "GIF", save_all=True, append_images=frames[1:])
    for what, bad in [
        ("nothing", {}),
        ("no photo", {"image": b"<html>"}),
        ("half a photo", {"image": jpeg(drawn(64, 48))[:300]}),
        ("animated", {"image": animated.getvalue()}),
        ("no text", {"text": b"\xff\xfe"}),
        ("no base64", {"body": {"image": "%%%"}}),
        ("a number", {"body": {"text": 7}}),
        ("a list", {"body": []}),
    ]:
        answers, statuses = handler.answers(good, bad, good)
        checks.equal(f"{what}: statuses", statuses, {1: (400, "Bad Request")})
        checks.equal(f"{what}: its neighbours", [answers[0], answers[2]], [label, label])
        checks.true(f"{what}: {answers[1]}", answers[1].startswith("the request cannot be classified"))


def made_photos(scratch):
    """Photos of every kind that a decoder has to make the same of."""
    plain = drawn(480, 320)
    tall = plain.transpose(Image.Transpose.ROTATE_90)
    clear = plain.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(plain.size))
    photos = {
        "plain.jpg": (plain, {"quality": 92}),
        "tall.webp": (tall, {"lossless": True}),
        "small.png": (drawn(20, 31), {}),
        "wide.bmp": (drawn(900, 90), {}),
        "grey.jpg": (plain.convert("L"), {}),
        "palette.gif": (plain.convert("P"), {}),
        "palette.png": (plain.convert("P"), {}),
        "transparent.png": (clear, {}),
        "cmyk.jpg": (plain.convert("CMYK"), {"quality": 92}),
    }
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        photos[f"orientation{orientation}.jpg"] = (plain, {"exif": exif, "quality": 92})
    for name, (image, options) in photos.items():
        image.save(scratch / name, **options)
        yield scratch / name


def drawn(width, height):
    """A landscape of a kind: a sky that fades, hills, a disc; nothing in it is the same upside down."""
    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    for y in range(height):
        draw.line([(0, y), (width, y)], fill=(90 + 90 * y // height, 140 + 60 * y // height, 220))
    hills = [(x, height * (0.6 + 0.1 * math.sin(x * 9 / width))) for x in range(0, width + 1)]
    draw.polygon([*hills, (width, height), (0, height)], fill=(40, 110, 50))
    draw.ellipse([width * 0.1, height * 0.1, width * 0.25, height * 0.35], fill=(250, 220, 90))
    return image


def jpeg(image):
    data = io.BytesIO()
    image.save(data, "JPEG")
    return data.getvalue()


if __name__ == "__main__":
    # No byte code into the folder that is compared.
    sys.dont_write_bytecode = True
    main()
