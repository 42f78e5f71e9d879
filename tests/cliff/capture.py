#!/usr/bin/env python3
"""Capture what cliff prints for known data, as the judge of src/output.

Run it where `openstack` is installed (the data sets use osc-lib's list and
mapping columns, the formats are cliff's):

    python3 -m venv /tmp/osc && /tmp/osc/bin/pip install python-openstackclient
    /tmp/osc/bin/python tests/cliff/capture.py

It rewrites `golden.json` beside it: the data sets, and for each case the data,
the options, the width of the terminal (null: stdout is none) and the text.
Last written with cliff 4.17, prettytable 3.18, wcwidth 0.9, PyYAML 6.0 and
Python 3.11.
"""

import argparse
import io
import json
import logging
import pathlib
from unittest import mock

from cliff import lister, show
from cliff.formatters import table as cliff_table
from osc_lib.cli import format_columns


def cell(value):
    """A cell of the data sets: `{"$list": …}` and `{"$dict": …}` are columns that format."""
    if isinstance(value, dict):
        if "$list" in value:
            return format_columns.ListColumn(value["$list"])
        if "$dict" in value:
            return format_columns.DictColumn(value["$dict"])
    return value


def capture(data, arguments, terminal=None):
    """Run cliff's own command classes over `data`; the text, and what went wrong."""
    # As parsed from JSON: no two values are one object, which YAML would alias.
    data = json.loads(json.dumps(data))
    listing = "rows" in data
    base = lister.Lister if listing else show.ShowOne

    class Command(base):
        log = logging.getLogger("capture")

        def take_action(self, parsed_args):
            if listing:
                return data["columns"], [tuple(map(cell, row)) for row in data["rows"]]
            return tuple(zip(*((name, cell(value)) for name, value in data["fields"]))) or ((), ())

    app = argparse.Namespace(stdout=io.StringIO())
    command = Command(app, None)
    result = {"text": "", "error": None, "warnings": 0}
    warn = mock.Mock()
    width = mock.Mock(return_value=terminal)
    fit = mock.Mock(side_effect=lambda fit_width: fit_width or terminal is not None)
    with (
        mock.patch.object(Command.log, "warning", warn),
        mock.patch.object(cliff_table.utils, "terminal_width", width),
        mock.patch.object(cliff_table, "_do_fit", fit),
    ):
        try:
            command.run(command.get_parser("capture").parse_args(arguments))
        except Exception as error:
            result["error"] = f"{type(error).__name__}: {error}"
    result["text"] = app.stdout.getvalue()
    result["warnings"] = warn.call_count
    return result


PLAIN = [
    "", " ", "a", "None", "null", "~", "yes", "No", "on", "OFF", "true", "y", "n", "123", "+1", "-0",
    "0o17", "017", "08", "0x1f", "0b10", "1_000", "1e3", "1.5e3", "1.5e+3", "1.", ".5", "+.5",
    "-.5", ".", "..", "...", "-.inf", ".nan", "+.nan", "1:30", "1:60", "-1:30.5", "01:30",
    "2026-01-01", "2026-1-1", "2026-01-01T10:20:30Z", "2026-01-01 10:20:30.5 +01:00",
    "2026-01-01T10:20:30", "=", "<<", "<", "-", "--", "---", "--- a", "-a", "- a", "?", "?a", "? a",
    ":", ":a", "a:", "a: b", "a:b", "a #b", "a#b", "#a", "%a", "@a", "`a`", "'a'", "it's", '"a"',
    "a 'b' c", "'", "&a", "*a", "!a", "|", ">", "[a]", "{a}", "a, b", "[]", "{}", ",", "a ", " a",
    "\ta", "a\tb", "a\\b", "a\nb", "a\n", "\na", "a\n\nb", "a \nb", "a\n b", "a\r\nb", "a\rb", "a;b",
    "\n", "\u00e9", "\u4e2d\u6587", "\U0001f600", "a\u00a0b", "a\u2028b", "\ufeff", "\u0085",
    "\x00", "\x07", "\x1b", "\x1b[31mred\x1b[0m", "\x7f", "\x9b", "\u200b", "\u202e", "\u00ad",
    "it's \"both\"", "a,b", 'a"b', "$(id)", "`id`", "$HOME", "a!b",
]

WORDS = "the quick brown fox jumps over the lazy dog and runs into the dark forest"

