#!/usr/bin/env python3
"""Compares `rimg serve` with Glance and nginx on one machine, in one run.

usage: benches/service.py DIR RIMG [--mib 1024] [--rounds 5] [--seconds 5] [--most 100000]

DIR is a running cloud of tests/cloud/up, RIMG a release build; curl, wrk and
nginx must be installed. `rimg serve` and nginx are started for the run, on
free loopback ports and in a directory of their own that is removed at the end
(TMPDIR says where: it holds a few times --mib). The services take turns; each
figure is the median of the rounds. Prints Markdown tables for the README, and
ends with 1 if a target is missed. Read figures as ratios: the clients share
the machine. CPU is what the service itself used, clients and kernel threads
left out.
"""

import argparse
import contextlib
import hashlib
import http.client
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

from measure import beside

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("dir", type=pathlib.Path, help="a running cloud of tests/cloud/up")
parser.add_argument("rimg", type=pathlib.Path, help="a release build of rimg")
parser.add_argument("--mib", type=int, default=1024, help="size of the image that is moved")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--seconds", type=int, default=5, help="how long small requests are sent, each round")
parser.add_argument("--most", type=int, default=100_000, help="images in the largest registry")
options = parser.parse_args()

# Debian's nginx is where only root's PATH leads.
path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"
tools = {name: shutil.which(name, path=path) for name in ("curl", "wrk", "nginx")}
missing = [name for name, found in tools.items() if not found]
if missing:
    raise SystemExit(f"benches/service.py: missing: {', '.join(missing)}\n"
                     f"on Debian or Ubuntu: apt-get install {' '.join(missing)}")
for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
    os.environ.pop(proxy, None)
cloud, rimg = options.dir.resolve(), options.rimg.resolve()
OCTETS = ["-H", "Content-Type: application/octet-stream", "-H", "Expect:"]


class Service:
    """An image service, and a token for its project `demo`."""

    def __init__(self, auth_url, pid):
        self.pid = pid
        self.token, said = beside.sign_in(auth_url, "demo")
        self.project, self.url = said["token"]["project"]["id"], beside.image_url(said)

    def api(self, method, url, document=None):
        """One request: the answer's headers and what its JSON says."""
        headers = {"Content-Type": "application/json"} | ({"X-Auth-Token": self.token} if self.token else {})
        body = None if document is None else json.dumps(document).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)) as answer:
            text = answer.read()
            return answer.headers, json.loads(text) if text else None

    def queued(self):
        """The URL of a new image."""
        draft = {"name": f"bench-{uuid.uuid4().hex[:8]}", "disk_format": "raw", "container_format": "bare"}
        return f"{self.url}/v2/images/{self.api('POST', f'{self.url}/v2/images', draft)[1]['id']}"

    def curl(self, *arguments):
        return [tools["curl"], "-sSf", "-H", f"X-Auth-Token: {self.token}", *map(str, arguments)]

    def up(self, file, image):
        return self.curl("-o", os.devnull, "-T", file, *OCTETS, f"{image}/file")

    def down(self, image, target=os.devnull):
        return self.curl("-o", target, f"{image}/file")

    def cpu(self):
        """Seconds of CPU that the service has used, its children too."""
        used, tick = 0, os.sysconf("SC_CLK_TCK")
        for process in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                pid = int(process.parent.name)
                fields = process.read_text().rpartition(")")[2].split()
                if self.pid in (pid, int(fields[1])):
                    used += (int(fields[11]) + int(fields[12])) / tick
        return used

    def peak(self):
        """The most memory that it had at any time, in MiB."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s*(\d+)", status)[1]) / 1024


def answers(url):
    """Waits until somebody answers there."""
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"benches/service.py: no answer from {url}")


def start_rimg(stack, work):
    """`rimg serve` with its request log on, as it is by default."""
    log = stack.enter_context(open(work / "serve.log", "wb"))
    config = {"projects": [{"name": "demo"}], "users": [
        {"name": "demo", "password": "secret", "roles": [{"project": "demo", "roles": ["member"]}]}]}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "RIMG_"))}
    process, clouds = beside.serve(rimg, work, config, stdout=log, stderr=log, env=clean | {"HOME": str(work)})
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return Service(beside.auth_url(clouds), process.pid)


def start_nginx(stack, work):
    """nginx as a file server: its address."""
    port, config = beside.free_port(), work / "nginx.conf"
    paths = "".join(f"{name}_temp_path {work}/nginx-{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    # As root it would give its workers to a user who may not read our directory.
    user = "user root;\n" if os.geteuid() == 0 else ""
    config.write_text(f"{user}daemon off;\npid {work}/nginx.pid;\nerror_log {work}/nginx.log;\nworker_processes auto;\n"
                      f"events {{}}\nhttp {{\n{paths}access_log off;\nsendfile on;\ntcp_nopush on;\n"
                      f"server {{ listen 127.0.0.1:{port}; root {work}/www; }}\n}}\n")
    process = subprocess.Popen([tools["nginx"], "-p", work, "-c", config, "-e", work / "nginx.log"], stdin=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.send_signal, signal.SIGQUIT)
    answers(f"http://127.0.0.1:{port}/")
    return f"http://127.0.0.1:{port}", process.pid


def rounds(programs, measure):
    """Lets the programs take turns; each one's medians, a list of as many figures as `measure` gives."""
    results = {name: [] for name in programs}
    for _ in range(options.rounds):
        for name, program in programs.items():
            results[name].append(measure(program))
    return {name: [statistics.median(column) for column in zip(*runs)] for name, runs in results.items()}


