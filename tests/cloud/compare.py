#!/usr/bin/env python3
"""Compares what `rimg` shows with what `openstack` shows, byte by byte.

usage: tests/cloud/compare.py DIR RIMG [FILE ...]

DIR is a running cloud of tests/cloud/up, RIMG the program to compare. Makes
images of many kinds with `openstack`, runs both programs with the same
arguments, prints every difference, deletes the images. Fails on any byte of
standard output, or an exit code, that differs.

The lines come from FILE, or from all of compare/*.txt, one a line, split as a
shell would:

    USER WORD ...           compared, as this user (admin, demo, other)
    NAME = USER WORD ...    run by `openstack` alone, before all others; {NAME} is the first line it prints
    finally USER WORD ...   run by `openstack` alone, after all others

In a word {tag} stands for what every name of this run ends in, {data} for a
file, and {plain}, {rich}, … for the IDs of the images made (see prepare_images).
"""

import difflib
import os
import pathlib
import shlex
import subprocess
import sys
import uuid

import beside

if len(sys.argv) < 3:
    sys.exit(__doc__.split("\n\n")[1])
cloud = pathlib.Path(sys.argv[1]).resolve()
files = [pathlib.Path(file) for file in sys.argv[3:]] or sorted(pathlib.Path(__file__).parent.glob("compare/*.txt"))
rimg = sys.argv[2] if "/" not in sys.argv[2] else os.path.abspath(sys.argv[2])
work = beside.again(cloud, OS_CLIENT_CONFIG_FILE=str(cloud / "clouds.yaml"))
import openstackclient.image.v2.image  # noqa: E402,F401 (imported once, not in each fork)
import openstackclient.shell  # noqa: E402

tag = uuid.uuid4().hex[:8]


def openstack(arguments, user):
    """Starts `openstack`."""
    def run():
        os.close(0)  # `image create` would take /dev/null for image data
        sys.stdin = None
        os.chdir(work)
        os.environ["OS_CLOUD"] = user
        return openstackclient.shell.main(arguments)

    return beside.Fork(work, run)


def prepare(*arguments, user="devstack"):
    code, output, error = openstack(list(arguments), user).wait()
    if code:
        sys.exit(f"cannot prepare: openstack {' '.join(arguments)}: {error.decode()}")
    return output.decode().strip()


made = {}  # the ID of each image, by its name in the lines
known = {"tag": tag, "data": str(work / "data")}
USERS = {"admin": "devstack-admin", "demo": "devstack", "other": "devstack-other"}


def image(key, name, *options):
    made[key] = prepare("image", "create", "--tag", tag, *options, f"{name} {tag}", "-f", "value", "-c", "id")
    return made[key]


def prepare_images():
    data = work / "data"
    data.write_bytes(b"some data\n" * 1000)
    iso = work / "iso"
    iso.write_bytes(bytes(32769) + b"CD001" + bytes(4096))
    image("plain", "plain", "--file", str(data))
    image("rich", "tags and properties", "--file", str(data), "--tag", "zeta", "--tag", "alpha", "--property", "hw_cpu_cores=2",
          "--property", "hw_boot_menu=true", "--property", "os_distro=debian", "--property", "spaced=a b  c",
          "--property", "empty=", "--property", "looks_like=[1, 'x']", "--min-disk", "3", "--min-ram", "512")
    image("iso", "iso", "--file", str(iso), "--disk-format", "iso", "--container-format", "ovf", "--protected")
    image("unicode", "grüße 日本語", "--file", str(data), "--property", "größe=ß", "--community")
    image("quotes", "quotes ' \" , ; $(x) \\ and\nnewline\ttab", "--file", str(data), "--private",
          "--property", "quoted='\"", "--property", "lines=a\nb")
    image("queued", "queued")
    hidden = image("hidden", "hidden", "--file", str(data))
    prepare("image", "set", "--hidden", hidden)
    shared = image("shared", "shared", "--file", str(data))
    other = prepare("project", "show", "other", "-f", "value", "-c", "id", user="devstack-admin")
    prepare("image", "add", "project", shared, other)
    prepare("image", "set", "--accept", shared, user="devstack-other")
    deactivated = image("deactivated", "deactivated", "--file", str(data))
    prepare("image", "set", "--deactivate", deactivated)


def lines():
    """Every line that says something, with where it stands, split into words."""
    for file in files:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if words := shlex.split(line, comments=True):
                yield f"{file.name}:{number}", words


def filled(words):
    """A line's cloud and arguments."""
    user, *rest = (word.format_map(made | known) for word in words)
    return USERS[user], rest


def differs(user, arguments):
    """The difference as text, or nothing."""
    theirs = openstack(arguments, user)
    mine = subprocess.run([rimg, *arguments], stdin=subprocess.DEVNULL, capture_output=True, cwd=work, timeout=60,
                          env={**os.environ, "OS_CLOUD": user})
    code, output, _ = theirs.wait()
    if (code, output) == (mine.returncode, mine.stdout):
        return None
    lines = [text.decode(errors="backslashreplace").splitlines(keepends=True) for text in (output, mine.stdout)]
    diff = "".join(f"  {line!r}\n" for line in difflib.unified_diff(*lines, "openstack", "rimg", n=0))
    ends = f"  exit code {code} and {mine.returncode}; rimg's standard error: {mine.stderr.decode()!r}\n"
    return f"differs on {user}: {arguments}\n{ends}{diff}"


failed = count = 0
try:
    prepare_images()
    for _, words in lines():
        if words[1:2] == ["="]:
            user, arguments = filled(words[2:])
            known[words[0]] = prepare(*arguments, user=user).partition("\n")[0]
    for place, words in lines():
        if words[0] in USERS:
            count += 1
            difference = differs(*filled(words))
            if difference:
                failed += 1
                print(f"{place}: {difference}")
        elif words[0] != "finally" and words[1:2] != ["="]:
            sys.exit(f"{place}: neither a user nor `finally` nor `NAME =`")
finally:
    openstack(["image", "set", "--unprotected", f"iso {tag}"], "devstack").wait()
    clean = [("devstack", ["image", "delete", one]) for one in made.values()]
    for _, words in lines():
        try:
            clean += [filled(words[1:])] if words[0] == "finally" else []
        except KeyError:
            pass  # it never came to be
    for user, arguments in clean:
        code, _, error = openstack(arguments, user).wait()
        if code:
            failed += 1
            print(f"cannot clean up with {arguments}: {error.decode()}")
print(f"compare: {count - failed} of {count} as openstack" if failed else f"compare: all {count} as openstack")
sys.exit(1 if failed or not count else 0)
