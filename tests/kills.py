#!/usr/bin/env python3
"""Kills `rimg serve` at random moments under load, and looks at what is left.

usage: tests/kills.py RIMG [--kills 1000] [--seed N] [--keep]

RIMG is a build of rimg. Clients upload, stage, import, copy, change, download
and delete images whose bytes are known, on one data directory that is served
by one process, or by two, or by one beside runs of `rimg --os-cloud local
image create`. One of them is ended with SIGKILL, sometimes already while it
starts, and is started again, sometimes while the others go on. Then all must
hold that `check` says. Ends with 1 at the first thing that does not; --keep
leaves the data directory to look at. RIMG_KILLS and RIMG_SEED may stand for
the options. Only loopback and a temporary directory are used.
"""

import argparse
import collections
import hashlib
import http.client
import json
import os
import pathlib
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("rimg", type=pathlib.Path)
parser.add_argument("--kills", type=int, default=int(os.environ.get("RIMG_KILLS", 1000)))
parser.add_argument("--seed", type=int, default=int(os.environ.get("RIMG_SEED", time.time_ns() % 10**9)))
parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
parser.add_argument("--keep", action="store_true")
options = parser.parse_args()
rimg = str(options.rimg.resolve())

CONFIG = """
stores: [{name: local}, {name: slow}]
projects: [{name: admin}]
users: [{name: admin, password: secret, roles: [{project: admin, roles: [admin]}]}]
"""
home = pathlib.Path(tempfile.mkdtemp(prefix="rimg-kills-"))
data = home / "data"
(home / "serve.yaml").write_text(CONFIG)
ENVIRONMENT = {"HOME": str(home), "PATH": os.environ["PATH"], "RIMG_LOCAL_DIR": str(data)}
counts = collections.Counter()


class Wrong(Exception):
    """Something that must hold does not."""


