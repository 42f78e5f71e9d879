"""What the comparisons share: runs that are measured, and a bare client of the services."""

import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "tests/cloud"))
import beside  # noqa: E402


def measure(command, environment, work):
    """Wall seconds, CPU seconds and peak MiB of one run in the directory `work`."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, cwd=work)
    peak, ended = 0, 0
    # `ru_maxrss` begins with the size of this program, which forks; the mark of
    # the process itself only grows, so the last look before the end is the peak.
    while not ended:
        try:
            lines = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
            peak = max([peak, *(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))])
        except OSError:
            pass
        time.sleep(0.001)
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
    wall = time.perf_counter() - begun
    if status != 0:
        raise SystemExit(f"{' '.join(command)}\n{process.stderr.read().decode()}")
    return wall, usage.ru_utime + usage.ru_stime, peak / 1024


def api(method, url, token=None, document=None):
    """One request to the services, for what curl needs around its transfer."""
    request = urllib.request.Request(url, method=method, data=json.dumps(document).encode() if document else None,
                                     headers={"Content-Type": "application/json", **({"X-Auth-Token": token} if token else {})})
    with urllib.request.urlopen(request) as answer:
        body = answer.read()
        return answer.headers, json.loads(body) if body else None


def sign_in(clouds):
    """A token of demo on the cloud of this clouds.yaml, where its Glance is, and the project's ID."""
    token, said = beside.sign_in(beside.auth_url(clouds), "demo")
    return token, beside.image_url(said), said["token"]["project"]["id"]
