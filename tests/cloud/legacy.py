#!/usr/bin/env python3
"""Compares Images API v1 of `rimg serve` with that of Glance 15.

usage: tests/cloud/legacy.py DIR RIMG [PATTERN]

DIR is a running cloud of tests/cloud/up with the Glance of tests/cloud/legacy-up
beside it, RIMG the program whose `serve` is compared. Sends the requests of
legacy.txt to both, and after each that changes something looks at the images
it names through v1 and v2; then runs `openstack` 3.12 and `glance` 2.8, the
clients of that time, on both; then sends the requests of legacy-strict.txt to
both where quotas, protected properties and policies stand in the way. Prints each difference of status, headers, body,
reason, state, exit code, output or saved file, and fails on any that is not in
ACCEPTED. With PATTERN, a regular expression, only differences of requests that
match are printed (all are sent). Nothing stays on either; what another run
left on that Glance is deleted first.
"""

import difflib
import hashlib
import html
import http.client
import json
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid

import beside

if len(sys.argv) not in (3, 4):
    sys.exit(__doc__.split("\n\n")[1])
cloud = pathlib.Path(sys.argv[1]).resolve()
rimg = sys.argv[2] if "/" not in sys.argv[2] else os.path.abspath(sys.argv[2])
if not (cloud / "state/legacy/url").exists():
    sys.exit(f"no Glance 15 in {cloud}: run tests/cloud/legacy-up {cloud} first")
work = beside.directory(tempfile.mkdtemp(prefix="rimg-legacy-"))
tag = uuid.uuid4().hex[:8]
started = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
REQUESTS = pathlib.Path(__file__).with_suffix(".txt")
STRICT_REQUESTS = pathlib.Path(__file__).with_name("legacy-strict.txt")

# What may differ, and why: of requests that match the first expression, the lines that match the second.
ACCEPTED = [
    # A 405 names what is allowed (RFC 9110, section 15.5.6); here Glance does not.
    (r"GET \S+/members/x$", r"^allow: PUT, DELETE$"),
    # Of a 500 there is nothing to learn: where Glance 15 fails so, rimg refuses or does what was asked.
    # SQLite takes no text for a time, so that Glance could keep one given only on MySQL and PostgreSQL.
    (r"\{(dated|born)\}", r"."),
    # A header that is too long is refused by the server below Glance, without a word.
    (r"\{long\}", r"^(reason: |content-type: )"),
    # An empty number is None in Python, which is not the error that Glance catches.
    (r"\{nomindisk\}", r"^(status [45]00|reason: |content-type: )"),
    # Who sees an image as a member may not change it: Glance raises one error and catches another.
    (r"^other (PUT|DELETE) /v1/images/\{active\}", r"^(status (500|404)|reason: |content-type: )"),
    (r"name=xx:", r"^(status [45]00|reason: |content-type: )"),
    # Glance means to answer 412, but here, too, it catches another error than is raised.
    (r"\{savingdeleted2?\}", r"^(status (500|412)|reason: |between content-type: )"),
    # One refusal has one reason, whether the image is new or not.
    (r"PUT .*floppy", r"^reason: (Store for scheme|Required store) floppy"),
    # More than a project has left: Glance names the limit of one image where it did not know the size before.
    (r"\{(thirdchunked|reserved|again)\}", r"^reason: (Denying attempt to upload image|Image exceeds the storage quota)"),
    # Why a server elsewhere does not answer is told in other words.
    (r"forbidden|closed|nowhere", r"^reason: (The HTTP URL is invalid|HTTP URL \S+ returned)"),
    # What is missing is named.
    (r"members = \{\}$|members = .*\[\{\"can_share", r"^reason: Invalid membership association: "),
    # What is not active has no data, wherever that may be once: Glance gives out what a refused request named.
    (r"\{(locatedwrong|locatednoformat|both|bothdata)\}", r" v2 file 20[04] "),
    # v2 is that of a later release: it has more fields, and knows the virtual size of what it takes.
    (r" /v2/", r'^content-type: text/html|^openstack-image-|^ "os_(hash_algo|hash_value|hidden)"'),
    (r"\{second\}|images/detail", r"virtual_size\W+(null|1000)$|^second v1 x-image-meta-virtual_size: 1000$|^x-image-meta-virtual_size: 1000$"),
    # An empty property is none at all in v1: rimg does not tell whether it came through v1 or v2.
    (r"\{second\}|images/detail", r'x-image-meta-property-empty: $|^ +"empty": (""|null),$'),
    # Glance 15 on Python 3 keeps what it takes for Latin-1, and so does not find the name that it is asked for.
    (r"^glance image-(list --name|show|delete) größe", r"."),
    (r"^openstack image list$", r"größe"),
]

