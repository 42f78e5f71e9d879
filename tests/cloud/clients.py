#!/usr/bin/env python3
"""Compares `rimg serve` with Glance, as `openstack` and `glance` see them.

usage: tests/cloud/clients.py DIR RIMG [PATTERN]

DIR is a running cloud of tests/cloud/up, RIMG the program whose `serve` is
compared. Starts it, and a Glance with the configuration of the cloud's and
its Keystone, but empty and without image cache. Runs the same commands of
both clients, and some bare requests, as several users on both services and
prints each difference of exit code, standard output, error message or saved
file. Fails on any that is not in ACCEPTED. With PATTERN, a regular expression, only differences of
commands that match are printed (all are run). Nothing of it stays on the
cloud.
"""

import ast
import contextlib
import difflib
import hashlib
import http.client
import importlib
import json
import os
import pathlib
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.parse
import urllib.request
import uuid

import beside

if len(sys.argv) not in (3, 4):
    sys.exit(__doc__.split("\n\n")[1])
cloud = pathlib.Path(sys.argv[1]).resolve()
rimg = sys.argv[2] if "/" not in sys.argv[2] else os.path.abspath(sys.argv[2])
work = beside.again(cloud, COLUMNS="400")
import glanceclient.shell  # noqa: E402
import glanceclient.v2.shell  # noqa: E402,F401 (imported once, not in each fork)
import keystoneauth1.access  # noqa: E402
import keystoneauth1.identity.generic.base  # noqa: E402
import keystoneauth1.identity.v3.base  # noqa: E402
from keystoneauth1 import identity  # noqa: E402
import openstackclient.image.v2.image  # noqa: E402,F401
import openstackclient.shell  # noqa: E402
import yaml  # noqa: E402

terminal = os.openpty()
tag = uuid.uuid4().hex[:8]

# What may differ, and why: of commands that match the first expression, the lines that match the second.
ACCEPTED = [
    # The cloud has the project of its services, too.
    (r"project list", r"^service$"),
    # Why an import failed is no secret of the service.
    (r"task show \{task_web(missing|wrong)\}", r"^\| message \| (Task failed due to Internal Error"
     r"|the server answered 404 Not Found|Image disk_format qcow2 does not match stream data raw) \|$"),
    # An import that ended is no longer under way: Glance leaves its lock where the data was refused.
    (r"image show \{webwrong\}", r'^ "os_glance_import_task": "<task_webwrong>",$'),
    # How far an import is when the client asks: what shows it. What it ends as is compared after `@settled`.
    (r"image-create-via-import|image-import --import|image import .* -c status$",
     r"^\| ((status|size|virtual_size|checksum|os_hash_\w+|stores|os_glance_\w+) )?\| [^|]*\|$"),
    # A tag in a path is UTF-8; Glance takes it for Latin-1.
    (r'image-tag-update \{gstore\} "grüße x"', r"^\| <?[-\w]+>? \| \['\w{8}', 'gr.* x'\] \|$"),
    # A name of a choice that is no text: Glance fails (500) where it keeps it.
    (r'md-property-create .*"enum": \[1, 2\]', r"^HTTP (500 Internal Server Error: The server has either erred"
     r"|400 Bad Request: Invalid value for attribute &#x27;enum&#x27; of a property)"),
    # Glance loads documents that name no visibility with none at all, rimg as private: only admin sees either.
    (r"namespace.list.* private", r"OS::OperatingSystem|OS::Glance::CommonImageProperties"),
]

# One command a line: user, client, arguments. `{name}` is an image's ID (the same on both), a project's ID,
# or a name with this run's tag in it: see `words`. Lines that start with `@` are waits and captures.
COMMANDS = pathlib.Path(__file__).with_suffix(".txt")


