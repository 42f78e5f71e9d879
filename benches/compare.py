#!/usr/bin/env python3
"""Compares rimg with curl, `openstack` and `glance`, all in one run.

usage: benches/compare.py [--dir DIR] [--rimg RIMG] [--gib 1 ...] [--rounds 3]
                          [--only GROUP ...] [--svg FILE]

Without --rimg the release is built; without --dir, or where the cloud in DIR
does not run, a Keystone and Glance are started there by tests/cloud/up, and
stopped at the end. The groups:

  start     start-up, help, completion of a word
  commands  list and show on Glance, with rimg's token cache cold and warm
  glance    an image of 1 GiB to Glance and back
  wire      images of --gib GiB to and from benches/endpoint.py, which is faster
            than any client, so that the client is what is measured; with the
            digest alone for comparison
  limited   1 GiB from the endpoint at 50 MB/s for each connection

The programs take turns; each figure is the median of the rounds. Prints a table
for the README: wall seconds, CPU seconds (for transfers also of each GB), MiB
of peak memory; --svg draws it. Only loopback is used. Read figures as ratios:
the services share the machine.
"""

import argparse
import hashlib
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import uuid
from xml.sax.saxutils import escape

from measure import api, beside, measure, sign_in

project = pathlib.Path(__file__).resolve().parent.parent
GROUPS = ["start", "commands", "glance", "wire", "limited"]
parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--dir", type=pathlib.Path, default=project / "target/bench-cloud")
parser.add_argument("--rimg", type=pathlib.Path)
parser.add_argument("--gib", type=int, nargs="+", default=[1])
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--only", choices=GROUPS, nargs="+", default=GROUPS)
parser.add_argument("--svg", type=pathlib.Path)
options = parser.parse_args()
clean = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "RIMG_"))}


def prepare():
    """The programs, and whether the cloud has to be stopped again."""
    if options.rimg is None:
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=project, check=True)
        options.rimg = project / "target/release/rimg"
    if "wire" in options.only:
        subprocess.run(["cargo", "build", "--release", "--quiet", "--example", "digest"], cwd=project, check=True)
    pids = [options.dir / f"state/{name}.pid" for name in ("keystone", "glance")]
    runs = all(pid.exists() and pathlib.Path(f"/proc/{pid.read_text().strip()}").exists() for pid in pids)
    if not runs:
        # `glance` sends chunks of 1 MiB, which uWSGI refuses unless it is told otherwise.
        ours = {"KEYSTONE_PORT": "15002", "GLANCE_PORT": "19294", "UWSGI_EXTRA": "--chunked-input-limit 16777216"}
        subprocess.run([project / "tests/cloud/up", options.dir], check=True, env=clean | ours, stdout=sys.stderr)
    return str(options.rimg.resolve()), not runs


rimg, ours = prepare()
cloud = options.dir.resolve()
openstack, glance = (str(cloud / f"venv-clients/bin/{name}") for name in ("openstack", "glance"))
work = pathlib.Path(tempfile.mkdtemp(prefix="rimg-bench-", dir=project / "target"))
on_glance = clean | {"OS_CLIENT_CONFIG_FILE": str(cloud / "clouds.yaml"), "OS_CLOUD": "devstack", "HOME": str(work)}

for_glance = clean | {"HOME": str(work), "OS_AUTH_URL": beside.auth_url(cloud / "clouds.yaml"), "OS_USERNAME": "demo", "OS_PASSWORD": "secret",
                      "OS_PROJECT_NAME": "demo", "OS_USER_DOMAIN_ID": "default", "OS_PROJECT_DOMAIN_ID": "default"}


def make(gib):
    """A file of random data without holes, and its SHA-512 and MD5."""
    path, sums, block = work / f"{gib}.raw", (hashlib.sha512(), hashlib.md5()), os.urandom(1 << 20)
    with open(path, "wb") as file:
        for number in range(gib << 10):
            piece = number.to_bytes(8, "big") + block[8:]
            file.write(piece)
            for digest in sums:
                digest.update(piece)
    return path, *(digest.hexdigest() for digest in sums)