LONG = [
    WORDS,
    WORDS + ": " + WORDS,
    "'" + WORDS + "' and " + WORDS,
    "\u00e9 " + WORDS + " " + WORDS,
    WORDS + "\n" + WORDS + " " + WORDS + "\n\nend",
    "a" * 100 + " " + "b" * 100 + " " + "c" * 10,
    "key: " + "x" * 90 + "  " + "y" * 90 + "   z",
    "\\" * 90 + " \\ " + '"' * 50,
    "\u4e2d" * 30 + " " + "\u6587\u5b57" * 20,
    "well-known state-of-the-art a-b-c--d e--f -- --option=value x-1-2 e.g.--yes",
    "https://example.org/v2/images/71c675ab-d94f-49cd-a114-e12490b328d9/file?x=1&y=2#z",
    "71c675ab-d94f-49cd-a114-e12490b328d9,8dc5a2a1-7c2d-4b4a-9d4b-2ed9ab0c2ae0",
    "a    lot     of        space       in          here   ",
    "          leading space and \u00a0 a no-break \u00a0\u00a0\u00a0\u00a0\u00a0\u00a0 one",
    "-----------------------------------------------------------------------------------",
    "caf\u00e9 e\u0301e\u0301e\u0301 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea"
    "\U0001f1eb\U0001f1f7 \u2764\ufe0f \U0001f44d\U0001f3fd \u0915\u094d\u0937 \u0e01\u0e33",
    "\x00 soft\u00adhyphen \u2028 \u0600 \u00e9 and a control\x00\u094d next to a sign \U0001f1e9 \u200d\x7f",
    "tab\tto\tstop\tand\tmore\ttabs\tto\tcome\tin\tthis\tcell",
]

NESTED = {
    "name": "x", "empty list": [], "empty dict": {}, "none": None, "yes": True, "n": 1, "f": 1.5,
    "list": ["b", "a", None, 1, ["c", ["d", []], {"k": "v", "l": [1]}]],
    "dict": {"b": {"d": 1, "c": [{"e": None, "a": "x"}, {}]}, "a": "it's", "": "empty key"},
    "key: colon": "a: b", "?": 1, "k" * 122: 1, "k" * 123: 2, "k" * 130: ["a"], "two\nlines": {"a": 1},
    "\u00e9": "\u00e9",
}

FLOATS = [
    0.0, -0.0, 1.0, 1.5, 0.1, 100.0, 123456789.125, 1e15, 1e16, 1.5e16, 1e22, 1e100, 1.7976931348623157e308,
    0.001, 0.0001, 0.00001, 1.5e-05, 5e-324, 12345678901234567, -9223372036854775808,
    18446744073709551615,
    94808885648927.12, 887233283414881.2, 9.069577609128997e16, 5.684341886080802e-14, 9007199254740993.0,
]

IMAGES = {
    "columns": ["ID", "Name", "Disk Format", "Size", "Min RAM", "Protected", "Tags", "Properties"],
    "rows": [
        ["71c675ab-d94f-49cd-a114-e12490b328d9", "cirros", "qcow2", 21430272, 0, True,
         {"$list": ["b", "a"]}, {"$dict": {"hw": "x", "arch": None, "in": {"k": 1, "e": {}}}}],
        ["8dc5a2a1-7c2d-4b4a-9d4b-2ed9ab0c2ae0", "Ubuntu 24.04 LTS \u2013 a server's image", "raw", None,
         512, False, {"$list": []}, {"$dict": {}}],
        ["0f0b2f4e-1c5a-4b43-8f0f-3f0d6b1b8b7e", "\u65e5\u672c\u8a9e\u306e\u540d\u524d", None, 9, 64, False,
         {"$list": None}, {"$dict": None}],
    ],
}

RECORD = {
    "fields": [
        ["id", "71c675ab-d94f-49cd-a114-e12490b328d9"],
        ["Owner Name", None],
        ["size", 21430272],
        ["protected", False],
        ["os-hash:algo", "sha512"],
        ["properties", {"$dict": {"b": 1, "a": None, "c": "it's", "d": {"e": [1], "f": {}}}}],
        ["tags", {"$list": ["z", "y"]}],
        ["plain list", ["z", 'y"', None]],
        ["description", "two\r\nlines\tand a tab\rreturn"],
        ["checksum", "0" * 128],
    ],
}