class Place:
    """One of the two services."""

    def __init__(self, name, clouds, prefix, glance=None):
        self.name, self.clouds = name, clouds
        self.entries = {entry.removeprefix(prefix): (entry, value)
                        for entry, value in yaml.safe_load(clouds.read_text())["clouds"].items()}
        self.directory = work / name
        self.directory.mkdir()
        self.words = {}
        # Whether clients are given a token: Keystone takes most of the time for a new one.
        self.signed_in = False
        self.access = {user: self.sign_in(user, glance) for user in self.entries}
        self.glance = glance or self.access["admin"].service_catalog.url_for(service_type="image")
        self.auth_url = self.entries["admin"][1]["auth"]["auth_url"]

    def sign_in(self, user, glance):
        """Gets a token, without a client; with another Glance in its catalogue."""
        auth = self.entries[user][1]["auth"]
        token, said = beside.sign_in(auth["auth_url"], auth["username"], auth["project_name"], auth["password"])
        for service in said["token"]["catalog"] if glance else []:
            for endpoint in service["endpoints"] if service["type"] == "image" else []:
                endpoint["url"] = glance
        return keystoneauth1.access.create(body=said, auth_token=token)

    def get(self, url):
        request = urllib.request.Request(url, headers={"X-Auth-Token": self.access["admin"].auth_token})
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)

    def environment(self, user):
        """Just what the service wrote, as clouds.yaml and as an openrc."""
        name, entry = self.entries[user]
        variables = {"OS_CLIENT_CONFIG_FILE": str(self.clouds), "OS_CLOUD": name}
        openrc = {"OS_" + key.upper(): value for key, value in entry["auth"].items()}
        openrc |= {"OS_REGION_NAME": entry["region_name"],
                   "OS_IDENTITY_API_VERSION": str(entry["identity_api_version"])}
        return {"openstack": variables, "glance": openrc}

    def start(self, user, client, arguments, given):
        return Client(self, user, client, [self.said(word) for word in arguments], given)

    def said(self, text):
        return re.sub(r"\{(\w+)\}", lambda found: self.words.get(found[1], found[0]), text)

    def plain(self, text):
        """Output without what cannot be the same on two services."""
        try:
            # Neither tags nor properties have an order.
            text = json.dumps(sort_tags(json.loads(text)), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        except ValueError:
            pass
        # Nor have they in what is not JSON.
        text = re.sub(r"\[[\"'][^][]*[\"']\](?=\s)", lambda found: sorted_tags(found[0], self.words["tag"]), text)
        text = re.sub(r"(?<=^tags:\n)(- .*\n)+", lambda found: "".join(sorted(found[0].splitlines(True))), text,
                      flags=re.MULTILINE)
        for word, value in self.words.items():
            if word.startswith("task_"):
                text = text.replace(value, f"<{word}>")
        for user, access in self.access.items():
            text = text.replace(access.user_id, f"<user {user}>")
        if "data_dir" in text:
            # Where and in what pieces each keeps the data, however the client broke the lines.
            text = re.sub(r" +\|\n\| +\| ", " ", text)
            text = re.sub(r"""(data_dir["']?[:=] ?|chunk_size["']?[:=] ?)("[^"]*"|'[^']*'|\d+)""", r"\1<own>", text)
        text = re.sub(r"\{'os_hidden'.*\}", lambda found: ", ".join(sorted(found[0].strip("{}").split(", "))), text)
        text = text.replace(self.auth_url, "<identity>").replace(self.glance, "<glance>")
        text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?", r"<time>", text)
        text = re.sub(r"\breq-[-0-9a-f]{36}", "<request>", text)
        known = set(self.words.values())
        text = re.sub(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}",
                      lambda found: found[0] if found[0] in known else "<id>", text)
        text = re.sub(r"gAAAA[-\w=]+", "<token>", text)
        return re.sub(r" {2,}", " ", re.sub(r"-{4,}", "---", text))


