"""Saves ResNets and BERTs of random weights with the real `transformers`, trains models on them as encoders, and compares
what the pipeline made of each photo and title, and the graphs of the bundle, with those networks in PyTorch."""

import hashlib
import pathlib
import shutil
import struct
import subprocess
import tempfile

import numpy
import onnxruntime
import torch
from PIL import Image, ImageOps
from transformers import (
    BertConfig,
    BertModel,
    BertTokenizerFast,
    ConvNextImageProcessor,
    ResNetConfig,
    ResNetModel,
)

from project import Checks, Project

# Of the largest feature.
DIFFERENCE_MAX = 1e-4
# Photos are decoded and shrunk by others here: levels of 255 are rounded differently.
PHOTO_COSINE_MIN = 0.999
POSTS = 24
SEED = 7
TOKENS_MAX = 64
WORDS = "red fox in the snow oak tree lake mountain a of and flower bird".split()

RESNETS = {
    "resnet-18": {"hidden_sizes": [64, 128, 256, 512], "depths": [2, 2, 2, 2], "layer_type": "basic"},
    "resnet-50": {"hidden_sizes": [256, 512, 1024, 2048], "depths": [3, 4, 6, 3], "layer_type": "bottleneck"},
}


def main():
    project = Project(__doc__)
    checks = Checks()
    torch.manual_seed(SEED)
    with tempfile.TemporaryDirectory() as scratch:
        for network, pooling, safe in [("resnet-18", "mean", True), ("resnet-50", "pooler", False)]:
            folder = pathlib.Path(scratch) / network
            copy_project(project, folder, pooling)
            image = Resnet(folder / "image", RESNETS[network], safe)
            text = Bert(folder / "text", pooling, safe)
            # What becomes of the model does not matter: random encoders may well not be good enough.
            subprocess.run([project.program, "run"], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            compare(project, folder, f"{network}, {pooling}", image, text, checks)
    checks.end()


def copy_project(project, folder, pooling):
    """The dataset and its labels, and settings that name two folders; nothing that was computed from them."""
    for name in ["data", "labels"]:
        shutil.copytree(project.folder / name, folder / name)
    (folder / "natureddit.toml").write_text(
        f'[model]\nimage_encoder = "./image"\ntext_encoder = "./text?pooling={pooling}"\ntitle_tokens_max = {TOKENS_MAX}\n'
    )


def save(model, folder, safe):
    """As the library saves it, or in the form of before."""
    model.save_pretrained(folder)
    if not safe:
        (folder / "model.safetensors").unlink()
        # As part of a larger model, whose name stands before each tensor's.
        prefix = model.base_model_prefix
        torch.save({f"{prefix}.{name}": value for name, value in model.state_dict().items()}, folder / "pytorch_model.bin")


class Resnet:
    def __init__(self, folder, sizes, safe):
        self.model = ResNetModel(ResNetConfig(embedding_size=64, **sizes)).eval()
        # Norms as after training, not as before it.
        for name, tensor in self.model.state_dict().items():
            if name.endswith(("running_mean", "normalization.bias")):
                tensor.normal_(0, 0.1)
            if name.endswith(("running_var", "normalization.weight")):
                tensor.uniform_(0.5, 1.0)
        save(self.model, folder, safe)
        self.processor = ConvNextImageProcessor(
            size={"shortest_edge": 224},
            crop_pct=0.875,
            resample=3,
            image_mean=[0.485, 0.456, 0.406],
            image_std=[0.229, 0.224, 0.225],
        )
        self.processor.save_pretrained(folder)

    def pixels(self, path):
        with Image.open(path) as photo:
            return self.processor(ImageOps.exif_transpose(photo).convert("RGB"), return_tensors="pt")["pixel_values"]

    def features(self, pixels):
        with torch.no_grad():
            return self.model(pixels).pooler_output.flatten().numpy()


class Bert:
    def __init__(self, folder, pooling, safe):
        vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
        letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
        vocabulary += [token for token in letters if token not in vocabulary]
        vocabulary += ["##" + letter for letter in letters if letter.isalnum()]
        config = BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=512,
            initializer_range=0.2,
        )
        self.model = BertModel(config).eval()
        self.pooling = pooling
        save(self.model, folder, safe)
        # Without tokenizer.json: a vocabulary is enough.
        (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
        self.tokenizer = BertTokenizerFast(vocab={token: at for at, token in enumerate(vocabulary)})

    def ids(self, title):
        return self.tokenizer(title, truncation=True, max_length=TOKENS_MAX, return_tensors="pt")["input_ids"]

    def features(self, ids):
        with torch.no_grad():
            output = self.model(ids, attention_mask=torch.ones_like(ids))
        if self.pooling == "pooler":
            return output.pooler_output[0].numpy()
        mean = output.last_hidden_state[0].mean(0)
        return (mean / mean.norm()).numpy()


def compare(project, folder, what, image, text, checks):
    bundles = sorted(folder.glob("pipeline/Trainer/**/image_encoder.onnx"))
    checks.equal(f"{what}: bundles of the Trainer", len(bundles), 1)
    if not bundles:
        return
    graphs = [open_graph(bundles[0].parent / f"{kind}_encoder.onnx") for kind in ["image", "text"]]
    photos, titles = kept_features(folder / "pipeline" / "embeddings")
    worst = {"photo": 1.0, "title": 0.0, "image graph": 0.0, "text graph": 0.0}
    for post in project.posts()[:POSTS]:
        pixels = image.pixels(project.photo(post))
        expected = image.features(pixels)
        (found,) = graphs[0].run(None, {"pixels": pixels.numpy()})
        worst["image graph"] = max(worst["image graph"], apart(found[0], expected))
        worst["photo"] = min(worst["photo"], cosine(photos[bytes.fromhex(post["sha256"])], expected))

        ids = text.ids(post["title"])
        expected = text.features(ids)
        (found,) = graphs[1].run(None, {"input_ids": ids.numpy(), "attention_mask": torch.ones_like(ids).numpy()})
        worst["text graph"] = max(worst["text graph"], apart(found[0], expected))
        found = titles[hashlib.sha256(post["title"].encode()).digest()]
        worst["title"] = max(worst["title"], apart(found, expected))
    for part, value in worst.items():
        if part == "photo":
            print(f"{what}: features of photos: cosine at least {value:.6f}")
            checks.true(f"{what}: photos: cosine {value}", value >= PHOTO_COSINE_MIN)
        else:
            print(f"{what}: {part}: at most {value:.7f} of the largest feature apart")
            checks.true(f"{what}: {part}: {value} apart", value <= DIFFERENCE_MAX)


def open_graph(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def apart(found, expected):
    return float(numpy.abs(found - expected).max() / numpy.abs(expected).max())


def cosine(one, other):
    return float(one @ other / (numpy.linalg.norm(one) * numpy.linalg.norm(other)))


def kept_features(folder):
    """The features of photos and of titles by the SHA-256 of their content: two files of records, told by their width."""
    files = sorted((read_features(path) for path in folder.glob("*.features")), key=lambda file: -file[0])
    (_, photos), (_, titles) = files
    return photos, titles


def read_features(path):
    """A header (NRFEAT02, width), then records: hash, two limits, values, a check of four bytes."""
    data = path.read_bytes()
    magic, width = struct.unpack("<8sQ", data[:16])
    assert magic == b"NRFEAT02", (path, magic)
    size = 32 + 16 + 4 * width + 4
    records = (data[at : at + size] for at in range(16, len(data), size))
    return width, {record[:32]: numpy.frombuffer(record[48 : 48 + 4 * width], "<f4") for record in records}


if __name__ == "__main__":
    main()