DATA = {
    "images": IMAGES,
    "image": RECORD,
    "strings": {"columns": ["S"], "rows": [[text] for text in PLAIN]},
    "pairs": {"columns": ["N", "S", "T"], "rows": [[i, text, text] for i, text in enumerate(PLAIN)]},
    "long": {"columns": ["N", "Text"], "rows": [[i, text] for i, text in enumerate(LONG)]},
    "long and wide": {
        "columns": ["Id", "First", "Second Column", "Third"],
        "rows": [[i, text, LONG[-i - 1], text[::-1]] for i, text in enumerate(LONG) if i % 3 == 0],
    },
    "long record": {"fields": [[f"field {i}", text] for i, text in enumerate(LONG)] + [[LONG[9], LONG[9]]]},
    "string record": {"fields": [[f"f{i}", text] for i, text in enumerate(PLAIN)]},
    "nested record": {"fields": [["plain", NESTED], ["dict", {"$dict": NESTED["dict"]}], ["deep", [[[1]], [[]]]]]},
    "nested list": {
        "columns": ["Plain", "b: c", ""],
        "rows": [[NESTED, NESTED["list"], {"$dict": NESTED["dict"]}], [[], {}, None], [None, 1, "x"]],
    },
    "floats": {"columns": ["F", "L"], "rows": [[number, [number]] for number in FLOATS]},
    "mixed": {"columns": ["A", "B c"], "rows": [[1, "b"], ["x", None], [None, "a"], [True, "B"], [2.5, "b"]]},
    "numbers": {
        "columns": ["A", "B c", "L"],
        "rows": [[3, "b", [1, 2]], [None, "a", [1]], [10, None, []], [True, "b", [1, 2]], [2.5, "C", [0, 9]]],
    },
    "narrow": {"columns": ["A", "Longer Heading", "C"], "rows": [[1.5, True, None], [20, False, "x"]]},
    "no rows": {"columns": ["Ab", "C", "Def", "Ghij"], "rows": []},
    "no fields": {"fields": []},
    "one empty": {"columns": ["A"], "rows": [["x"], [""], [None], ["y"]]},
    "two empty": {"columns": ["A", "B"], "rows": [["", ""], [None, ""], ["y", None]]},
}

LIST_FORMATS = ["csv", "json", "table", "value", "yaml"]
SHOW_FORMATS = ["json", "shell", "table", "value", "yaml"]


def cases():
    """Which data is printed with which options, on a terminal how wide."""
    for name, data in DATA.items():
        if name == "long and wide":
            continue
        for form in LIST_FORMATS if "rows" in data else SHOW_FORMATS:
            # Here rimg differs on purpose: its shell output is safe to eval.
            if form == "shell" and name != "no fields":
                continue
            yield name, ["-f", form], None
        if "rows" in data and "long" not in name:
            for quote in ["all", "minimal", "none", "nonnumeric"]:
                yield name, ["-f", "csv", "--quote", quote], None
    for name in ["images", "image", "nested list", "nested record", "no rows", "no fields"]:
        yield name, ["-f", "json", "--noindent"], None
    for name in ["images", "long", "long and wide", "image", "long record", "narrow", "no rows"]:
        for width in [20, 100] if "long" in name else [1, 37, 64, 100]:
            yield name, ["--max-width", str(width)], None
        if "long" in name:
            continue
        yield name, ["--max-width", "0"], None
        yield name, ["--max-width", "-1"], 60
        yield name, ["--fit-width"], None
        yield name, [], 79
        yield name, ["--max-width", "90"], 50
    for name in ["no rows", "no fields", "images"]:
        yield name, ["--print-empty"], None
    yield "no rows", ["--print-empty", "--max-width", "12"], None
    for columns in [["id"], ["NAME", "disk_format"], [" Disk format "], ["Tags", "ID", "nope"], ["nope"]]:
        arguments = [word for column in columns for word in ["-c", column]]
        for form in ["csv", "json", "table", "value", "yaml"]:
            yield "images", ["-f", form] + arguments, None
    for columns in [["id"], ["owner_name", "SIZE"], ["nope", "also"]]:
        arguments = [word for column in columns for word in ["-c", column]]
        for form in ["json", "table", "value", "yaml", "shell"]:
            yield "image", ["-f", form] + arguments, None
    yield "no rows", ["-c", "ab"], None
    yield "no rows", ["-c", "ab", "--print-empty"], None
    shell = ["-f", "shell", "-c", "size", "-c", "os-hash:algo", "-c", "Owner Name", "-c", "tags"]
    yield "image", shell, None
    yield "image", shell + ["--prefix", "img_"], None
    yield "image", shell + ["--variable", "size", "--variable", "owner_name"], None
    yield "image", shell + ["--variable", "os-hash:algo", "--prefix", "A"], None
    for name in ["numbers", "mixed", "images"]:
        for by in [["A"], ["b_c"], ["B c", "A"], ["A", "B C"], ["L", "A"], ["nope"], ["size"], ["tags"],
                   ["Properties"], ["protected", "Name"]]:
            arguments = [word for column in by for word in ["--sort-column", column]]
            yield name, ["-f", "value"] + arguments, None
            yield name, ["-f", "value", "--sort-descending"] + arguments, None
    yield "numbers", ["-f", "value", "--sort-descending"], None
    yield "numbers", ["-f", "value", "--sort-ascending", "--sort-column", "a", "-c", "L"], None


def main():
    captured = []
    for name, arguments, terminal in cases():
        result = capture(DATA[name], arguments, terminal)
        captured.append({"data": name, "arguments": arguments, "terminal": terminal, **result})
    target = pathlib.Path(__file__).with_name("golden.json")
    lines = ",\n".join(json.dumps(case) for case in captured)
    data = ",\n".join(f"{json.dumps(name)}: {json.dumps(data)}" for name, data in DATA.items())
    target.write_text(f'{{"data": {{\n{data}\n}},\n"cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