def sort_tags(value):
    if isinstance(value, dict):
        return {key: sorted(one, key=str) if key.lower() == "tags" else sort_tags(one) for key, one in value.items()}
    return [sort_tags(one) for one in value] if isinstance(value, list) else value


def sorted_tags(text, tag):
    """A list with this run's tag in it, in an order."""
    if tag not in text:
        return text
    tags = ast.literal_eval(text)
    return str(sorted(tags)) if "'" in text else json.dumps(sorted(tags))


class Client(beside.Fork):
    """One run of a client on one of the services."""

    def __init__(self, place, user, client, arguments, given):
        def run():
            os.chdir(place.directory)
            # Both take anything but a terminal for image data.
            os.dup2(terminal[1] if given is None else os.open(given, os.O_RDONLY), 0)
            sys.stdin = open(0)
            os.environ.update(place.environment(user).get(client, {}))
            if place.signed_in:
                access = place.access[user]
                for plugin in (identity.generic.base.BaseGenericPlugin, identity.v3.base.Auth):
                    plugin.get_auth_ref = lambda *_, **__: access
            sys.argv = [client, *arguments]
            return {"openstack": lambda: openstackclient.shell.main(arguments),
                    "glance": glanceclient.shell.main,
                    "http": lambda: send(place, user, *arguments)}[client]()

        self.place = place
        super().__init__(work, run)

    def wait(self):
        """Exit code, standard output, standard error, digests of the files saved."""
        code, *texts = super().wait()
        out, error = (self.place.plain(text.decode(errors="backslashreplace")) for text in texts)
        files = []
        for file in sorted(self.place.directory.glob("out*")):
            files.append(f"{file.name}: {hashlib.sha256(file.read_bytes()).hexdigest()}\n")
            file.unlink()
        return f"exit code {code}\n", out, error, "".join(files)


def send(place, user, method, path, body=None, *headers):
    """Sends one request as it is and prints what comes back: clients show little of it."""
    connection = http.client.HTTPConnection(place.glance.removeprefix("http://"))
    connection.putrequest(method, urllib.parse.quote(path, safe="/?&=%:,"), skip_accept_encoding=True)
    connection.putheader("X-Auth-Token", place.access[user].auth_token)
    for header in headers:
        connection.putheader(*header.split(": "))
    if body:
        connection.putheader("Content-Length", str(len(body.encode())))
    connection.endheaders(body.encode() if body else None)
    reply = connection.getresponse()
    text = reply.read().decode()
    print(reply.status, reply.reason)
    for name in ("Content-Type", "Allow", "Location", "Accept-Patch", "X-OpenStack-Request-Id"):
        print(f"{name}: {reply.getheader(name)}")
    if reply.getheader("Content-Type") == "application/json":
        text = json.dumps(sort_tags(json.loads(text)), indent=1, sort_keys=True, ensure_ascii=False)
    print(text)


def import_all(place):
    """Imports what a run of each client does, once for all forks."""
    for client, arguments in (("openstack", ["image", "import", "info"]), ("glance", ["import-info"])):
        read, write = os.pipe()
        process = os.fork()
        if process == 0:
            try:
                os.environ.update(place.environment("admin")[client])
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                sys.argv = [client, *arguments]
                {"openstack": lambda: openstackclient.shell.main(arguments), "glance": glanceclient.shell.main}[client]()
            except SystemExit:
                pass
            finally:
                os.write(write, "\n".join(sys.modules).encode()[:60000])
                os._exit(0)
        os.waitpid(process, 0)
        for name in os.read(read, 65536).decode().split("\n"):
            if name != "__main__":
                try:
                    importlib.import_module(name)
                except Exception:  # made up by a library, or no longer whole: it is not needed here
                    pass


