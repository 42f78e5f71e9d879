#!/usr/bin/env python3
"""Compares `rimg image list` with `openstack` over many images.

usage: benches/lists.py DIR RIMG [--images 10000] [--rounds 3]

DIR is a running cloud of tests/cloud/up, RIMG a release build. The images are
written straight into the database of DIR's Glance, and into the registry of a
`rimg serve` that is started for the run; those of Glance are deleted again.
On each service the programs take turns; each figure is the median of the
rounds. Prints a table for the README. Only loopback is used. Read figures as
ratios: the services share the machine.
"""

import argparse
import contextlib
import datetime
import os
import pathlib
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import uuid

from measure import beside, measure, sign_in

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("dir", type=pathlib.Path)
parser.add_argument("rimg", type=pathlib.Path)
parser.add_argument("--images", type=int, default=10_000)
parser.add_argument("--rounds", type=int, default=3)
options = parser.parse_args()
cloud, rimg = options.dir.resolve(), str(options.rimg.resolve())
openstack = str(cloud / "venv-clients/bin/openstack")
clean = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "RIMG_"))}
SERVE = {"region": "RegionOne", "projects": [{"name": "demo"}], "users": [
    {"name": "demo", "password": "secret", "roles": [{"project": "demo", "roles": ["member"]}]}]}


def fill(database, project, moment):
    """Adds the images; answers with the way to take them away again."""
    tag = f"list-{uuid.uuid4().hex[:8]}"
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        deleted = ", deleted" if "deleted" in [row[1] for row in connection.execute("PRAGMA table_info(images)")] else ""
        connection.executemany(
            "INSERT INTO images (id, status, name, visibility, owner, disk_format, container_format, min_disk, min_ram, "
            f"protected, os_hidden, created_at, updated_at{deleted}) "
            f"VALUES (?, 'active', ?, 'shared', ?, 'raw', 'bare', 0, 0, 0, 0, ?, ?{', 0' if deleted else ''})",
            ((str(uuid.uuid4()), f"{tag}-{number:06}", project, moment(number), moment(number))
             for number in range(options.images)))

    def empty():
        with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection, connection:
            connection.execute("DELETE FROM images WHERE name LIKE ?", (f"{tag}-%",))

    return empty


def serve(stack, work):
    """Starts `rimg serve`: its clouds.yaml."""
    process, written = beside.serve(rimg, work, SERVE, "-q", stdout=subprocess.DEVNULL, env=clean | {"HOME": str(work)})
    stack.callback(process.wait)
    stack.callback(process.terminate)
    clouds = work / "clouds.yaml"
    clouds.write_text(f"clouds:\n  devstack:\n    region_name: RegionOne\n    auth:\n      auth_url: {beside.auth_url(written)}\n"
                      "      username: demo\n      password: secret\n      project_name: demo\n"
                      "      user_domain_id: default\n      project_domain_id: default\n")
    return clouds


def day(number):
    return (datetime.datetime(2001, 1, 1) + datetime.timedelta(seconds=number)).isoformat(" ") + ".000000"


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as stack:
        work = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rimg-bench-")))
        services = {"Glance": (cloud / "clouds.yaml", cloud / "state/glance.sqlite", day),
                    "rimg serve": (serve(stack, work), work / "data/registry.sqlite", lambda number: 10**15 + number)}
        for clouds, database, moment in services.values():
            stack.callback(fill(database, sign_in(clouds)[2], moment))
        print(f"| {options.images} images | service | program | wall s | CPU s | peak MiB | wall, rimg = 1 |"
              "\n| --- | --- | --- | --- | --- | --- | --- |")
        for service, (clouds, _, _) in services.items():
            environment = clean | {"OS_CLIENT_CONFIG_FILE": str(clouds), "OS_CLOUD": "devstack", "HOME": str(work)}
            # Each run signs in, as openstack does.
            environment["RIMG_TOKEN_CACHE"] = "0"
            for form in ["value", "json", "table"]:
                line, results = ["image", "list", "-f", form], {"rimg": [], "openstack": []}
                for _ in range(options.rounds):
                    for program, path in (("rimg", rimg), ("openstack", openstack)):
                        results[program].append(measure([path, *line], environment, work))
                base = statistics.median(wall for wall, _, _ in results["rimg"])
                for program, runs in results.items():
                    wall, cpu, peak = (statistics.median(column) for column in zip(*runs))
                    print(f"| `image list -f {form}` | {service} | {program} | {wall:.3f} | {cpu:.3f} | {peak:.0f} |"
                          f" {wall / base:.1f} |", flush=True)


main()
