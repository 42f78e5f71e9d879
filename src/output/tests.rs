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
    let golden: Value =
        serde_json::from_str(include_str!("../../tests/cliff/golden.json")).unwrap();
    let mut differing = Vec::new();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 100, "golden.json has lost its cases");
    for case in cases {
        let data = &golden["data"][case["data"].as_str().unwrap()];
        let arguments: Vec<&str> =
            case["arguments"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect();
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
    assert!(
        differing.is_empty(),
        "{} of {} differ:\n{}",
        differing.len(),
        cases.len(),
        differing.join("\n")
    );
}