def serve(real):
    """Starts `rimg serve` with the users of the cloud, answers where its clouds.yaml is."""
    users = []
    for user in real.entries:
        grants = [{"project": user, "roles": ["admin"] if user == "admin" else ["member", "reader"]}]
        grants += [{"system": True, "roles": ["admin"]}] if user == "admin" else []
        users.append({"name": user, "password": "secret", "roles": grants})
    config = {
        "region": "RegionOne", "stores": [{"name": "fast"}, {"name": "slow"}], "users": users,
        # With the IDs of the cloud, so that those need no translation.
        "projects": [{"name": user, "id": real.words[user]} for user in real.entries],
        "web_download": {"hosts": ["127.0.0.1", "localhost"], "ports": []},
        "metadefs": str(cloud / "venv/etc/glance/metadefs"),
    }
    process, clouds = beside.serve(rimg, work, config, "-q")
    beside.at_end(lambda: (process.terminate(), process.wait()))
    return clouds


def glance():
    """Starts a Glance like that of the cloud, but as `rimg serve` is: with nothing in it, and without an image cache.
    Answers its URL."""
    port = beside.free_port()
    url, state = f"http://127.0.0.1:{port}", work / "state"
    for name in ("fast", "slow", "staging", "tasks", "etc"):
        (state / name).mkdir(parents=True)
    config = (cloud / "etc/glance/glance-api.conf").read_text().replace(str(cloud / "state"), str(state))
    for line, instead in ((r"image_cache_dir = .*", ""), (r"flavor = .*", "flavor = keystone"),
                          (r"worker_self_reference_url = .*", f"worker_self_reference_url = {url}")):
        config = re.sub(f"^{line}$", instead, config, flags=re.MULTILINE)
    (state / "etc/glance-api.conf").write_text(f"{config}[oslo_concurrency]\nlock_path = {state}\n")
    log = open(work / "glance.log", "wb")
    options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
    # An empty database takes time to make, and is then kept for other runs.
    empty, database = cloud / "state/glance-empty.sqlite", state / "glance.sqlite"
    if not empty.exists():
        # Files are loaded in the order of the directory; here, by name.
        manage = [cloud / "venv/bin/python", "-c", "import os; listdir = os.listdir; "
                  "os.listdir = lambda path: sorted(listdir(path)); from glance.cmd.manage import main; main()",
                  "--config-file", state / "etc/glance-api.conf"]
        for arguments in (["db_sync"], ["db_load_metadefs", cloud / "venv/etc/glance/metadefs"]):
            subprocess.run([*manage, *arguments], check=True, **options)
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        shutil.copy(database, empty)
    shutil.copy(empty, database)
    arguments = ["--http-socket", f"127.0.0.1:{port}", "--pythonpath", pathlib.Path(__file__).parent, "--module", "eager:application",
                 "--master", "--lazy-apps", "--processes", "2", "--threads", "4", "--enable-threads", "--die-on-term",
                 "--buffer-size", "65535", "--http-chunked-input", "--wsgi-disable-file-wrapper",
                 "--add-header", "Connection: close"]
    process = subprocess.Popen([cloud / "venv/bin/uwsgi", *arguments], **options,
                               env=os.environ | {"OS_GLANCE_CONFIG_DIR": str(state / "etc")})
    beside.at_end(lambda: (process.terminate(), process.wait()))
    for _ in range(600):
        try:
            urllib.request.urlopen(url + "/versions")
            return url
        except OSError:
            if process.poll() is not None:
                break
        time.sleep(0.1)
    sys.exit("Glance does not start:\n" + (work / "glance.log").read_text()[-2000:])


def settled(place, image):
    """Waits until no task of an image is under way; the last one made is `{task_image}` from now on."""
    for _ in range(300):
        tasks = place.get(f"{place.glance}/v2/images/{image}/tasks")["tasks"]
        if tasks and all(task["status"] in ("success", "failure") for task in tasks):
            new = [task for task in tasks if task["id"] not in place.words.values()]
            return max(new or tasks, key=lambda task: task["created_at"])["id"]
        time.sleep(0.1)
    print(f"{place.name}: an import of {image} does not end: {tasks}")
    return place.words["none"]