def timed(service, command):
    """Wall seconds of a command and CPU seconds of the service meanwhile."""
    used, begun = service.cpu(), time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wall = time.perf_counter() - begun
    if done.returncode != 0:
        raise SystemExit(f"benches/service.py: {command[0]}: {done.stderr.decode()}")
    return wall, service.cpu() - used


def rate(service, url):
    """Requests that are answered in a second, and CPU seconds of the service for a thousand."""
    used = service.cpu()
    command = [tools["wrk"], "-t1", "-c8", f"-d{options.seconds}s", "-H", f"X-Auth-Token: {service.token}", url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in text:
        raise SystemExit(f"benches/service.py: {url} fails under load:\n{text}")
    count = int(re.search(r"(\d+) requests in", text)[1])
    if count == 0:
        raise SystemExit(f"benches/service.py: no answer from {url} in {options.seconds} s: --seconds is too few")
    return float(re.search(r"Requests/sec:\s*([\d.]+)", text)[1]), (service.cpu() - used) / count * 1000


def together(commands):
    """Runs all commands at once."""
    running = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) for command in commands]
    for process in running:
        error = process.communicate()[1]
        if process.returncode != 0:
            raise SystemExit(f"benches/service.py: {process.args[0]}: {error.decode()}")


def memory(service, work):
    """Peak MiB with 50 uploads, then 50 downloads, then 25 of each at once."""
    small = work / "small.raw"
    small.write_bytes(os.urandom(1 << 20) * 64)
    images = [service.queued() for _ in range(75)]
    together([service.up(small, image) for image in images[:50]])
    uploads = service.peak()
    together([service.down(image) for image in images[:50]])
    downloads = service.peak()
    together([service.up(small, image) for image in images[50:]] + [service.down(image) for image in images[:25]])
    for image in images:
        service.api("DELETE", image)
    return uploads, downloads, service.peak()


def grow(service, registry, count):
    """Fills the registry up to so many images: a third public, a third of the project's own, a third not for it.

    Not by requests, which is what is measured elsewhere: the registry is an SQLite file.
    """
    with contextlib.closing(sqlite3.connect(registry, timeout=60)) as connection, connection:
        there = connection.execute("SELECT count(*) FROM images WHERE deleted_at IS NULL").fetchone()[0]
        kinds = [("public", "somebody"), ("shared", service.project), ("private", "somebody")]
        connection.executemany(
            "INSERT INTO images (id, status, name, visibility, owner, disk_format, container_format, min_disk, min_ram, "
            "protected, os_hidden, created_at, updated_at) VALUES (?, 'queued', ?, ?, ?, 'raw', 'bare', 0, 0, 0, 0, ?, ?)",
            ((str(uuid.uuid4()), f"image-{number:06}", *kinds[number % 3], 10**15 + number, 10**15 + number)
             for number in range(there, count)))


def walk(service, query):
    """Follows `next` through the whole list: images seen, and seconds of each page."""
    place = urllib.parse.urlsplit(service.url)
    connection = http.client.HTTPConnection(place.hostname, place.port)
    target, seen, pages = f"/v2/images?limit=100{query}", set(), []
    while target:
        begun = time.perf_counter()
        connection.request("GET", target, headers={"X-Auth-Token": service.token})
        body = connection.getresponse().read()
        pages.append(time.perf_counter() - begun)
        page = json.loads(body)
        seen.update(image["id"] for image in page["images"])
        target = page.get("next")
    connection.close()
    return len(seen), pages


