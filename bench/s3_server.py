"""Serves S3 from memory, by moto, on a free port with one bucket, until stdin ends; the first line says where.

`s3_server.py BUCKET`
"""

import logging
import sys
import urllib.request

from moto.server import ThreadedMotoServer


def main():
    # It would tell of every request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    urllib.request.urlopen(urllib.request.Request(f"{url}/{sys.argv[1]}", method="PUT")).close()
    print(url, flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
