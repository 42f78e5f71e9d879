//! What cliff prints (`tests/cliff/golden.json`, written by `capture.py`
//! beside it), byte for byte, and where rimg differs on purpose.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

use clap::{Args, FromArgMatches};
use serde_json::{Value, json};

use super::*;

/// The options after `capture.py`'s `arguments`, as the program would parse them.
fn parse<A: Args + FromArgMatches>(arguments: &[&str]) -> A {
    let command = A::augment_args(clap::Command::new("rimg").no_binary_name(true))
        // The variables of whoever runs the tests must not change them.
        .mut_arg("max_width", |arg| arg.env(None::<&str>))
        .mut_arg("fit_width", |arg| arg.env(None::<&str>));
    A::from_arg_matches(&command.try_get_matches_from(arguments).unwrap()).unwrap()
}

fn cell(value: &Value) -> Cell {
    match (value.get("$list"), value.get("$dict")) {
        (Some(list), _) => Cell::list(list.clone()),
        (_, Some(dict)) => Cell::dict(dict.clone()),
        _ => Cell::from(value.clone()),
    }
}

fn cells(row: &Value) -> Vec<Cell> {
    row.as_array().unwrap().iter().map(cell).collect()
}

fn table(data: &Value) -> Table {
    Table {
        columns: serde_json::from_value(data["columns"].clone()).unwrap(),
        rows: data["rows"].as_array().unwrap().iter().map(cells).collect(),
    }
}

fn record(data: &Value) -> Record {
    let fields = data["fields"].as_array().unwrap().iter();
    Record { fields: fields.map(|f| (f[0].as_str().unwrap().to_owned(), cell(&f[1]))).collect() }
}

/// Writes `data` with `arguments`; the text, and the warnings or the error.
fn run(data: &Value, arguments: &[&str], sink: Sink) -> (String, Result<Vec<String>>) {
    let mut out = Vec::new();
    let result = if data.get("rows").is_some() {
        parse::<ListArgs>(arguments).write(table(data), sink, &mut out)
    } else {
        let written = parse::<ShowArgs>(arguments).write(record(data), sink, &mut out);
        written.map(|()| Vec::new())
    };
    (String::from_utf8(out).unwrap(), result)
}

fn text(data: &Value, arguments: &[&str], terminal: bool) -> String {
    let (text, result) = run(data, arguments, Sink { terminal, width: None });
    result.unwrap();
    text
}

#[test]
fn prints_what_cliff_prints() {
    let golden: Value = serde_json::from_str(include_str!("../../tests/cliff/golden.json")).unwrap();
    let mut differing = Vec::new();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 100, "golden.json has lost its cases");
    for case in cases {
        let data = &golden["data"][case["data"].as_str().unwrap()];
        let arguments: Vec<&str> = case["arguments"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
        let width = case["terminal"].as_u64().map(|width| usize::try_from(width).unwrap());
        let (text, result) = run(data, &arguments, Sink { terminal: width.is_some(), width });
        let expected = case["text"].as_str().unwrap();
        let title = format!("{} {arguments:?} on {width:?}", case["data"]);
        if text != expected {
            let mut lines = expected.lines().zip(text.lines());
            let first = lines.find(|(expected, text)| expected != text);
            differing.push(format!("{title}: {first:?}"));
        }
        match result {
            Ok(warnings) if case["error"].is_null() => {
                assert_eq!(case["warnings"], warnings.len(), "{title}: {warnings:?}");
            }
            Err(error) if case["error"].is_string() => assert_eq!(error.exit_code(), 1, "{title}"),
            other => differing.push(format!("{title}: {other:?}, cliff: {}", case["error"])),
        }
    }
    assert!(differing.is_empty(), "{} of {} differ:\n{}", differing.len(), cases.len(), differing.join("\n"));
}

fn image(name: &str) -> Value {
    json!({"fields": [["id", 1], ["name", name]]})
}