def same(service, image, work, expected):
    """Whether an image is what was sent: a fast wrong answer is none."""
    target = work / "back.raw"
    timed(service, service.down(image, target))
    with open(target, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    target.unlink()
    if found != expected:
        raise SystemExit(f"benches/service.py: {image} came back changed")


failed = []


def met(holds, what):
    if not holds:
        failed.append(what)
    return "yes" if holds else "**no**"


def main():
    # What was started is stopped, also when we are.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as stack:
        work = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rimg-bench-")))
        (work / "www").mkdir()
        data = work / "www/data.raw"
        digest = hashlib.sha256()
        with open(data, "wb") as file:
            for _ in range(options.mib):
                piece = os.urandom(1 << 20)
                digest.update(piece)
                file.write(piece)
        entry = (cloud / "clouds.yaml").read_text().split("  devstack:")[1]
        glance = Service(entry.split("auth_url:")[1].split()[0], int((cloud / "state/glance.pid").read_text()))
        serve = start_rimg(stack, work)
        files, nginx_pid = start_nginx(stack, work)
        services = {"Glance": glance, "rimg serve": serve}

        print("| memory of `rimg serve` after | peak MiB | target | met |\n| --- | --- | --- | --- |")
        print(f"| the start | {serve.peak():.0f} | | |", flush=True)
        for what, peak in zip(("50 uploads at once", "50 downloads at once", "25 of each at once"), memory(serve, work)):
            print(f"| {what}, 64 MiB each | {peak:.0f} | < 64 | {met(peak < 64, what)} |", flush=True)

        print(f"\n| {options.mib} MiB | service | wall s | MB/s | CPU s | ratio | target | met |"
              "\n| --- | --- | --- | --- | --- | --- | --- | --- |")
        megabytes = options.mib * 1.048576
        kept = {}

        def upload(name):
            if name in kept:
                services[name].api("DELETE", kept[name])
            kept[name] = services[name].queued()
            return timed(services[name], services[name].up(data, kept[name]))

        def lines(what, results, name, ratio, target, holds):
            for service, (wall, cpu) in results.items():
                last = f"{ratio:.2f} | {target} | {met(holds, what)}" if service == name else " | | "
                print(f"| {what} | {service} | {wall:.2f} | {megabytes / wall:.0f} | {cpu:.2f} | {last} |", flush=True)

        results = rounds({name: name for name in services}, upload)
        ratio = results["Glance"][0] / results["rimg serve"][0]
        lines("upload", results, "rimg serve", ratio, "Glance / rimg >= 2.5", ratio >= 2.5)
        for name, image in kept.items():
            same(services[name], image, work, digest.hexdigest())

        nginx = Service.__new__(Service)
        nginx.pid, nginx.token = nginx_pid, "none"
        downloads = {name: (service, service.down(kept[name])) for name, service in services.items()}
        downloads["nginx"] = (nginx, nginx.curl("-o", os.devnull, f"{files}/data.raw"))
        results = rounds(downloads, lambda each: timed(*each))
        ratio = results["rimg serve"][0] / results["nginx"][0]
        lines("download", results, "rimg serve", ratio, "rimg / nginx <= 1.3", ratio <= 1.3)

        print("\n| small requests, 8 connections | service | requests/s | CPU ms each | ratio | target | met |"
              "\n| --- | --- | --- | --- | --- | --- | --- |")
        drafts = {name: [service.queued() for _ in range(30)] for name, service in services.items()}
        for what in ("show", "list of 25"):
            urls = {name: (service, drafts[name][0] if what == "show" else f"{service.url}/v2/images?limit=25")
                    for name, service in services.items()}
            results = rounds(urls, lambda each: rate(*each))
            ratio = results["rimg serve"][0] / results["Glance"][0]
            for name, (speed, cpu) in results.items():
                last = f"{ratio:.0f} | rimg / Glance >= 30 | {met(ratio >= 30, what)}" if name == "rimg serve" else " | | "
                print(f"| {what} | {name} | {speed:.0f} | {cpu:.2f} | {last} |", flush=True)
        for name, images in drafts.items():
            for image in [*images, kept[name]]:
                services[name].api("DELETE", image)

        print("\n| images in the registry | pages of 100 | s | ms a page | last tenth / first tenth | list of 25, requests/s |"
              " target | met |\n| --- | --- | --- | --- | --- | --- | --- | --- |")
        base = {}
        for count, (order, query) in itertools.product((1_000, 10_000, options.most),
                                                       (("newest first", ""), ("by name", "&sort=name:asc"))):
            grow(serve, work / "data/registry.sqlite", count)
            walks = [walk(serve, query) for _ in range(options.rounds)]
            seen, pages = min(walks, key=lambda each: sum(each[1]))
            if seen != sum(1 for number in range(count) if number % 3 < 2):
                raise SystemExit(f"benches/service.py: {seen} images on the pages of a list of {count}")
            tenth = max(1, len(pages) // 10)
            each, slope = statistics.median(pages), statistics.median(pages[-tenth:]) / statistics.median(pages[:tenth])
            speed = rate(serve, f"{serve.url}/v2/images?limit=25{query}")[0]
            first = base.setdefault(order, (each, speed))
            holds = each <= 1.5 * first[0] and speed >= first[1] / 1.5 and slope <= 1.5
            print(f"| {count}, {order} | {len(pages)} | {sum(pages):.2f} | {each * 1000:.2f} | {slope:.2f} | {speed:.0f} |"
                  f" as with 1000, within 1.5 | {met(holds, f'{count} images {order}')} |", flush=True)
        print(f"\nPeak memory of `rimg serve` over the whole run: {serve.peak():.0f} MiB.")
    if failed:
        raise SystemExit(f"missed: {', '.join(failed)}")


main()
