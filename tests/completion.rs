//! What the completion scripts get when they ask, from the real program.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// rimg away from the user's clouds and variables, in this directory.
fn rimg(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rimg"));
    command.current_dir(directory).env_clear().env("HOME", directory).env("XDG_CONFIG_DIRS", directory);
    command
}

fn ask(directory: &Path, shell: &str, words: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = rimg(directory);
    command.env("RIMG_COMPLETE", shell).envs(variables.iter().copied()).arg("--").args(words).output().unwrap()
}

/// The candidates, after checking that nothing else was said.
fn completed(directory: &Path, shell: &str, words: &[&str]) -> Vec<String> {
    let output = ask(directory, shell, words, &[]);
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()), "{words:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join(name), text).unwrap();
}

/// A cloud without Keystone that has these images. It serves until the test ends.
fn cloud(directory: &Path, images: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let images = images.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut piece = [0; 4096];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut piece) {
                    Ok(count @ 1..) => request.extend_from_slice(&piece[..count]),
                    _ => break,
                }
            }
            let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
            let body = match line.contains("/v2/images") {
                true => images.clone(),
                false => format!(
                    r#"{{"versions": [{{"id": "v2.9", "status": "CURRENT", "links": [{{"rel": "self", "href": "http://127.0.0.1:{port}/v2/"}}]}}]}}"#
                ),
            };
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
            let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    write(
        directory,
        "clouds.yaml",
        &format!(
            "clouds:\n  here:\n    auth_type: none\n    auth: {{endpoint: 'http://127.0.0.1:{port}'}}\n  other cloud:\n    auth: {{}}\n"
        ),
    );
}

const IMAGES: &str = r#"{"images": [
    {"id": "11111111-0000-0000-0000-000000000000", "name": "cirros", "status": "active"},
    {"id": "22222222-0000-0000-0000-000000000000", "name": "my image", "status": "active"},
    {"id": "33333333-0000-0000-0000-000000000000", "name": "it's $(touch x) \"q\"", "status": "queued"},
    {"id": "44444444-0000-0000-0000-000000000000", "name": "bad\u001b[31m\nname", "status": "active"},
    {"id": "55555555-0000-0000-0000-000000000000", "name": "--force", "status": "active"},
    {"id": "66666666-0000-0000-0000-000000000000", "name": "a:b", "status": "active"}]}"#;

#[test]
fn words_options_and_values_are_completed() {
    let here = tempfile::tempdir().unwrap();
    let completed = |words: &[&str]| completed(here.path(), "bash", words);
    assert_eq!(completed(&["rimg", "im"]), ["image"]);
    assert_eq!(completed(&["rimg", "image", "sh"]), ["show"]);
    assert_eq!(completed(&["rimg", "im", "li", "--member"]), ["--member-status"]);
    assert_eq!(completed(&["rimg", "image", "list", "-f", "j"]), ["json"]);
    assert_eq!(completed(&["rimg", "image", "create", "--disk-format", "vh"]), ["vhd", "vhdx"]);
    assert_eq!(completed(&["rimg", "image", "list", "-c", "Di"]), [r"Disk\ Format"]);
    assert_eq!(completed(&["rimg", "image", "list", "-c", "'Di"]), ["Disk Format"]);
}

#[test]
fn clouds_are_those_of_the_file() {
    let here = tempfile::tempdir().unwrap();
    write(here.path(), "clouds.yaml", "clouds: {alpha: {}, 'be ta': {}}");
    assert_eq!(completed(here.path(), "bash", &["rimg", "--os-cloud", ""]), ["alpha", r"be\ ta", "local"]);
    assert_eq!(completed(here.path(), "bash", &["rimg", "image", "show", "--os-cloud=b"]), [r"--os-cloud=be\ ta"]);
    assert_eq!(completed(here.path(), "fish", &["rimg", "image", "show", "x", "--os-cloud", "be"]), ["be ta"]);
    write(here.path(), "clouds.yaml", "clouds: [broken");
    assert_eq!(completed(here.path(), "bash", &["rimg", "--os-cloud", ""]), ["local"]);
}