class Server:
    """A process of `rimg serve` that is started again and again on one port."""

    def __init__(self, name):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.log = home / f"{name}.log"
        self.process = self.token = self.killed = None

    def spawn(self):
        self.token = None
        command = [rimg, "serve", "--listen", f"127.0.0.1:{self.port}", "--data-dir", data,
                   "--config", home / "serve.yaml", "--write-clouds-yaml", home / f"{self.log.stem}.yaml"]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, env=ENVIRONMENT, stderr=log, stdout=log)

    def sign_in(self):
        user = {"name": "admin", "domain": {"id": "default"}, "password": "secret"}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}},
                         "scope": {"project": {"name": "admin", "domain": {"id": "default"}}}}}
        begun = time.monotonic()
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                connection.request("POST", "/identity/v3/auth/tokens", json.dumps(body),
                                   {"Content-Type": "application/json"})
                answer = connection.getresponse()
                if answer.status != 201:
                    raise Wrong(f"cannot sign in: {answer.status} {answer.read()}")
                self.token = answer.headers["X-Subject-Token"]
                return
            except OSError:
                if self.process.poll() is not None:
                    raise Wrong(f"the service does not start: {self.log.read_text()[-2000:]}")
                if time.monotonic() - begun > 60:
                    raise Wrong("the service does not answer within a minute")
                time.sleep(0.005)

    def kill(self):
        self.killed = self.process
        self.process.kill()
        self.process.wait()
        counts["kills"] += 1

    def ask(self, method, path, body=b"", headers=None, pieces=None, read=True):
        """Status and body. `pieces` are sent one after the other, with pauses."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        try:
            if not isinstance(body, bytes):
                body = json.dumps(body).encode()
            connection.putrequest(method, "/v2" + path)
            sent = {"X-Auth-Token": self.token or "", "Content-Length": str(len(body)),
                    "Content-Type": "application/json"} | (headers or {})
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders()
            for piece, pause in pieces or [(body, 0)]:
                time.sleep(pause)
                connection.send(piece)
            if not read:
                return None, b""
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


BINARY = {"Content-Type": "application/octet-stream"}
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


class Image:
    """What a client knows of an image."""

    def __init__(self, data):
        self.data = data
        self.names = {None}  # what it may be called
        self.may = {"absent"}  # states that it may be in


class Client(threading.Thread):
    """Works on images of its own until told to stop, or its server is gone."""

    def __init__(self, number, servers, seed, images, stop):
        super().__init__()
        self.random = random.Random(f"{seed}/{number}")
        self.servers, self.images, self.stop, self.wrong = servers, images, stop, None
        self.unsure = set()

    def run(self):
        while not self.stop.is_set():
            server = self.random.choice(self.servers)
            before = server.process
            try:
                self.step(server)
            except (OSError, http.client.HTTPException) as error:
                if server.killed is not before and server.process is before and server.token:
                    self.wrong = Wrong(f"a service that lives lost a connection: {error!r}")
                    return
                if len(self.servers) == 1:
                    return
            except Wrong as wrong:
                # A token of the one before is no good for the one after.
                if server.process is before and server.token and "HTTP 401" not in str(wrong):
                    self.wrong = wrong
                    return
            time.sleep(self.random.uniform(0, 0.01))

    def step(self, server):
        chance = self.random
        mine = [i for i in self.images if i not in self.unsure]
        active = [i for i in mine if self.images[i].may == {"active"}]
        choice = chance.choice(["upload"] * 4 + ["stage", "import", "vanish", "delete", "delete", "set", "copy", "read"])
        if len(active) > 5:
            choice = "delete"
        if not server.token:
            return
        if choice in ("upload", "stage", "import", "vanish"):
            self.bring(server, choice)
        elif active:
            image = chance.choice(active)
            # Until there is an answer, nobody knows.
            self.unsure.add(image)
            getattr(self, choice)(server, image, self.images[image])
            self.unsure.discard(image)

    def expect(self, answer, *statuses):
        if answer[0] not in statuses:
            raise Wrong(f"HTTP {answer[0]} instead of {statuses}: {answer[1][:300]}")
        return answer[1]

    def bring(self, server, how):
        chance = self.random
        size = chance.choice([0, 1, 262143, 262144, 262145, chance.randrange(600_000), chance.randrange(4_000_000)])
        known = Image(chance.randbytes(size))
        name = f"i{chance.getrandbits(48):x}"
        id = f"{chance.getrandbits(128):032x}"
        id = f"{id[:8]}-{id[8:12]}-4{id[13:16]}-a{id[17:20]}-{id[20:]}"
        self.images[id], known.names, known.may = known, {name}, {"absent", "queued"}
        self.unsure.add(id)
        draft = {"id": id, "name": name, "disk_format": "raw", "container_format": "bare", "os": name}
        self.expect(server.ask("POST", "/images", draft), 201)
        counts["images"] += 1
        known.may = {"queued"}
        cut = sorted(chance.randrange(size + 1) for _ in range(chance.randrange(4)))
        edges = [0, *cut, size]
        pieces = [(known.data[a:b], chance.choice([0, 0, 0.03])) for a, b in zip(edges, edges[1:])]
        headers = BINARY | {"Content-Length": str(size)}
        if how == "vanish":
            if size:
                server.ask("PUT", f"/images/{id}/file", headers=headers, pieces=[(known.data[:size // 2], 0)], read=False)
        elif how == "upload":
            known.may = {"queued", "active"}
            self.expect(server.ask("PUT", f"/images/{id}/file", headers=headers, pieces=pieces), 204)
            known.may = {"active"}
            counts["uploads"] += 1
        else:
            known.may = {"queued", "uploading"}
            self.expect(server.ask("PUT", f"/images/{id}/stage", headers=headers, pieces=pieces), 204)
            known.may = {"uploading"}
            if how == "import":
                known.may = {"queued", "uploading", "active"}
                stores = chance.choice([["local"], ["slow"], ["local", "slow"]])
                wish = {"method": {"name": "glance-direct"}, "stores": stores,
                        "all_stores_must_succeed": chance.random() < 0.5}
                self.expect(server.ask("POST", f"/images/{id}/import", wish), 202)
                while chance.random() < 0.9 and not self.stop.is_set():
                    found = json.loads(self.expect(server.ask("GET", f"/images/{id}"), 200))
                    if found["status"] == "active" and "os_glance_import_task" not in found:
                        known.may = {"active"}
                        counts["imports"] += 1
                        break
                    time.sleep(0.01)
                else:
                    return  # whatever becomes of it
        self.unsure.discard(id)

    def delete(self, server, id, known):
        known.may = {"active", "absent"}
        self.expect(server.ask("DELETE", f"/images/{id}"), 204)
        known.may = {"absent"}
        counts["deletes"] += 1

    def set(self, server, id, known):
        name = f"n{self.random.getrandbits(48):x}"
        known.names.add(name)
        self.expect(server.ask("PATCH", f"/images/{id}", [{"op": "replace", "path": "/name", "value": name}], PATCH), 200)
        known.names = {name}

    def copy(self, server, id, known):
        wish = {"method": {"name": "copy-image"}, "stores": ["slow"]}
        self.expect(server.ask("POST", f"/images/{id}/import", wish), 202, 400, 409)

    def read(self, server, id, known):
        if self.expect(server.ask("GET", f"/images/{id}/file"), 200, 204) != known.data:
            raise Wrong(f"image {id} has other bytes")
        counts["downloads"] += 1


class Private(threading.Thread):
    """A run of `rimg --os-cloud local image create`, killed or not."""

    def __init__(self, seed, images):
        super().__init__()
        self.random = random.Random(seed)
        self.images, self.wrong = images, None

    def run(self):
        chance = self.random
        known, name = Image(chance.randbytes(chance.randrange(3_000_000))), f"c{chance.getrandbits(48):x}"
        known.names, known.may = {name}, {"absent", "queued", "active"}
        self.images[name] = known
        path = home / f"{name}.img"
        path.write_bytes(known.data)
        command = [rimg, "--os-cloud", "local", "image", "create", name, "--file", path, "--disk-format", "raw"]
        process = subprocess.Popen(command, env=ENVIRONMENT, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            _, said = process.communicate(timeout=chance.choice([60, chance.uniform(0, 0.5), chance.uniform(0, 0.2)]))
            if process.returncode:
                self.wrong = Wrong(f"rimg image create: {said.decode()}")
            known.may = {"active"}
            counts["images created beside"] += 1
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            counts["kills"] += 1
            counts["kills of image create"] += 1
        path.unlink()


def check(servers, images):
    """All that must hold once everything was started again, and soon after.

    Who was not killed may only now take up the request of a client that went
    away; so what does not hold is looked at again. What is lost stays lost.
    """
    for _ in range(3):
        try:
            return look(servers, images)
        except Wrong as wrong:
            counts["second looks"] += 1
            last = wrong
            time.sleep(1)
    raise last


def look(servers, images):
    """One look at everything."""
    server = servers[0]
    registry = sqlite3.connect(f"file:{data}/registry.sqlite?mode=ro", uri=True, timeout=30)
    begun = time.monotonic()
    while registry.execute("SELECT count(*) FROM tasks WHERE status IN ('pending', 'processing')").fetchone() != (0,) \
            or registry.execute("SELECT count(*) FROM files WHERE state IN ('incoming', 'garbage')").fetchone() != (0,):
        # Those who were not killed may still be at it.
        if time.monotonic() - begun > 20:
            raise Wrong(f"unfinished for ever: {registry.execute('SELECT id, image_id, store, state FROM files').fetchall()}")
        time.sleep(0.01)
    found, path = {}, "/images?limit=1000"
    while path:
        page = json.loads(server.ask("GET", path)[1])
        found |= {image["id"]: image for image in page["images"]}
        path = page.get("next", "").removeprefix("/v2")
    # Those of `image create` are known by name.
    for id, image in found.items():
        if image["name"] in images:
            images[id] = images.pop(image["name"])
    for id, known in list(images.items()):
        image = found.get(id)
        status = image["status"] if image else "absent"
        if status not in known.may:
            raise Wrong(f"image {id} is {status}, not {known.may}")
        if not image:
            del images[id]
            continue
        if image["name"] not in known.names:
            raise Wrong(f"image {id} is called {image['name']}, not {known.names}")
        if "os_glance_import_task" in image or image.get("os_glance_importing_to_stores"):
            raise Wrong(f"image {id} is being imported for ever: {image}")
        known.may, known.names = {status}, {image["name"]}
        if status == "active":
            answer = server.ask("GET", f"/images/{id}/file")
            if answer[0] not in (200, 204) or answer[1] != known.data:
                raise Wrong(f"image {id}: HTTP {answer[0]}, {len(answer[1])} of {len(known.data)} bytes")
            sums = (len(known.data), hashlib.md5(known.data).hexdigest(), hashlib.sha512(known.data).hexdigest())
            if (image["size"], image["checksum"], image["os_hash_value"]) != sums:
                raise Wrong(f"image {id} has other sums: {image}")
            counts["images read whole"] += 1
        elif status == "queued" and (image["size"] is not None or image["checksum"] or image.get("stores")):
            raise Wrong(f"image {id} is queued with data: {image}")
    if strangers := found.keys() - images.keys():
        raise Wrong(f"images that nobody made: {strangers}")
    rows = registry.execute("SELECT id, store, state, image_id FROM files").fetchall()
    registry.close()
    owned = {}
    for id, store, state, image in rows:
        wanted = {"active": "stored", "uploading": "staged"}.get(found[image]["status"] if image in found else None)
        if state != wanted:
            raise Wrong(f"a {state} file of image {image}, which is {found.get(image)}")
        owned[data / ("staging" if state == "staged" else f"stores/{store}") / id] = images[image]
    there = {path for place in ["staging", "stores/local", "stores/slow"] for path in (data / place).iterdir()}
    if there != owned.keys():
        raise Wrong(f"files and registry differ: {there ^ owned.keys()}")
    for path, known in owned.items():
        if path.read_bytes() != known.data:
            raise Wrong(f"{path} has other bytes")
    for image in found.values():
        if image["status"] in ("active", "uploading") and not any(row[3] == image["id"] for row in rows):
            raise Wrong(f"image {image['id']} is {image['status']} without a file")
    runs = len(list((data / "runs").iterdir()))
    if runs != len(servers):
        raise Wrong(f"{runs} processes are known, {len(servers)} run")
    strays = {path.name for path in data.iterdir()} - {
        "runs", "staging", "stores", "registry.sqlite", "registry.sqlite-wal", "registry.sqlite-shm"}
    if strays:
        raise Wrong(f"stray files: {strays}")
    counts["checks"] += 1


def start(server, chance):
    server.spawn()
    while chance.random() < 0.1:
        time.sleep(chance.uniform(0, 0.08))
        server.kill()
        counts["kills while starting"] += 1
        server.spawn()
    server.sign_in()


def turn(number, servers, chance, images):
    """A time of work, and a kill. Which clients there are and who dies is by chance."""
    variant = chance.choice(["one", "one", "two", "two", "beside"])
    used = servers if variant == "two" else servers[:1]
    for server in used:
        if server.process.poll() is not None:
            start(server, chance)
    if variant != "two" and servers[1].process.poll() is None:
        servers[1].kill()
    stop = threading.Event()
    clients = [Client(n, used, f"{options.seed}/{number}", images[n], stop) for n in range(4)]
    beside = [Private(f"{options.seed}/{number}/{n}", images["beside"]) for n in range(2)] if variant == "beside" else []
    for thread in clients + beside:
        thread.start()
    time.sleep(chance.uniform(0, 0.4))
    for thread in beside:
        thread.join()
    victim = chance.choice(used)
    victim.kill()
    if variant != "two":
        # A client of the only one ends with it: it must not go on with the next.
        stop.set()
    start(victim, chance)
    if variant == "two":
        time.sleep(chance.uniform(0, 0.1))
    stop.set()
    for client in clients:
        client.join()
    for thread in clients + beside:
        if thread.wrong:
            raise thread.wrong
    counts[f"turns with {variant}"] += 1
    if variant == "two":
        # What a client had in hand when the other process was killed, and was ended since.
        survivor = next(server for server in used if server is not victim)
        check([survivor, victim], Together(images))
    else:
        check(used, Together(images))


class Together(collections.ChainMap):
    """The images of all clients, as one mapping that can be changed."""

    def __init__(self, images):
        super().__init__(*images.values())

    def __delitem__(self, key):
        del next(part for part in self.maps if key in part)[key]

    def pop(self, key):
        known = self[key]
        del self[key]
        return known


print(f"seed {options.seed}", flush=True)
chance = random.Random(options.seed)
servers = [Server("one"), Server("two")]
images = collections.defaultdict(dict)  # by the number of the client
for n in range(4):
    images[n] = {}
begun, number, wrong = time.monotonic(), 0, None
try:
    for server in servers:
        server.spawn()
    for server in servers:
        server.sign_in()
    while counts["kills"] < options.kills and time.monotonic() - begun < options.seconds:
        number += 1
        turn(number, servers, chance, images)
        if number % 50 == 0:
            print(f"{counts['kills']} kills, {time.monotonic() - begun:.0f} s", flush=True)
except Wrong as found:
    wrong = found
finally:
    for server in servers:
        if server.process:
            server.process.kill()
            server.process.wait()
logs = "".join(server.log.read_text(errors="replace") for server in servers if server.log.exists())
counts["lines about what was swept"] = logs.count("swept up")
if "panicked" in logs:
    wrong = wrong or Wrong("a thread panicked: " + logs[logs.index("panicked") - 200:][:600])
for what, count in sorted(counts.items()):
    print(f"{count:7} {what}")
print(f"{time.monotonic() - begun:7.0f} seconds")
if options.keep:
    print(f"data directory: {data}")
else:
    shutil.rmtree(home)
if wrong:
    sys.exit(f"wrong in turn {number} of seed {options.seed}: {wrong}")
print("all held")
