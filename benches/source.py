"""A source that is faster than any client: `benches/source.py DIR RIMG [MiB] [rounds]` saves one image from it with
curl, with rimg (verified, with --no-verify, with --jobs 4) and hashes it with openssl alone, in turns, in the directory
DIR, and prints wall time, CPU time and peak memory. The source gives the data with sendfile, and ranges of it."""

import hashlib
import http.server
import json
import os
import pathlib
import re
import socketserver
import statistics
import subprocess
import sys
import threading

from measure import measure

IMAGE = "6d09a3a0-0f5a-4c57-9a1c-9d8c58f2a3b1"


def serve(data, digest):
    """Serves the file `data` as the only image; answers with the port."""
    size = data.stat().st_size
    document = {"id": IMAGE, "name": "fast", "status": "active", "size": size, "disk_format": "raw",
                "container_format": "bare", "os_hash_algo": "sha512", "os_hash_value": digest, "checksum": "0" * 32,
                "visibility": "private", "protected": False, "tags": []}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            if not self.path.endswith("/file"):
                body = json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                return
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            start, end = (int(asked[1]), int(asked[2] or size - 1) + 1) if asked else (0, size)
            self.send_response(206 if asked else 200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(end - start))
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
            self.end_headers()
            self.wfile.flush()
            with data.open("rb") as file:
                while start < end:
                    start += os.sendfile(self.connection.fileno(), file.fileno(), start, min(end - start, 8 << 20))

    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def main():
    work, rimg = pathlib.Path(sys.argv[1]), str(pathlib.Path(sys.argv[2]).resolve())
    mib, rounds = (int(sys.argv[3]) if len(sys.argv) > 3 else 512), (int(sys.argv[4]) if len(sys.argv) > 4 else 5)
    work.mkdir(parents=True, exist_ok=True)
    data = work / "source.raw"
    block = os.urandom(1 << 20)
    digest = hashlib.sha512()
    with data.open("wb") as file:
        for index in range(mib):
            piece = index.to_bytes(8, "big") + block[8:]
            file.write(piece)
            digest.update(piece)
    # In a process of its own, so that its locks are not those of the measuring.
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        os.write(write, str(serve(data, digest.hexdigest())).encode())
        os.close(write)
        threading.Event().wait()
    os.close(write)
    port = os.read(read, 16).decode()
    base = f"http://127.0.0.1:{port}"
    environment = {"PATH": os.environ["PATH"], "HOME": str(work), "OS_AUTH_TYPE": "none", "OS_ENDPOINT": base}
    save = [rimg, "image", "save", IMAGE, "--file", "out.raw"]
    programs = {
        "curl": ["curl", "-sf", "-o", "out.raw", f"{base}/v2/images/{IMAGE}/file"],
        "rimg": save,
        "rimg --no-verify": [*save, "--no-verify"],
        "rimg --jobs 4": [*save, "--jobs", "4"],
        "openssl dgst -sha512": ["openssl", "dgst", "-sha512", str(data)],
    }
    extra = {name: [*command.split(" "), *save[1:]] for name, command in [text.split("=", 1) for text in sys.argv[5:]]}
    programs.update(extra)
    taken = {name: [] for name in programs}
    try:
        for _ in range(rounds):
            for name, command in programs.items():
                for left in work.glob("out.raw*"):
                    left.unlink()
                # What the one wrote should not be written back in the time of the next.
                os.sync()
                taken[name].append(measure(command, environment, work))
                if name != "openssl dgst -sha512":
                    subprocess.run(["cmp", "out.raw", str(data)], cwd=work, check=True)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    print(f"| {mib} MiB | wall s | least | CPU s | peak MiB | wall, curl = 1 |\n| --- | --- | --- | --- | --- | --- |")
    curl = statistics.median(wall for wall, *_ in taken["curl"])
    for name, runs in taken.items():
        wall, cpu, peak = (statistics.median(column) for column in zip(*runs))
        least = min(run[0] for run in runs)
        print(f"| {name} | {wall:.3f} | {least:.3f} | {cpu:.3f} | {peak:.0f} | {wall / curl:.2f} |")


main()
