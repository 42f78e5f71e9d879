#!/usr/bin/env python3
"""Compares rimg with `openstack` and curl on the same cloud, in one run.

usage: benches/compare.py DIR RIMG [--mib 1024] [--rounds 3]

DIR is a running cloud of tests/cloud/up, RIMG a release build. The programs
take turns; each figure is the median of the rounds. Prints a table for the
README: seconds of wall time, seconds of CPU, MiB of peak memory. Only
loopback is used. Read figures as ratios: the services share the machine.
"""

import argparse
import os
import pathlib
import statistics
import tempfile
import uuid

from measure import api, measure, sign_in

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("dir", type=pathlib.Path)
parser.add_argument("rimg", type=pathlib.Path)
parser.add_argument("--mib", type=int, default=1024)
parser.add_argument("--rounds", type=int, default=3)
options = parser.parse_args()
cloud, rimg = options.dir.resolve(), str(options.rimg.resolve())
openstack = str(cloud / "venv-clients/bin/openstack")
work = pathlib.Path(tempfile.mkdtemp(prefix="rimg-bench-"))
clean = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
environment = clean | {"OS_CLIENT_CONFIG_FILE": str(cloud / "clouds.yaml"), "OS_CLOUD": "devstack", "HOME": str(work)}


def rows():
    """Each row: its name, and a way for each program to do it once."""
    token, glance, _ = sign_in(cloud / "clouds.yaml")
    data = work / "data.raw"
    with open(data, "wb") as file:
        for _ in range(options.mib):
            file.write(os.urandom(1 << 20))
    name = f"bench-{uuid.uuid4().hex[:8]}"

    def queued():
        draft = {"name": name, "disk_format": "raw", "container_format": "bare"}
        return api("POST", f"{glance}/v2/images", token, draft)[1]["id"]

    def put():
        headers = ["-H", f"X-Auth-Token: {token}", "-H", "Content-Type: application/octet-stream", "-H", "Expect:"]
        return ["curl", "-sSf", "-o", "/dev/null", "-T", str(data), *headers, f"{glance}/v2/images/{queued()}/file"]

    create = ["image", "create", name, "--disk-format", "raw", "--file", str(data)]
    yield "`--version`", {"rimg": lambda: [rimg, "--version"], "openstack": lambda: [openstack, "--version"]}
    yield "`image list`", {"rimg": lambda: [rimg, "image", "list"], "openstack": lambda: [openstack, "image", "list"]}
    yield f"`image create`, {options.mib} MiB", {
        "rimg": lambda: [rimg, *create], "openstack": lambda: [openstack, *create], "curl": put}
    images = [image["id"] for image in api("GET", f"{glance}/v2/images?name={name}&limit=1000", token)[1]["images"]]
    saved, target = images[0], str(work / "back.raw")
    for image in images[1:]:
        api("DELETE", f"{glance}/v2/images/{image}", token)
    url = f"{glance}/v2/images/{saved}/file"
    yield f"`image save`, {options.mib} MiB", {
        "rimg": lambda: [rimg, "image", "save", saved, "--file", target],
        "openstack": lambda: [openstack, "image", "save", saved, "--file", target],
        "curl": lambda: ["curl", "-sSf", "-o", target, "-H", f"X-Auth-Token: {token}", url]}
    api("DELETE", f"{glance}/v2/images/{saved}", token)


print("| work | program | wall s | CPU s | peak MiB | wall, rimg = 1 |\n| --- | --- | --- | --- | --- | --- |")
for work_name, programs in rows():
    results = {program: [] for program in programs}
    for _ in range(options.rounds):
        for program, command in programs.items():
            results[program].append(measure(command(), environment, work))
    base = statistics.median(wall for wall, _, _ in results["rimg"])
    for program, runs in results.items():
        wall, cpu, peak = (statistics.median(column) for column in zip(*runs))
        print(f"| {work_name} | {program} | {wall:.3f} | {cpu:.3f} | {peak:.0f} | {wall / base:.1f} |", flush=True)
