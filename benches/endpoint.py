"""An image service that is faster than any client: what it is sent it throws
away, what it is asked for it sends from the page cache. It knows beforehand the
digest of the one file that is moved, and claims it for every image, so that
clients which verify have something to verify.

As a program: benches/endpoint.py FILE SHA512 MD5 [LIMIT] prints its port and
serves until its stdin ends; LIMIT is in bytes a second for each connection.
"""

import json
import os
import pathlib
import re
import socket
import sys
import threading
import time
import uuid

SCHEMA = {"name": "image", "additionalProperties": {"type": "string"}, "properties": {
    name: {"type": ["null", kind]} for name, kind in {
        "id": "string", "name": "string", "disk_format": "string", "container_format": "string", "status": "string",
        "size": "integer", "checksum": "string", "os_hash_algo": "string", "os_hash_value": "string",
        "visibility": "string", "protected": "boolean", "os_hidden": "boolean", "owner": "string", "tags": "array", "min_disk": "integer", "min_ram": "integer",
    }.items()}, "links": []}


class Connection:
    """One client, served by one thread."""

    def __init__(self, peer, service):
        self.peer, self.service, self.rest = peer, service, b""
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def head(self):
        """The request line and the headers of the next request."""
        while b"\r\n\r\n" not in self.rest:
            piece = self.peer.recv(65536)
            if not piece:
                return None
            self.rest += piece
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = dict((name.lower(), value.strip()) for name, value in (line.split(":", 1) for line in lines[1:]))
        return *lines[0].split(" ")[:2], headers

    def drain(self, left):
        """Throws away so many bytes of the body, through a pipe: they are not even copied."""
        left -= len(self.rest[:left])
        self.rest = b""
        read, write = os.pipe()
        with open(os.devnull, "wb", buffering=0) as nowhere:
            while left > 0:
                moved = os.splice(self.peer.fileno(), write, min(left, 1 << 20))
                if not moved:
                    raise ConnectionError("the client went away")
                left -= moved
                while moved > 0:
                    moved -= os.splice(read, nowhere.fileno(), moved)
        os.close(read)
        os.close(write)

    def drain_chunks(self):
        """Throws a chunked body away."""
        while True:
            while b"\r\n" not in self.rest:
                self.rest += self.peer.recv(65536)
            size, self.rest = self.rest.split(b"\r\n", 1)
            left = int(size.split(b";")[0], 16) + 2
            while left > 0:
                if not self.rest:
                    self.rest = self.peer.recv(1 << 20)
                    if not self.rest:
                        raise ConnectionError("the client went away")
                taken = min(left, len(self.rest))
                self.rest, left = self.rest[taken:], left - taken
            if int(size.split(b";")[0], 16) == 0:
                return

    def answer(self, status, document=None, headers=()):
        body = b"" if document is None else json.dumps(document).encode()
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers]
        self.peer.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    def data(self, headers):
        """Sends the file, or a range of it."""
        size = self.service.size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
        start, end = (int(asked[1]), min(int(asked[2] or size), size - 1) + 1) if asked else (0, size)
        lines = [f"HTTP/1.1 {206 if asked else 200} X", f"Content-Length: {end - start}",
                 "Content-Type: application/octet-stream"]
        if asked:
            lines.append(f"Content-Range: bytes {start}-{end - 1}/{size}")
        self.peer.sendall("\r\n".join([*lines, "", ""]).encode())
        limit, begun, sent = self.service.limit, time.monotonic(), 0
        with open(self.service.file, "rb") as file:
            while start < end:
                moved = os.sendfile(self.peer.fileno(), file.fileno(), start, min(end - start, (256 << 10) if limit else (8 << 20)))
                start, sent = start + moved, sent + moved
                if limit:
                    time.sleep(max(0, sent / limit - (time.monotonic() - begun)))

    def run(self):
        try:
            while (request := self.head()) is not None:
                method, path, headers = request
                path = path.split("?")[0].rstrip("/")
                if headers.get("expect"):
                    self.peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                if method == "PUT" and path.endswith("/file"):
                    if "chunked" in headers.get("transfer-encoding", ""):
                        self.drain_chunks()
                    else:
                        self.drain(int(headers["content-length"]))
                    self.answer(204)
                    continue
                body = b""
                for _ in range(int(headers.get("content-length", 0)) > 0):
                    while len(self.rest) < int(headers["content-length"]):
                        self.rest += self.peer.recv(65536)
                    body, self.rest = self.rest[:int(headers["content-length"])], b""
                self.small(method, path, headers, body)
        except OSError:
            pass
        finally:
            self.peer.close()

    def small(self, method, path, headers, body):
        image = self.service.image
        if path in ("", "/versions"):
            self.answer(300, {"versions": [{"id": "v2.9", "status": "CURRENT", "links": [{"rel": "self", "href": f"http://{headers['host']}/v2/"}]}]})
        elif method == "POST" and path == "/v2/images":
            draft = json.loads(body)
            self.answer(201, {**image, **draft, "id": draft.get("id") or str(uuid.uuid4()), "status": "queued", "size": None,
                              "checksum": None, "os_hash_value": None, "os_hash_algo": None})
        elif method == "DELETE":
            self.answer(204)
        elif path.startswith("/v2/schemas/"):
            self.answer(200, SCHEMA)
        elif path.endswith("/file"):
            self.data(headers)
        elif path == "/v2/images":
            self.answer(200, {"images": [image], "schema": "/v2/schemas/images", "first": "/v2/images"})
        elif path.startswith("/v2/images/"):
            self.answer(200, {**image, "id": path.split("/")[3]})
        else:
            self.answer(404, {"message": "there is no such thing here"})


class Service:
    def __init__(self, file, sha512, md5, limit):
        self.file, self.limit, self.size = file, limit, os.stat(file).st_size
        self.image = {
            "id": "6d09a3a0-0f5a-4c57-9a1c-9d8c58f2a3b1", "name": "fast", "status": "active", "size": self.size,
            "disk_format": "raw", "container_format": "bare", "visibility": "private", "protected": False, "tags": [],
            "min_disk": 0, "min_ram": 0, "owner": "p", "os_hidden": False, "checksum": md5, "os_hash_algo": "sha512",
            "os_hash_value": sha512, "created_at": "2026-11-22T00:00:00Z", "updated_at": "2026-11-22T00:00:00Z",
            "schema": "/v2/schemas/image"}

    def serve(self):
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        print(listener.getsockname()[1], flush=True)
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
        while True:
            peer, _ = listener.accept()
            threading.Thread(target=Connection(peer, self).run, daemon=True).start()


if __name__ == "__main__":
    file, sha512, md5, *limit = sys.argv[1:]
    Service(pathlib.Path(file), sha512, md5, int(limit[0]) if limit else 0).serve()
