"""What the programs beside this one share: they run rimg beside other clients and services."""

import atexit
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request


def again(cloud, **variables):
    """This program once more, with the Python of the clients of this cloud and nothing in the environment that steers
    them but `variables`. Answers with a directory, which is also their home; it is removed at the end."""
    if "BESIDE_HOME" not in os.environ:
        home = tempfile.mkdtemp(prefix=f"rimg-{pathlib.Path(sys.argv[0]).stem}-")
        clean = {name: value for name, value in os.environ.items()
                 if not name.startswith("OS_") and not name.lower().endswith("_proxy")}
        clean |= {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home, "BESIDE_HOME": home,
                  "LANG": "C.UTF-8", "TZ": "UTC"} | variables
        python = str(cloud / "venv-clients/bin/python")
        os.execve(python, [python, *sys.argv], clean)
    return directory(os.environ["BESIDE_HOME"])


def directory(path):
    """This directory, for as long as this program runs."""
    path = pathlib.Path(path)
    at_end(lambda: shutil.rmtree(path))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all is undone then, too
    return path


def at_end(undo):
    """Has this done when this program ends; not when a fork of it does."""
    ours = os.getpid()
    atexit.register(lambda: os.getpid() == ours and undo())


class Fork:
    """One run of a client, in a fork: most of its time would go into imports."""

    def __init__(self, work, run):
        self.output = [tempfile.TemporaryFile(dir=work) for _ in range(2)]
        sys.stdout.flush()
        self.process = os.fork()
        if self.process == 0:
            code = 70
            try:
                os.dup2(self.output[0].fileno(), 1)
                os.dup2(self.output[1].fileno(), 2)
                code = run()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code or 0)

    def wait(self):
        """Exit code, standard output, standard error."""
        _, status = os.waitpid(self.process, 0)
        for file in self.output:
            file.seek(0)
        return os.waitstatus_to_exitcode(status), *(file.read() for file in self.output)


def auth_url(clouds):
    """Where the first cloud of this clouds.yaml has its Keystone."""
    return re.search(r"""auth_url: ['"]?(http[^'"\s]+)""", clouds.read_text())[1]


def sign_in(auth_url, user, project=None, password="secret"):
    """Without a client: a token of this user for this project, else for the one of its own name; and what Keystone says
    of it."""
    domain = {"id": "default"}
    body = {"auth": {
        "identity": {"methods": ["password"], "password": {"user": {"name": user, "password": password, "domain": domain}}},
        "scope": {"project": {"name": project or user, "domain": domain}}}}
    request = urllib.request.Request(f"{auth_url}/auth/tokens", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        return reply.headers["X-Subject-Token"], json.load(reply)


def image_url(said):
    """Where the image service is, by what Keystone says of a token."""
    [url] = {endpoint["url"].rstrip("/") for service in said["token"]["catalog"] if service["type"] == "image"
             for endpoint in service["endpoints"] if endpoint["interface"] == "public"}
    return url


def serve(rimg, work, config, *options, **how):
    """Starts `rimg serve` with its data in the directory `work`: the process, and the clouds.yaml that it writes."""
    (work / "serve.yaml").write_text(json.dumps(config))
    clouds = work / "served.yaml"
    command = [rimg, *options, "serve", "--listen", "127.0.0.1:0", "--data-dir", work / "data",
               "--config", work / "serve.yaml", "--write-clouds-yaml", clouds]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **how)
    for _ in range(1500):
        if clouds.exists():
            return process, clouds
        if process.poll() is not None:
            break
        time.sleep(0.02)
    process.kill()
    sys.exit("`rimg serve` does not start")


def free_port():
    """A port of loopback where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def web_server(root):
    """Serves the files of this directory, but for `/forbidden`, in a process of its own: its port."""
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=root)

        def log_message(self, *_):
            pass

        def send_head(self):
            return self.send_error(403) if self.path == "/forbidden" else super().send_head()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    process = os.fork()
    if process == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            server.serve_forever()
        finally:
            os._exit(0)
    at_end(lambda: os.kill(process, signal.SIGKILL))
    return server.server_port
