"""Answers in TorchServe as `natureddit serve` does: the label of a title and a photo, from the files of the bundle beside
this one. It needs onnxruntime, tokenizers, Pillow and numpy. `natureddit serve` answers by itself and never runs this."""

import base64
import io
import json
import pathlib
import struct

import numpy
import onnxruntime
from PIL import Image, ImageCms, ImageOps
from tokenizers import Tokenizer

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
# Of a longer photo its middle is taken before it is resized.
RATIO_MAX = 4


class NatuRedditHandler:
    """TorchServe makes one for each worker; it must be the only class in this file."""

    def initialize(self, context):
        folder = pathlib.Path(context.system_properties["model_dir"])
        manifest = read_json(folder / "manifest.json")
        preprocess = read_json(folder / "preprocess.json")
        self.classes = manifest["classes"]
        self.image = preprocess["image"]
        self.image_features = encoder(folder / "image_encoder.onnx", manifest["image_encoder"], ["pixels"])
        self.title_features = encoder(
            folder / "text_encoder.onnx", manifest["text_encoder"], ["input_ids", "attention_mask"]
        )
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(preprocess["text"]["tokens_max"])
        self.head = read_safetensors(folder / "head.safetensors")

    def handle(self, data, context):
        """A label for each request of the batch; one that cannot be read is answered 400 and does not disturb the others."""
        answers = []
        for at, request in enumerate(data or []):
            try:
                probabilities = self.probabilities(*read_request(request))
                answers.append(self.classes[int(numpy.argmax(probabilities))])
            except (AttributeError, OSError, SyntaxError, TypeError, ValueError, Image.DecompressionBombError) as error:
                context.set_response_status(code=400, phrase="Bad Request", idx=at)
                answers.append(f"the request cannot be classified: {error}")
        return answers

    def probabilities(self, title, photo):
        """The head over `[photo features, title features, photo missing, title missing]`, standardised."""
        if title is None and photo is None:
            raise ValueError("it has neither text nor image")
        features = {
            "image": None if photo is None else self.image_features(self.pixels(photo)),
            "text": None if title is None else self.title_features(*self.tokens(title)),
        }
        parts = []
        for name, found in features.items():
            mean, deviation = self.head[f"{name}.mean"], self.head[f"{name}.deviation"]
            parts.append(numpy.zeros_like(mean) if found is None else (found - mean) / deviation)
        row = numpy.concatenate([*parts, [photo is None, title is None]])
        if "hidden.weight" in self.head:
            row = numpy.maximum(self.head["hidden.weight"] @ row + self.head["hidden.bias"], 0)
        scores = (self.head["weight"] @ row + self.head["bias"]) / self.head.get("temperature", 1)
        exponents = numpy.exp(scores - scores.max())
        return exponents / exponents.sum()

    def tokens(self, title):
        ids = numpy.array([self.tokenizer.encode(title).ids], dtype=numpy.int64)
        # All tokens are of the first kind, where a graph asks for it.
        return ids, numpy.ones_like(ids), numpy.zeros_like(ids)

    def pixels(self, photo):
        with Image.open(io.BytesIO(photo), formats=FORMATS) as opened:
            if getattr(opened, "n_frames", 1) > 1:
                raise ValueError("the photo is animated")
            # Upright first, for that drops no colours; the profile is that of the file.
            profile = opened.info.get("icc_profile")
            shrink_in_decoding(opened, self.image)
            image = in_srgb(flattened(ImageOps.exif_transpose(opened)), profile)
        pixels = numpy.asarray(square(image, self.image), dtype=numpy.float32)
        mean, scale = (numpy.array(self.image[name], dtype=numpy.float32) for name in ("mean", "scale"))
        return numpy.ascontiguousarray(((pixels - mean) / scale).transpose(2, 0, 1)[None])


def encoder(path, record, inputs):
    """A function from values to the features of one post. Its graph takes them under `inputs`, or as the manifest says."""
    options = onnxruntime.SessionOptions()
    # TorchServe runs one worker for each core.
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    ports = record.get("ports") or {"inputs": inputs, "output": session.get_outputs()[0].name}

    def features(*values):
        (output,) = session.run([ports["output"]], dict(zip(ports["inputs"], values)))
        return output[0]

    return features


def read_request(request):
    """The title and the photo's bytes: the fields of a form, a JSON object with a photo in base64, or a body that is a photo
    or a text. What is missing, or a title of blanks, is None."""
    body = request.get("body", request.get("data"))
    if isinstance(body, str):
        request = {"text": body}
    elif isinstance(body, (bytes, bytearray)):
        request = {"image": body}
    elif isinstance(body, dict):
        request = body
    text, photo = request.get("text"), request.get("image")
    if isinstance(text, (bytes, bytearray)):
        text = bytes(text).decode("utf-8")
    if isinstance(photo, str):
        photo = base64.b64decode(photo, validate=True)
    title = text if text and text.strip() else None
    return title, bytes(photo) if photo else None


def shrink_in_decoding(opened, how):
    """Of a JPEG at least so many pixels a side are decoded, where the bundle says that fewer than all will do."""
    side = how.get("decoded_side_min")
    if side is not None and how.get("short_side") is None and how.get("filter", "bilinear") == "bilinear":
        opened.draft(None, (max(side, how["size"]),) * 2)


def flattened(image):
    """Eight bits a channel, and white behind what is transparent."""
    if image.mode.startswith("I;16") or image.mode == "I":
        return Image.fromarray((numpy.asarray(image) >> 8).astype(numpy.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB") if image.mode in ("1", "P") else image


def in_srgb(image, profile):
    """RGB as screens take it. A profile that is damaged or of other colours than the photo changes nothing."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            pass
    return image.convert("RGB")


def square(image, how):
    """All of a photo as a square, or the middle of one that keeps its proportions. Pillow widens its kernels as it shrinks."""
    side = how["size"]
    kernel = Image.Resampling[how.get("filter", "bilinear").upper()]
    if how.get("short_side") is None:
        return image.resize((side, side), kernel)
    short_side, short = max(how["short_side"], side), min(image.size)
    seen = [min(length, short * RATIO_MAX) for length in image.size]
    left, top = ((length - part) // 2 for length, part in zip(image.size, seen))
    size = [part * short_side // short for part in seen]
    resized = image.resize(size, kernel, box=(left, top, left + seen[0], top + seen[1]))
    left, top = ((length - side) // 2 for length in size)
    return resized.crop((left, top, left + side, top + side))


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def read_safetensors(path):
    """Eight bytes of header length, a JSON header, then the tensors' bytes; here all are f32."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, record in header.items():
        start, end = (8 + length + offset for offset in record["data_offsets"])
        tensors[name] = numpy.frombuffer(data[start:end], dtype="<f4").reshape(record["shape"])
    return tensors