def start():
    completing = clean | {"RIMG_COMPLETE": "bash", "_CLAP_COMPLETE_INDEX": "2", "HOME": str(work)}
    yield "`--version`", None, {
        "rimg": lambda: [rimg, "--version"], "openstack": lambda: [openstack, "--version"], "glance": lambda: [glance, "--version"]}
    yield "`image create --help`", None, {
        "rimg": lambda: [rimg, "image", "create", "--help"], "openstack": lambda: [openstack, "image", "create", "--help"]}
    yield "completing `image cre`", None, {"rimg": lambda: ([rimg, "--", "rimg", "image", "cre"], completing)}


def commands():
    token, url, _ = sign_in(cloud / "clouds.yaml")
    draft = {"name": f"bench-{uuid.uuid4().hex[:8]}", "disk_format": "raw", "container_format": "bare"}
    image = api("POST", f"{url}/v2/images", token, draft)[1]["id"]
    for words, theirs in ((["image", "list"], ["image-list"]), (["image", "show", image], ["image-show", image])):
        yield f"`{' '.join(words[:2])}`", None, {
            "rimg, cold": lambda words=words: [rimg, "--no-token-cache", *words],
            "rimg": lambda words=words: [rimg, *words],
            "openstack": lambda words=words: [openstack, *words],
            "glance": lambda theirs=theirs: ([glance, *theirs], for_glance),
            "curl": lambda words=words: ["curl", "-sSf", "-H", f"X-Auth-Token: {token}",
                                         f"{url}/v2/images{'/' + image if words[1] == 'show' else '?limit=1000'}"]}
    api("DELETE", f"{url}/v2/images/{image}", token)


def on_the_cloud():
    token, url, _ = sign_in(cloud / "clouds.yaml")
    data, _, _ = make(1)
    name = f"bench-{uuid.uuid4().hex[:8]}"
    draft = {"name": name, "disk_format": "raw", "container_format": "bare"}

    def put():
        image = api("POST", f"{url}/v2/images", token, draft)[1]["id"]
        return ["curl", "-sSf", "-o", "/dev/null", "-T", str(data), "-H", f"X-Auth-Token: {token}",
                "-H", "Content-Type: application/octet-stream", "-H", "Expect:", f"{url}/v2/images/{image}/file"]

    def images():
        return [image["id"] for image in api("GET", f"{url}/v2/images?name={name}&limit=1000", token)[1]["images"]]

    create = ["image", "create", name, "--disk-format", "raw", "--file", str(data)]
    theirs = ["image-create", "--name", name, "--disk-format", "raw", "--container-format", "bare", "--file", str(data)]
    yield "create, 1 GiB, on Glance", 1, {
        "rimg": lambda: [rimg, *create], "curl": put,
        "openstack": lambda: [openstack, *create], "glance": lambda: ([glance, *theirs], for_glance)}
    kept, *others = images()
    for image in others:
        api("DELETE", f"{url}/v2/images/{image}", token)
    yield "save, 1 GiB, from Glance", 1, saves(kept, f"{url}/v2/images/{kept}/file", [], ["-H", f"X-Auth-Token: {token}"])
    api("DELETE", f"{url}/v2/images/{kept}", token)
    data.unlink()


def saves(image, url, none, header):
    target = str(work / "back.raw")
    # Each begins without the file of the one before.
    def fresh(command):
        pathlib.Path(target).unlink(missing_ok=True)
        return command
    return {
        "rimg": lambda: fresh([rimg, *none, "image", "save", image, "--file", target]),
        "rimg --no-verify": lambda: fresh([rimg, *none, "image", "save", image, "--no-verify", "--file", target]),
        "curl": lambda: fresh(["curl", "-sSf", "-o", target, *header, url]),
        "openstack": lambda: fresh([openstack, *none, "image", "save", image, "--file", target]),
        # `glance` wants more of Glance than the endpoint has.
        } | ({} if none else {"glance": lambda: (fresh([glance, "image-download", "--file", target, image]), for_glance)})