/// Evaluates what `-f shell` writes in a real shell; the value of `variable` there.
fn eval(shell: &str, script: &str, variable: &str) -> String {
    let program = format!("eval \"$1\"; printf '%s|' \"${variable}\"");
    let output = Command::new(shell).args(["-c", &program, "sh", script]).output().unwrap();
    assert!(output.status.success(), "{shell}: {output:?}");
    assert!(output.stderr.is_empty(), "{shell}: {output:?}");
    String::from_utf8(output.stdout).unwrap().strip_suffix('|').unwrap().to_owned()
}

/// The shells that are here: `sh` has to be.
fn shells() -> Vec<&'static str> {
    let there = |shell: &&str| *shell == "sh" || Command::new(shell).arg("-c").arg(":").output().is_ok();
    ["sh", "bash", "dash", "zsh"].into_iter().filter(there).collect()
}

#[test]
fn what_a_shell_evaluates_is_the_value_and_nothing_runs() {
    let marker = tempfile::tempdir().unwrap();
    let trap = marker.path().join("ran");
    let trap = trap.display();
    let hostile = [
        format!("$(touch {trap})"),
        format!("`touch {trap}`"),
        format!("\"; touch {trap}; \""),
        format!("\\\"; touch {trap}; \\\""),
        format!("\\\\\"$(touch {trap})\\"),
        format!("a\n\"\ntouch {trap}\n"),
        format!("'; touch {trap}; '"),
        "${HOME} $HOME $$ $1 $(( 1 + 1 )) ~ * ? ! !! !$ \\! \\n \\".to_owned(),
        "trailing newline\n".to_owned(),
        "\u{e9} \u{4e2d}\u{6587} \u{1b}[31m \u{202e} \t\r".to_owned(),
        String::new(),
    ];
    for value in &hostile {
        let script = text(&image(value), &["-f", "shell"], false);
        for shell in shells() {
            assert_eq!(eval(shell, &script, "name"), *value, "{shell}: {script}");
        }
        assert!(!std::fs::exists(trap.to_string()).unwrap(), "{script} ran");
    }
    for name in [
        format!("a;touch {trap};b"),
        format!("$(touch {trap})"),
        format!("x\ntouch {trap}\ny"),
        format!("`touch {trap}`"),
    ] {
        let data = json!({"fields": [[name, "v"], ["after", "it"]]});
        let script = text(&data, &["-f", "shell"], false);
        for shell in shells() {
            assert_eq!(eval(shell, &script, "after"), "it", "{shell}: {script}");
        }
        assert!(!std::fs::exists(trap.to_string()).unwrap(), "{script} ran");
    }
}

#[test]
fn shell_names_are_those_of_cliff_or_made_of_letters() {
    let data = json!({"fields": [
        ["Owner Name", 1], ["os-hash:algo", 2], ["a;rm -rf", 3], ["1st", 4], ["", 5], ["\u{c4}x", 6], ["nul", "a\0b"]
    ]});
    assert_eq!(
        text(&data, &["-f", "shell"], false),
        "owner_name=\"1\"\nos_hash_algo=\"2\"\na_rm__rf=\"3\"\n_1st=\"4\"\n_=\"5\"\n_x=\"6\"\nnul=\"ab\"\n"
    );
    assert_eq!(text(&data, &["-f", "shell", "--prefix", "9 x;", "-c", "1st"], false), "_9_x_1st=\"4\"\n");
}

#[test]
fn a_terminal_never_gets_a_control_character() {
    let evil: String = (0..0xa0u8)
        .map(char::from)
        .chain("\u{61c}\u{200e}\u{202a}\u{202e}\u{2066}\u{2069}\u{2028}".chars())
        .flat_map(|c| ['x', c])
        .collect();
    let listed = json!({
        "columns": ["Name", "Tags", "Properties"],
        "rows": [[evil, {"$list": [evil]}, {"$dict": {evil.as_str(): evil}}], [[evil], {evil.as_str(): evil}, null]]
    });
    let shown = json!({"fields": [[evil, evil], ["tags", {"$list": [evil]}], ["name", [evil]]]});
    for (data, formats) in
        [(&listed, ["csv", "json", "table", "value", "yaml"]), (&shown, ["shell", "json", "table", "value", "yaml"])]
    {
        for format in formats {
            let written = text(data, &["-f", format], true);
            let raw = written.replace('\n', "");
            assert_eq!(raw.find(is_unsafe), None, "{format}: {written:?}");
            assert!(written.contains("e"), "{format}: {written:?}");
            if !matches!(format, "json" | "yaml") {
                assert!(written.contains("\\x1b"), "{format}: {written:?}");
            }
        }
    }
}