def files():
    """What is uploaded, the same on both."""
    web = work / "web"
    web.mkdir()
    (web / "data").write_bytes(b"some data\n" * 1000)
    (web / "iso").write_bytes(bytes(32769) + b"CD001" + bytes(4096))
    (web / "qcow2").write_bytes(b"QFI\xfb" + bytes([0, 0, 0, 3] + [0] * 16 + [0, 0, 0, 0, 0, 0, 16, 0]) + bytes(66000))
    (web / "empty").write_bytes(b"")
    namespace = {"namespace": f"Import::{tag}", "display_name": "imported", "description": "of a file",
                 "visibility": "public", "protected": False,
                 "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "hw_"}],
                 "properties": {"cpus": {"title": "CPUs", "type": "integer", "minimum": 1, "description": "how many"}},
                 "objects": [{"name": "thing", "description": "a thing", "required": [], "properties": {
                     "depth": {"title": "Depth", "type": "number", "description": "how deep"}}}],
                 "tags": [{"name": "one"}, {"name": "two"}]}
    (web / "namespace").write_text(json.dumps(namespace))


files()
port = beside.web_server(work / "web")
url = glance()
renamed = work / "cloud.yaml"
names = {"devstack-admin": "rimg-admin", "devstack": "rimg-demo", "devstack-other": "rimg-other"}
renamed.write_text(json.dumps({"clouds": {
    names[name]: entry for name, entry in yaml.safe_load((cloud / "clouds.yaml").read_text())["clouds"].items()}}))
real = Place("glance", renamed, "rimg-", url)
words = {"tag": tag, "web": f"http://127.0.0.1:{port}", "none": str(uuid.uuid4())}
for project in real.get(real.auth_url + "/projects")["projects"]:
    words.setdefault(project["name"], project["id"])
text = COMMANDS.read_text()
for word in set(re.findall(r"\{(\w+)\}", text)) - set(words):
    if not word.startswith("task_"):
        words[word] = str(uuid.uuid5(uuid.NAMESPACE_URL, tag + word))
real.words = dict(words)
mine = Place("rimg", serve(real), "rimg-")
mine.words = dict(words)
places = [real, mine]
for place in places:
    for file in ("data", "iso", "qcow2", "empty", "namespace"):
        shutil.copy(work / "web" / file, place.directory)

import_all(mine)
count = differing = accepted = 0
for line in text.splitlines():
    user, _, command = line.partition(" ")
    if not user or user.startswith("#"):
        continue
    if user == "@signed-in":
        real.signed_in = True
        continue
    if user == "@settled":
        for place in places:
            place.words["task_" + command] = settled(place, place.words[command])
        continue
    command, _, given = command.partition(" < ")
    client, *arguments = shlex.split(command)
    count += 1
    runs = [place.start(user, client, arguments, place.directory / given if given else None) for place in places]
    ends = [run.wait() for run in runs]
    if ends[0] == ends[1]:
        continue
    allowed = [re.compile(shape) for which, shape in ACCEPTED if re.search(which, line)]
    left = [[row for row in "".join(end).splitlines(keepends=True) if not any(one.search(row) for one in allowed)]
            for end in ends]
    if left[0] == left[1]:
        accepted += 1
        continue
    differing += 1
    if len(sys.argv) == 3 or re.search(sys.argv[3], command):
        diff = [f"  {row.rstrip()}\n" for row in difflib.unified_diff(*left, "glance", "rimg", n=0)]
        diff[60:] = [f"  … and {len(diff) - 60} more lines\n"] if len(diff) > 60 else []
        print(f"{line}\n{''.join(diff)}", flush=True)
same = count - differing - accepted
print(f"clients: {count} commands: {same} the same, {accepted} differ as accepted, {differing} differ")
sys.exit(1 if differing or not count else 0)
