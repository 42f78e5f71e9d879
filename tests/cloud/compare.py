#!/usr/bin/env python3
"""Compares `rimg image list` and `show` with `openstack`, byte by byte.

usage: tests/cloud/compare-list.py DIR RIMG

DIR is a running cloud of tests/cloud/up, RIMG the program to compare. Makes
images of many kinds with `openstack`, runs both programs with the same
arguments, prints every difference, deletes the images. Fails on any byte of
standard output, or an exit code, that differs.
"""

import atexit
import difflib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid

if len(sys.argv) != 3:
    sys.exit(__doc__.split("\n\n")[1])
cloud = pathlib.Path(sys.argv[1]).resolve()
rimg = sys.argv[2] if "/" not in sys.argv[2] else os.path.abspath(sys.argv[2])
if "COMPARE_HOME" not in os.environ:
    # Again with the Python of the clients, and nothing in the environment that steers them.
    home = tempfile.mkdtemp(prefix="rimg-compare-")
    clean = {name: value for name, value in os.environ.items()
             if not name.startswith("OS_") and not name.lower().endswith("_proxy")}
    clean |= {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home, "COMPARE_HOME": home,
              "OS_CLIENT_CONFIG_FILE": str(cloud / "clouds.yaml"), "LANG": "C.UTF-8", "TZ": "UTC"}
    python = str(cloud / "venv-clients/bin/python")
    os.execve(python, [python, __file__, str(cloud), rimg], clean)

import openstackclient.image.v2.image  # noqa: E402,F401 (imported once, not in each fork)
import openstackclient.shell  # noqa: E402

work = os.environ["COMPARE_HOME"]
atexit.register(shutil.rmtree, work)
tag = uuid.uuid4().hex[:8]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that images are deleted then, too


class Openstack:
    """One run of `openstack`, in a fork: most of its time would go into imports."""

    def __init__(self, arguments, user):
        self.output = [tempfile.TemporaryFile(dir=work) for _ in range(2)]
        sys.stdout.flush()
        self.process = os.fork()
        if self.process == 0:
            code = 70
            try:
                os.close(0)  # `image create` would take /dev/null for image data
                sys.stdin = None
                os.dup2(self.output[0].fileno(), 1)
                os.dup2(self.output[1].fileno(), 2)
                os.chdir(work)
                os.environ["OS_CLOUD"] = user
                code = openstackclient.shell.main(arguments)
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


def prepare(*arguments, user="devstack"):
    code, output, error = Openstack(list(arguments), user).wait()
    if code:
        sys.exit(f"cannot prepare: openstack {' '.join(arguments)}: {error.decode()}")
    return output.decode().strip()


made = []


def image(name, *options):
    made.append(prepare("image", "create", "--tag", tag, *options, f"{name} {tag}", "-f", "value", "-c", "id"))
    return made[-1]


def prepare_images():
    data = pathlib.Path(work, "data")
    data.write_bytes(b"some data\n" * 1000)
    iso = pathlib.Path(work, "iso")
    iso.write_bytes(bytes(32769) + b"CD001" + bytes(4096))
    image("plain", "--file", str(data))
    image("tags and properties", "--file", str(data), "--tag", "zeta", "--tag", "alpha", "--property", "hw_cpu_cores=2",
          "--property", "hw_boot_menu=true", "--property", "os_distro=debian", "--property", "spaced=a b  c",
          "--property", "empty=", "--property", "looks_like=[1, 'x']", "--min-disk", "3", "--min-ram", "512")
    image("iso", "--file", str(iso), "--disk-format", "iso", "--container-format", "ovf", "--protected")
    image("grüße 日本語", "--file", str(data), "--property", "größe=ß", "--community")
    image("quotes ' \" , ; $(x) \\ and\nnewline\ttab", "--file", str(data), "--private",
          "--property", "quoted='\"", "--property", "lines=a\nb")
    image("queued")
    hidden = image("hidden", "--file", str(data))
    prepare("image", "set", "--hidden", hidden)
    shared = image("shared", "--file", str(data))
    other = prepare("project", "show", "other", "-f", "value", "-c", "id", user="devstack-admin")
    prepare("image", "add", "project", shared, other)
    prepare("image", "set", "--accept", shared, user="devstack-other")
    deactivated = image("deactivated", "--file", str(data))
    prepare("image", "set", "--deactivate", deactivated)