# What is the same on every service of its kind, or never on two.
IGNORED = {"date", "connection", "x-openstack-request-id", "content-length", "transfer-encoding", "server", "keep-alive"}

# What only one of the two has; see ACCEPTED.
UNLISTED = ("dated", "born")

# What v2 says of an image that both of its releases know.
V2 = ["id", "name", "status", "visibility", "owner", "disk_format", "container_format", "size", "checksum", "min_disk",
      "min_ram", "protected", "virtual_size", "tags"]


def call(method, url, headers, body=None):
    """One request, its names and values as UTF-8. Answers status, headers, body."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    path = urllib.parse.quote(parts.path, safe="/%") + (f"?{parts.query}" if parts.query else "")
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value.encode())
    if isinstance(body, list):
        connection.putheader("Transfer-Encoding", "chunked")
    elif body is not None or method in ("POST", "PUT"):
        connection.putheader("Content-Length", str(len(body or b"")))
    connection.endheaders()
    try:
        if isinstance(body, list):
            for piece in body:
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            connection.send(b"0\r\n\r\n")
        elif body:
            connection.send(body)
    except OSError:
        pass  # answered before it had all
    reply = connection.getresponse()
    return reply.status, reply.getheaders(), reply.read()


class Place:
    """One of the two services."""

    def __init__(self, name, identity, url):
        self.name, self.identity, self.url = name, identity, url
        self.directory = work / name
        self.directory.mkdir(exist_ok=True)
        self.words, self.tokens = {}, {}
        for user in ("admin", "demo", "other"):
            self.tokens[user], said = beside.sign_in(identity, user)
            self.words[f"project_{user}"] = said["token"]["project"]["id"]

    def said(self, text):
        return re.sub(r"\{(\w+)\}", lambda found: self.words.get(found[1], found[0]), text)

    def ask(self, user, method, path, headers=(), body=None):
        token = [("X-Auth-Token", self.tokens[user])] if user in self.tokens else []
        return call(method, self.url + path, [*token, *headers], body)

    def text(self, value):
        """Text of a JSON document: Glance 15 on Python 3 takes the UTF-8 of headers for Latin-1."""
        if isinstance(value, dict):
            return {self.text(key): self.text(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.text(one) for one in value]
        if isinstance(value, str) and self.name == "glance" and not value.isascii():
            try:
                return value.encode("latin-1").decode()
            except UnicodeError:
                pass
        return value

    def plain(self, text):
        """Text without what cannot be the same on two services."""
        text = text.replace(self.url, "<service>").replace(self.identity, "<identity>")
        text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?", r"<time>", text)
        known = set(self.words.values())
        return re.sub(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}",
                      lambda found: found[0] if found[0] in known else "<id>", text)

    def lines(self, method, answer):
        """What is compared of an answer: a line each."""
        status, headers, body = answer
        lines = [f"status {status}"]
        for name, value in sorted((name.lower(), value) for name, value in headers):
            if name in IGNORED - ({"content-length"} if status == 200 else set()):
                continue
            value = value.encode("latin-1").decode(errors="backslashreplace")
            # Of a HEAD that fails there is no body whose type could matter.
            if status < 400 or name == "allow" or (name == "content-type" and method != "HEAD"):
                lines.append(f"{name}: {value}")
        text = body.decode(errors="backslashreplace")
        if status >= 400:
            lines.append("reason: " + reason(text))
        else:
            try:
                value = self.text(json.loads(text))
                listed = {one for word, one in self.words.items() if word not in UNLISTED}
                for images in (value.get("images"), value.get("shared_images")) if isinstance(value, dict) else ():
                    if images is not None:
                        key = "image_id" if images is value.get("shared_images") else "id"
                        images[:] = [image for image in images if image[key] in listed]
                for key in ("members", "shared_images"):
                    if isinstance(value, dict) and key in value:
                        value[key].sort(key=str)
                text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
                lines = [line for line in lines if not line.startswith("content-length")]
            except ValueError:
                pass
            lines += text.splitlines()
        return [self.plain(line) for line in lines]

    def state(self, word):
        """An image, as an admin reads it through v1 and v2."""
        image = self.words[word]
        for _ in range(100):
            status, headers, _ = one = self.ask("admin", "HEAD", f"/v1/images/{image}")
            # What is copied is copied while nobody waits.
            if word in settling and dict((name.lower(), value) for name, value in headers).get(
                    "x-image-meta-status") in ("queued", "saving"):
                time.sleep(0.05)
                continue
            break
        lines = [f"{word} v1 {line}" for line in self.lines("HEAD", one)]
        status, _, body = self.ask("admin", "GET", f"/v2/images/{image}")
        lines.append(f"{word} v2 status {status}")
        if status == 200:
            value = self.text(json.loads(body))
            lines += [f"{word} v2 {key} {json.dumps(value.get(key), ensure_ascii=False)}" for key in V2]
            status, _, body = self.ask("admin", "GET", f"/v2/images/{image}/file")
            lines.append(f"{word} v2 file {status} {hashlib.md5(body).hexdigest() if status == 200 else ''}")
        return lines


GENERIC = [
    r"The server could not comply with the request since it is either malformed or otherwise incorrect\.",
    r"Access was denied to this resource\.", r"The resource could not be found\.",
    r"There was a conflict when trying to complete your request\.",
    r"The server has either erred or is incapable of performing the requested operation\.",
    r"The method \w+ is not allowed for this resource\.",
]


def reason(text):
    """Why, without the words that webob has for each status."""
    try:
        text = json.loads(text)["message"]
    except (ValueError, KeyError, TypeError):
        pass
    text = html.unescape(re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<title>.*?</title>", " ", text)))
    for shape in GENERIC:
        text = re.sub(shape, " ", text)
    return re.sub("^(: *)+", "", " ".join(re.sub(r"\b[45]\d\d [A-Z][a-z]+( [A-Z][a-z]+)*\b", " ", text).split()))


def web_server():
    """Serves what is copied from the web."""
    web = work / "web"
    web.mkdir()
    (web / "data").write_bytes(DATA["web"])
    (web / "empty").write_bytes(b"")
    return beside.web_server(web)


# As the strict glance-api of tests/cloud/legacy-up has it.
EVERYBODY, ADMINS, NOBODY = ["@"], ["admin"], ["!"]
MEMBERS = ["admin", "member"]
STRICT = {
    "quota": {"properties": 3, "members": 1, "image_size": 3000, "user_storage": 5000},
    "protected_properties": [
        {"pattern": pattern, "create": create, "read": read, "update": update, "delete": delete}
        for pattern, create, read, update, delete in [
            ("^all_", EVERYBODY, EVERYBODY, EVERYBODY, EVERYBODY),
            ("^admins_", ADMINS, ADMINS, ADMINS, ADMINS),
            ("^shown_", ADMINS, MEMBERS, ADMINS, ADMINS),
            ("^once_", MEMBERS, MEMBERS, ADMINS, ADMINS),
            ("^unseen_", MEMBERS, ADMINS, MEMBERS, MEMBERS),
            ("^kept_", MEMBERS, MEMBERS, MEMBERS, NOBODY),
            ("^none_", NOBODY, NOBODY, NOBODY, NOBODY),
        ]
    ],
}


def serve(real, **more):
    """Starts `rimg serve` with the users and the projects of the cloud."""
    users = []
    for user in real.tokens:
        grants = [{"project": user, "roles": ["admin"] if user == "admin" else ["member", "reader"]}]
        users.append({"name": user, "password": "secret", "roles": grants})
    config = {
        "api_v1": True, "region": "RegionOne", "stores": [{"name": "file"}], "users": users,
        "projects": [{"name": user, "id": real.words[f"project_{user}"]} for user in real.tokens],
        "web_download": {"hosts": ["127.0.0.1", "nowhere.invalid"], "ports": []},
    }
    (work / "served.yaml").unlink(missing_ok=True)
    process, clouds = beside.serve(rimg, work, config | more, "-q")
    stop = lambda: (process.terminate(), process.wait())
    beside.at_end(stop)
    identity = beside.auth_url(clouds)
    place = Place("rimg", identity, identity.split("/identity")[0])
    place.stop = stop
    return place


def under(policy):
    """Both strict services with these rules beside those that there are."""
    rules = json.loads((cloud / "etc/legacy/policy.json").read_text())
    # Read again when it is another file.
    (cloud / "etc/legacy/strict-policy.json").write_text(json.dumps(rules | policy))
    known = places[1]
    known.stop()
    places[1] = serve(places[0], policy=policy, **STRICT)
    places[1].words = known.words


def empty(place):
    """Deletes every image that there is."""
    while True:
        _, _, body = place.ask("admin", "GET", "/v1/images?is_public=None&limit=1000")
        images = json.loads(body)["images"]
        for image in images:
            purge = [("x-glance-registry-purge-props", "false"), ("x-image-meta-protected", "false")]
            place.ask("admin", "PUT", f"/v1/images/{image['id']}", purge)
            place.ask("admin", "DELETE", f"/v1/images/{image['id']}")
        if not images:
            return


def midway(place, user, method, path, headers, body, then):
    """A client that sends its data in two halves, and what another request finds between them."""
    parts = urllib.parse.urlsplit(place.url + path)
    word = re.search(r"x-image-meta-id: \{(\w+)\}", then[0])[1]
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        head = [f"{method} {parts.path} HTTP/1.1", f"Host: {parts.netloc}", f"X-Auth-Token: {place.tokens[user]}",
                "Connection: close", *(f"{name}: {value}" for name, value in headers), f"Content-Length: {len(body)}", "", ""]
        connection.sendall("\r\n".join(head).encode() + body[:100])
        for _ in range(200):
            _, found, _ = place.ask("admin", "HEAD", f"/v1/images/{place.words[word]}")
            if ("saving" in (value for name, value in found if name.lower() == "x-image-meta-status")):
                break
            time.sleep(0.05)
        user, method, path, *headers = shlex.split(then[1])
        headers = [tuple(header.split(": ", 1)) for header in headers]
        data = DATA["more"] if ("Content-Type", "application/octet-stream") in headers else None
        between = place.lines(method, place.ask(user, method, place.said(path), headers, data))
        between += place.state(word)
        connection.sendall(body[100:])
        reply = http.client.HTTPResponse(connection, method="POST")
        reply.begin()
        return (reply.status, reply.getheaders(), reply.read()), [f"between {row}" for row in between]


def cut(place, user, method, path, headers, body):
    """A client that says that more comes than does, and goes."""
    parts = urllib.parse.urlsplit(place.url + path)
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        head = [f"{method} {parts.path} HTTP/1.1", f"Host: {parts.netloc}", f"X-Auth-Token: {place.tokens[user]}",
                *(f"{name}: {value}" for name, value in headers), f"Content-Length: {len(body) + 1000}", "", ""]
        connection.sendall("\r\n".join(head).encode() + body)
        time.sleep(0.3)
    time.sleep(0.7)
    return 200, [], b"gone"


DATA = {"data": b"some data\n" * 100, "two": b"0123456789" * 200, "more": b"other data\n" * 7, "web": b"from the web\n" * 50,
        "big": bytes(range(256)) * 1024}
settling = set()
used = set()
count = differing = accepted = 0


def compare(line, ends, header=None):
    """Holds what two services said against each other."""
    global count, differing, accepted
    count += 1
    if ends[0] == ends[1]:
        return
    allowed = [rule for rule in ACCEPTED if re.search(rule[0], line)]
    left, excused = [], False
    for end, other in zip(ends, ends[::-1]):
        left.append([])
        for row in end:
            rule = next((rule for rule in allowed if re.search(rule[1], row)), None)
            if rule is None:
                left[-1].append(row)
            elif row not in other:
                used.add(rule)
                excused = True
    # The same reason may be told with more words around it.
    for row, (one, other) in enumerate(zip(*left)):
        if one.startswith("reason: ") and other.startswith("reason: "):
            one, other = one[8:], other[8:]
            if one and other and (one in other or other in one):
                left[0][row] = left[1][row]
    if left[0] == left[1]:
        accepted += excused
        return
    differing += 1
    if len(sys.argv) == 3 or re.search(sys.argv[3], line):
        diff = [f"  {row}" for row in difflib.unified_diff(*left, "glance", "rimg", n=0, lineterm="")]
        diff[60:] = [f"  … and {len(diff) - 60} more lines"] if len(diff) > 60 else []
        print(line, *diff[2:], "", sep="\n", flush=True)


def requests(file):
    """One request a line: user, method, path, headers in quotes, `< NAME` for a body, `<< NAME` for a chunked one,
    `<! NAME` for one that breaks off, `<~ NAME | REQUEST` for one with another request in its middle; `= JSON` for a
    body of JSON. `@settles WORD…` names images that are copied while nobody waits, `@policy JSON` the rules from there."""
    for line in file.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("@settles "):
            settling.update(line.split()[1:])
            continue
        if line.startswith("@policy "):
            under(json.loads(line.partition(" ")[2]))
            continue
        rest, body, given = line, "", None
        for mark in (" << ", " <! ", " <~ ", " < ", " = "):
            if mark in line:
                rest, _, given = line.partition(mark)
                body = mark.strip()
                break
        given, _, then = given.partition(" | ") if body == "<~" else (given, "", "")
        user, method, path, *headers = shlex.split(rest)
        ends = []
        for place in places:
            pairs = [tuple(part.lstrip(" ") for part in place.said(header).split(":", 1)) for header in headers]
            target, between = place.said(path), []
            if body == "=":
                pairs.append(("Content-Type", "application/json"))
                answer = place.ask(user, method, target, pairs, place.said(given).encode())
            else:
                data = DATA[given] if given else None
                if data is not None and not any(name.lower() == "content-type" for name, _ in pairs):
                    pairs.append(("Content-Type", "application/octet-stream"))
                pairs = [pair for pair in pairs if pair != ("Content-Type", "none")]
                if body == "<~":
                    answer, between = midway(place, user, method, target, pairs, data, (line, then))
                elif body == "<!":
                    answer = cut(place, user, method, target, pairs, data)
                else:
                    data = [data[:7], data[7:]] if body == "<<" else data
                    answer = place.ask(user, method, target, pairs, data)
            end = between + place.lines(method, answer)
            if method not in ("GET", "HEAD"):
                named = dict.fromkeys(re.findall(r"\{(\w+)\}", line))
                end += [row for word in named if word in images for row in place.state(word)]
            ends.append(end)
        compare(line, ends)


# Client, arguments; `< FILE` for standard input. Run as demo, or as admin after `admin`.
CLIENTS = """
openstack image create one-{tag} --disk-format raw --container-format bare --file data --property a=1 --property ort=grün
openstack image create one-{tag} --property grün=ja
openstack image create two-{tag} --disk-format raw --container-format bare --min-disk 1 --min-ram 2 --protected < data
openstack image create empty-{tag}
openstack image create copied-{tag} --disk-format raw --container-format bare --copy-from {web}/data
openstack image create remote-{tag} --disk-format raw --container-format bare --location {web}/data
openstack image create one-{tag} --disk-format tape
admin openstack image create public-{tag} --public --disk-format qcow2 --container-format bare --file data
openstack image list -c Name -c Status
openstack image list --long -c Name -c Size -c Visibility -c Protected -c Checksum --sort name:asc
openstack image list --public -c Name
openstack image list --property a=1 -c Name
openstack image show one-{tag}
openstack image show missing-{tag}
openstack image set one-{tag} --property b=2 --min-ram 64 --name eins-{tag}
openstack image show eins-{tag}
openstack image set two-{tag} --unprotected --size 5
openstack image set two-{tag} --unprotected
openstack image set empty-{tag} --disk-format raw --container-format bare < data
openstack image save eins-{tag} --file out
openstack image save remote-{tag} --file out
openstack image save missing-{tag} --file out
glance image-list
glance image-show eins-{tag}
glance image-update eins-{tag} --purge-props --property c=3
glance image-show eins-{tag}
glance image-download eins-{tag} --file out
glance image-create --name größe-{tag} --disk-format raw --container-format bare --file data --property os_distro=ü
glance image-list --name größe-{tag}
glance image-show größe-{tag}
glance member-create eins-{tag} {project_other} --can-share
glance member-list --image-id eins-{tag}
glance member-list --tenant-id {project_other}
other glance image-show eins-{tag}
other openstack image show eins-{tag} -c name -c owner
glance member-delete eins-{tag} {project_other}
glance member-list --image-id eins-{tag}
other glance image-show eins-{tag}
glance image-delete größe-{tag}
openstack image delete eins-{tag} two-{tag} empty-{tag} copied-{tag} remote-{tag}
openstack image delete eins-{tag}
admin openstack image delete public-{tag}
openstack image list
"""


def clients():
    """The clients of the time of Glance 15, with Images API v1."""
    bin_ = cloud / "venv-legacy/bin"
    for line in CLIENTS.strip().splitlines():
        ends = []
        for place in places:
            command, _, given = place.said(line).partition(" < ")
            words = shlex.split(command)
            user = words.pop(0) if words[0] in place.tokens else "demo"
            client, *arguments = words
            if place.name == "rimg":
                # Signs in, and finds the service in the catalogue.
                login = ["--os-auth-url", place.identity, "--os-username", user, "--os-password", "secret",
                         "--os-project-name", user, "--os-user-domain-id", "default", "--os-project-domain-id", "default"]
                login += ["--os-region-name", "RegionOne"]
                login += ["--os-identity-api-version", "3"] if client == "openstack" else []
            elif client == "openstack":
                login = ["--os-auth-type", "token_endpoint", "--os-token", place.tokens[user], "--os-url", place.url]
            else:
                login = ["--os-auth-token", place.tokens[user], "--os-image-url", place.url]
            login += ["--os-image-api-version", "1"]
            environment = {"PATH": f"{bin_}:/usr/bin:/bin", "HOME": str(place.directory), "LANG": "C.UTF-8",
                           "LC_ALL": "C.UTF-8", "TZ": "UTC", "COLUMNS": "300", "PYTHONWARNINGS": "ignore",
                           "no_proxy": "127.0.0.1"}
            stdin = open(place.directory / given, "rb") if given else subprocess.DEVNULL
            # Both read data from whatever standard input is, but for a terminal.
            run = subprocess.run([bin_ / client, *login, *arguments], cwd=place.directory, env=environment, stdin=stdin
                                 if given else terminal[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
            rows = [f"exit code {run.returncode}"]
            out = run.stdout.decode(errors="backslashreplace")
            out = "\n".join(undo(row) for row in out.splitlines())
            rows += sorted_properties(re.sub(r" {2,}", " ", re.sub(r"-{4,}", "---", place.plain(out)))).splitlines()
            # Somebody else's image is none of this run.
            rows = [row for row in rows if not re.match(r"\| <id> \|", row) or tag in row]
            rows += [f"stderr: {reason(row)}" for row in place.plain(run.stderr.decode()).splitlines() if row.strip()]
            for file in sorted(place.directory.glob("out*")):
                rows.append(f"{file.name}: {hashlib.sha256(file.read_bytes()).hexdigest()}")
                file.unlink()
            ends.append([row.rstrip() for row in rows])
        compare(line, ends)


def undo(row):
    """What those clients on Python 3 took for Latin-1, once for each time they have read it."""
    while not row.isascii():
        try:
            row = row.encode("latin-1").decode()
        except UnicodeError:
            break
    return row


def sorted_properties(text):
    """Properties have no order in the clients of that time."""
    return re.sub(r"(properties \| )(.*?)( \|)",
                  lambda found: found[1] + ", ".join(sorted(found[2].split(", "))) + found[3], text)


terminal = os.openpty()
port = web_server()
keystone = (cloud / "state/databases").read_text().split()[0]
images = set(re.findall(r"\{(\w+)\}", REQUESTS.read_text() + STRICT_REQUESTS.read_text()))
images -= {"web", "long", "tag", "none", "closed", "started", "project_admin", "project_demo", "project_other"}
closed = beside.free_port()


def begin(url, **more):
    """The two services, of which the Glance is at `url`."""
    real = Place("glance", keystone, (cloud / "state/legacy" / url).read_text().strip())
    for place in (real, mine := serve(real, **more)):
        for word in sorted(images):
            place.words[word] = str(uuid.uuid5(uuid.NAMESPACE_URL, tag + word))
        place.words |= {"tag": tag, "started": started, "none": str(uuid.uuid5(uuid.NAMESPACE_URL, tag)),
                        "web": f"http://127.0.0.1:{port}", "long": "x" * 17000, "closed": f"http://127.0.0.1:{closed}"}
        for name, data in DATA.items():
            (place.directory / name).write_bytes(data)
    return [real, mine]


def counted(what, before):
    """What came of all that was compared since `before`, in words."""
    new, differ, excused = count - before[0], differing - before[1], accepted - before[2]
    return f"{new} {what}: {new - differ - excused} the same, {excused} differ as accepted, {differ} differ"


places = begin("url")
try:
    empty(places[0])
    requests(REQUESTS)
    said = [counted("requests", (0, 0, 0))]
    bare = (count, differing, accepted)
    for place in places:
        empty(place)
    clients()
    said.append(counted("commands of clients", bare))
    bare = (count, differing, accepted)
    for place in places:
        empty(place)
    places[1].stop()
    places = begin("strict-url", **STRICT)
    under({})
    requests(STRICT_REQUESTS)
    said.append(counted("requests with limits", bare))
finally:
    under({})
    empty(places[0])
print("legacy: " + "; ".join(said))
stale = [rule for rule in ACCEPTED if rule not in used]
if stale:
    print("accepted, but nothing differs so any more:", *stale, sep="\n  ")
sys.exit(1 if differing or stale or not count else 0)