#[test]
fn what_is_escaped_on_a_terminal_is_as_it_is_elsewhere() {
    let data = json!({"columns": ["A", "B"], "rows": [["\u{1b}[31m", "two\nlines\tx"]]});
    assert_eq!(text(&data, &["-f", "value"], false), "\u{1b}[31m two\nlines\tx\n");
    assert_eq!(text(&data, &["-f", "value"], true), "\\x1b[31m two\\nlines\\tx\n");
    assert_eq!(text(&data, &["-f", "csv"], true), "\"A\",\"B\"\n\"\\x1b[31m\",\"two\\nlines\\tx\"\n");
    assert_eq!(
        text(&data, &["-f", "table"], true),
        [
            "+----------+-----------+\n",
            "| A        | B         |\n",
            "+----------+-----------+\n",
            "| \\x1b[31m | two       |\n",
            "|          | lines   x |\n",
            "+----------+-----------+\n",
        ]
        .concat()
    );
}

#[test]
fn unknown_columns_are_named_with_those_there_are() {
    let data = json!({"columns": ["ID", "Disk Format"], "rows": []});
    let (text, result) = run(&data, &["-c", "nope", "-c", "also"], Sink::default());
    let error = result.unwrap_err();
    assert_eq!(text, "");
    assert_eq!(error.message, "no recognized column names in `nope`, `also`");
    assert_eq!(error.next.as_deref(), Some("choose from `ID`, `Disk Format`"));
    assert_eq!(error.exit_code(), 1);
}

#[test]
fn columns_that_cannot_be_sorted_are_warned_about() {
    let data = json!({"columns": ["A"], "rows": [[1], ["x"], [null], [0]]});
    let (text, result) = run(&data, &["-f", "value", "--sort-column", "a"], Sink::default());
    assert_eq!(text, "1\nx\nNone\n0\n");
    assert_eq!(result.unwrap(), ["cannot sort by `A`: its values are of several types"]);
}

#[test]
fn a_reader_that_went_away_keeps_its_kind() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let error = parse::<ShowArgs>(&[]).write(Record::default(), Sink::default(), &mut Gone);
    assert_eq!(error.unwrap_err().exit_code(), 141);
}

#[test]
fn the_options_are_declared_soundly() {
    for (command, wrong) in [
        (ListArgs::augment_args(clap::Command::new("list")), ["list", "-f", "shell"]),
        (ShowArgs::augment_args(clap::Command::new("show")), ["show", "-f", "csv"]),
    ] {
        command.clone().debug_assert();
        assert_eq!(command.try_get_matches_from(wrong).unwrap_err().exit_code(), 2);
    }
    let both = ListArgs::augment_args(clap::Command::new("list"));
    let both = both.try_get_matches_from(["list", "--sort-ascending", "--sort-descending"]);
    assert_eq!(both.unwrap_err().exit_code(), 2);
}

#[test]
fn hostile_text_neither_panics_nor_overflows_a_narrow_table() {
    let pieces = [
        "\u{1b}",
        "[",
        "]8;;",
        "\u{200d}",
        "\u{fe0f}",
        "\u{fe0e}",
        "\u{1f1e9}",
        "\u{94d}",
        "\u{93e}",
        "\u{4e2d}",
        "\u{231a}",
        "-",
        " ",
        "\t",
        "\r\n",
        "\u{1f3fd}",
        "\0",
        "\u{e9}",
        "\u{301}",
        "a",
        "\\",
        "\"",
    ];
    let mut state = 1_u32;
    for round in 0..2_000 {
        let mut name = String::new();
        for _ in 0..round % 40 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            name.push_str(pieces[(state >> 16) as usize % pieces.len()]);
        }
        let data = json!({"fields": [[name, name]]});
        for format in ["table", "yaml", "json", "value", "shell"] {
            for terminal in [false, true] {
                assert!(!text(&data, &["-f", format, "--max-width", "3"], terminal).is_empty());
            }
        }
    }
}