def cases():
    """Pairs of a cloud and arguments."""
    for form in ("json", "csv", "value", "yaml", "table"):
        for options in ([], ["--long"], ["-c", "Name", "-c", "ID"], ["--long", "-c", "size", "-c", "tags", "-c", "name"]):
            yield "devstack", ["image", "list", "-f", form, *options]
        yield "devstack", ["image", "list", "-f", form, "--name", "there is none"]
    for options in (["--hidden"], ["--community"], ["--private"], ["--shared"], ["--public"], ["--all"],
                    ["--status", "queued"], ["--tag", tag, "--tag", "alpha"], ["--limit", "3"], ["--max-items", "2"],
                    ["--sort", "name:desc"], ["--name", f"plain {tag}"], ["--property", "os_distro=debian"],
                    ["--noindent"], ["--sort-column", "Status", "--sort-column", "Name"], ["-c", "nosuch"]):
        yield "devstack", ["image", "list", "--long", "-f", "json", *options]
    for quote in ("all", "minimal", "none", "nonnumeric"):
        yield "devstack", ["image", "list", "--long", "-f", "csv", "--quote", quote, "--name", f"plain {tag}"]
    yield "devstack-other", ["image", "list", "--long", "-f", "json", "--shared"]
    yield "devstack-other", ["image", "list", "--member-status", "all", "-f", "json"]
    yield "devstack-admin", ["image", "list", "--long", "-f", "csv"]
    for one in made:
        for form in ("json", "value", "yaml", "table"):
            yield "devstack", ["image", "show", one, "-f", form]
    yield "devstack", ["image", "show", f"plain {tag}", "-f", "shell"]
    yield "devstack", ["image", "show", f"plain {tag}", "-f", "json", "--noindent", "-c", "name", "-c", "size"]
    yield "devstack", ["image", "show", f"grüße 日本語 {tag}", "-f", "json", "--human-readable"]
    yield "devstack", ["image", "show", f"there is no {tag}", "-f", "json"]


def differs(user, arguments):
    """The difference as text, or nothing."""
    openstack = Openstack(arguments, user)
    mine = subprocess.run([rimg, *arguments], stdin=subprocess.DEVNULL, capture_output=True, cwd=work, timeout=60,
                          env={**os.environ, "OS_CLOUD": user})
    code, output, _ = openstack.wait()
    if (code, output) == (mine.returncode, mine.stdout):
        return None
    lines = [text.decode(errors="backslashreplace").splitlines(keepends=True) for text in (output, mine.stdout)]
    diff = "".join(f"  {line!r}\n" for line in difflib.unified_diff(*lines, "openstack", "rimg", n=0))
    ends = f"  exit code {code} and {mine.returncode}; rimg's standard error: {mine.stderr.decode()!r}\n"
    return f"differs on {user}: {arguments}\n{ends}{diff}"


failed = count = 0
try:
    prepare_images()
    for user, arguments in cases():
        count += 1
        difference = differs(user, arguments)
        if difference:
            failed += 1
            print(difference)
finally:
    Openstack(["image", "set", "--unprotected", f"iso {tag}"], "devstack").wait()
    for one in made:
        code, _, error = Openstack(["image", "delete", one], "devstack").wait()
        if code:
            failed += 1
            print(f"cannot delete {one}: {error.decode()}")
print(f"compare-list: {count - failed} of {count} as openstack" if failed else f"compare-list: all {count} as openstack")
sys.exit(1 if failed or not count else 0)