def endpoint(data, sha512, md5, limit=0):
    """Starts the endpoint; its process and its address."""
    command = [sys.executable, str(project / "benches/endpoint.py"), str(data), sha512, md5, str(limit)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return process, f"http://127.0.0.1:{int(process.stdout.readline())}"


def wire():
    for gib in options.gib:
        data, sha512, md5 = make(gib)
        process, url = endpoint(data, sha512, md5)
        none = ["--os-auth-type", "none", "--os-endpoint", url]
        create = ["image", "create", "bench", "--disk-format", "raw", "--file", str(data)]
        yield f"create, {gib} GiB, to the fast endpoint", gib, {
            "rimg": lambda: [rimg, *none, *create],
            "rimg --no-verify": lambda: [rimg, *none, *create, "--no-verify"],
            "curl": lambda: ["curl", "-sSf", "-o", "/dev/null", "-T", str(data), "-H", "Expect:", f"{url}/v2/images/1/file"],
            "openstack": lambda: [openstack, *none, *create],
            "SHA-512 alone, of rimg": lambda: [str(project / "target/release/examples/digest"), str(data)],
            "SHA-512 alone, of OpenSSL": lambda: ["openssl", "dgst", "-sha512", str(data)]}
        yield f"save, {gib} GiB, from the fast endpoint", gib, saves("6d09a3a0-0f5a-4c57-9a1c-9d8c58f2a3b1", f"{url}/v2/images/1/file", none, [])
        process.stdin.close()
        data.unlink()


def limited():
    data, sha512, md5 = make(1)
    process, url = endpoint(data, sha512, md5, 50_000_000)
    none, target = ["--os-auth-type", "none", "--os-endpoint", url], str(work / "back.raw")
    save = [rimg, *none, "image", "save", "fast", "--file", target]
    yield "save, 1 GiB, 50 MB/s a connection", 1, {
        "rimg --jobs 4": lambda: [*save, "--jobs", "4"], "rimg": lambda: save,
        "curl": lambda: ["curl", "-sSf", "-o", target, f"{url}/v2/images/1/file"]}
    process.stdin.close()


def draw(results):
    """The wall times as bars, those of one work side by side."""
    width, left, line, lines, y = 760, 300, 18, [], 34
    for name, gib, programs in results:
        lines.append(f'<text x="8" y="{y}" class="work">{escape(name.replace("`", ""))}</text>')
        y += 8
        longest = max(wall for wall, _, _ in programs.values())
        for program, (wall, _, _) in programs.items():
            length = max(1, wall / longest * (width - left - 90))
            kind = "ours" if program.startswith("rimg") else "theirs"
            lines.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(program)}</text>'
                         f'<rect x="{left}" y="{y + 2}" width="{length:.1f}" height="{line - 5}" class="{kind}"/>'
                         f'<text x="{left + length + 6:.1f}" y="{y + 13}">{seconds(wall)} s</text>')
            y += line
        y += 26
    style = ("text{font:12px sans-serif;fill:#24292f}.work{font-weight:bold}.ours{fill:#0a7f5a}.theirs{fill:#9aa4af}"
             "@media(prefers-color-scheme:dark){text{fill:#e6edf3}}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y - 14}" role="img" '
            f'aria-label="wall time of rimg and others"><style>{style}</style>\n' + "\n".join(lines) + "\n</svg>\n")


def seconds(value):
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def turns(group, gib, programs):
    """The median of each program's runs. Small commands have a round before that does not count."""
    runs = {program: [] for program in programs}
    environment = on_glance if group in ("commands", "glance") else clean | {"HOME": str(work)}
    for _ in range(options.rounds + (gib is None)):
        for program, command in programs.items():
            command = command()
            command, own = command if isinstance(command, tuple) else (command, environment)
            runs[program].append(measure(command, own, work))
    return {program: [statistics.median(column) for column in zip(*taken[-options.rounds:])] for program, taken in runs.items()}


groups = {"start": start, "commands": commands, "glance": on_the_cloud, "wire": wire, "limited": limited}
results = []
try:
    print("| work | program | wall s | CPU s | CPU s a GB | peak MiB | wall, rimg = 1 |\n| --- | --- | --- | --- | --- | --- | --- |")
    for group in options.only:
        for name, gib, programs in groups[group]():
            results.append((name, gib, turns(group, gib, programs)))
            base = results[-1][2]["rimg"][0]
            for program, (wall, cpu, peak) in results[-1][2].items():
                each = f"{cpu / (gib * 1.073741824):.2f}" if gib else ""
                print(f"| {name} | {program} | {seconds(wall)} | {seconds(cpu)} | {each} | {peak:.0f} | {wall / base:.2f} |", flush=True)
    if options.svg:
        options.svg.write_text(draw(results))
finally:
    shutil.rmtree(work)
    if ours:
        subprocess.run([project / "tests/cloud/down", options.dir], check=True, stdout=sys.stderr)