#[test]
fn images_are_those_of_the_cloud_and_safe_in_every_shell() {
    let here = tempfile::tempdir().unwrap();
    cloud(here.path(), IMAGES);
    let line = ["rimg", "--os-cloud", "here", "im", "show"];
    let all = |shell, current| completed(here.path(), shell, &[line.as_slice(), &[current]].concat());
    assert_eq!(
        all("bash", ""),
        [
            "cirros",
            r"my\ image",
            r#"it\'s\ \$\(touch\ x\)\ \"q\""#,
            "44444444-0000-0000-0000-000000000000",
            "55555555-0000-0000-0000-000000000000",
            "a:b"
        ]
    );
    assert_eq!(all("bash", "'my im"), ["my image"]);
    assert_eq!(all("bash", r"my\ "), [r"my\ image"]);
    assert_eq!(all("bash", "\"it"), [r#"it's \$(touch x) \"q\"""#]);
    assert_eq!(all("bash", "2"), ["22222222-0000-0000-0000-000000000000"]);
    assert_eq!(all("zsh", "a"), [r"a\:b:active"]);
    assert_eq!(all("fish", "my"), ["my image\tactive"]);
    assert_eq!(all("elvish", "my"), ["my image"]);
    assert_eq!(all("powershell", "=it"), ["'it''s $(touch x) \"q\"'\tqueued"]);
    assert_eq!(
        completed(here.path(), "bash", &["rimg", "image", "delete", "cirros", "--os-cloud", "'here'", "ci"]),
        ["cirros"]
    );
    let by_variable = ask(here.path(), "bash", &["rimg", "image", "save", "ci"], &[("OS_CLOUD", "here")]);
    assert_eq!(String::from_utf8(by_variable.stdout).unwrap(), "cirros\n");
}

#[test]
fn trouble_is_silent_and_short() {
    let here = tempfile::tempdir().unwrap();
    // A server that takes connections and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}", listener.local_addr().unwrap());
    write(
        here.path(),
        "clouds.yaml",
        &format!(
            "clouds:\n  silent: {{auth_type: none, auth: {{endpoint: '{silent}'}}}}\n  \
             gone: {{auth_type: none, auth: {{endpoint: 'http://127.0.0.1:1'}}}}\n  \
             asks: {{auth: {{auth_url: '{silent}', username: u, project_name: p}}}}\n  old: {{auth: {{}}, colour: 1}}\n"
        ),
    );
    for cloud in ["silent", "gone", "asks", "old", "nosuch"] {
        let begun = Instant::now();
        let words = ["rimg", "--os-cloud", cloud, "image", "show", ""];
        assert!(completed(here.path(), "bash", &words).is_empty(), "{cloud}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{cloud}: {:?}", begun.elapsed());
    }
    assert!(completed(here.path(), "bash", &["rimg", "image", "show", ""]).is_empty());
    assert!(completed(here.path(), "bash", &["rimg", "--log-file", "log", "image", "show", ""]).is_empty());
    assert!(!here.path().join("log").exists(), "completion writes no log");
    for words in
        [vec![], vec![""], vec!["rimg"], vec!["rimg", "nosuch", "x"], vec!["rimg", "image", "--min", "1", "li"]]
    {
        assert_eq!(ask(here.path(), "bash", &words, &[]).status.code(), Some(0), "{words:?}");
    }
}

#[test]
fn a_variable_that_names_no_shell_changes_nothing() {
    let here = tempfile::tempdir().unwrap();
    let output = rimg(here.path()).env("RIMG_COMPLETE", "1").arg("--version").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("rimg {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn complete_prints_the_script_of_a_shell_for_a_name() {
    let here = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| rimg(here.path()).args(args).output().unwrap();
    let text = |args: &[&str]| String::from_utf8(run(args).stdout).unwrap();
    assert!(text(&["complete"]).starts_with("# Completion of rimg for bash.\n"));
    assert!(text(&["complete", "--shell", "zsh"]).starts_with("#compdef rimg\n"));
    assert!(text(&["complete", "--shell", "fish", "--name", "ri"]).contains("complete --command ri "));
    assert_eq!(run(&["complete", "--shell", "tcsh"]).status.code(), Some(2));
    assert_eq!(run(&["complete", "--name", "a b"]).status.code(), Some(2));
}
