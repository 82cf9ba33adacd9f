"""What people would write today: FastAPI and uvicorn with Python's ONNX Runtime, Pillow and the tokenizers, over HTTPS, with
the graphs, the tokenizer and the head of a bundle of ours.

`fastapi_server.py PORT CERTIFICATE KEY BUNDLE [--draft]` answers POST /predictions/NAME with the label. It is one process with
one thread, which answers one request at a time: start one for each core, for of several processes behind one port uvicorn's
first takes all connections that come at once. With `--draft` Pillow may decode JPEG at a fraction of its size.
"""

import argparse
import importlib.util
import io
import pathlib
import types
from typing import Annotated

import numpy
import uvicorn
from fastapi import FastAPI, File, Form
from fastapi.responses import PlainTextResponse
from PIL import Image

HANDLER = pathlib.Path(__file__).parent.parent / "crates/natureddit-model/src/archive/handler.py"

spec = importlib.util.spec_from_file_location("handler", HANDLER)
handler = importlib.util.module_from_spec(spec)
spec.loader.exec_module(handler)


class Model(handler.NatuRedditHandler):
    """The handler of our archives, without what it does for photos that lie on their side or have other colours."""

    def __init__(self, bundle, draft):
        self.draft = draft
        self.initialize(types.SimpleNamespace(system_properties={"model_dir": bundle}))

    def pixels(self, photo):
        with Image.open(io.BytesIO(photo)) as opened:
            if self.draft:
                side = max(self.image["size"], self.image.get("short_side") or 0)
                opened.draft("RGB", (side, side))
            picture = opened if opened.mode == "RGB" else opened.convert("RGB")
            pixels = numpy.asarray(handler.square(picture, self.image), dtype=numpy.float32)
        mean, scale = (numpy.array(self.image[name], dtype=numpy.float32) for name in ("mean", "scale"))
        return numpy.ascontiguousarray(((pixels - mean) / scale).transpose(2, 0, 1)[None])


def application(model):
    app = FastAPI()

    @app.post("/predictions/{name}", response_class=PlainTextResponse)
    async def predict(name: str, text: Annotated[str, Form()], image: Annotated[bytes, File()]):
        return model.classes[int(numpy.argmax(model.probabilities(text, image)))]

    return app


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("certificate")
    parser.add_argument("key")
    parser.add_argument("bundle")
    parser.add_argument("--draft", action="store_true")
    arguments = parser.parse_args()
    uvicorn.run(
        application(Model(arguments.bundle, arguments.draft)),
        host="127.0.0.1",
        port=arguments.port,
        ssl_certfile=arguments.certificate,
        ssl_keyfile=arguments.key,
        log_level="warning",
        # Idle clients stay connected while others are measured.
        timeout_keep_alive=600,
    )


if __name__ == "__main__":
    main()
