//! What help and wrong lines say, where, and with which exit code.

use std::process::Command;

/// Exit code, stdout, stderr of `rimg` with these arguments, away from any
/// cloud, as in a terminal of 80 columns.
fn rimg(line: &str) -> (i32, String, String) {
    let nowhere = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_rimg"))
        .args(line.split_whitespace())
        .current_dir(&nowhere)
        .env_clear()
        .env("HOME", nowhere.path())
        .env("XDG_CONFIG_DIRS", nowhere.path())
        .env("COLUMNS", "80")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// What a line for which everything goes well prints.
fn printed(line: &str) -> String {
    let (code, stdout, stderr) = rimg(line);
    assert_eq!((code, stderr.as_str()), (0, ""), "{line}");
    assert!(!stdout.contains('\x1b'), "no colours outside of a terminal: {line}");
    for text in stdout.lines() {
        // The usage is one line, however many words the command has.
        assert!(text.chars().count() <= 80 || text.starts_with("Usage: "), "{line}: {text}");
    }
    stdout
}

#[test]
fn the_short_help_lists_the_commands_and_the_most_used_options() {
    let short = printed("");
    assert_eq!(printed("-h"), short);
    assert!(short.starts_with(
        "OpenStack images: create, find, change, move and verify them\n\n\
         Usage: rimg [OPTIONS] <COMMAND> [ARGUMENTS]\n       rimg help [COMMAND]\n       \
         rimg [OPTIONS]    (a prompt, or a batch: commands on stdin, one a line)\n\nCommands:\n"
    ));
    let lines: Vec<&str> = short.lines().collect();
    for (words, about) in [
        ("image create", "Create an image, with its data or without"),
        ("image unset", "Remove tags and properties from an image"),
        ("complete", "Print a completion script for a shell"),
        ("help", "Print help on a command"),
    ] {
        let listed = |line: &&str| line.trim_start().starts_with(&format!("{words} ")) && line.ends_with(about);
        assert!(lines.iter().any(listed), "{words}: {short}");
    }
    // Each command is there, or the group that it is one of.
    for entry in rimg::commands::ALL {
        let mut words = entry.words.to_owned();
        let listed = |words: &str| lines.iter().any(|line| line.trim_start().starts_with(&format!("{words} ")));
        while !listed(&words) {
            words.truncate(words.rfind(' ').unwrap_or_else(|| panic!("`{}` is not in {short}", entry.words)));
        }
    }
    assert!(short.contains("--os-cloud <NAME>") && !short.contains("--os-token"));
    assert!(short.ends_with("`rimg --help` lists all options.\n"));
    assert!(short.lines().count() < 90);
}

#[test]
fn the_long_help_lists_all_options() {
    let long = printed("--help");
    for same in ["help", "-v --help", "--hel"] {
        assert_eq!(printed(same), long, "{same}");
    }
    assert!(long.contains("\n  image unset "));
    assert!(long.contains("--os-token <TOKEN>") && long.contains("--os-device-authorization-endpoint <URL>"));
    assert!(!long.contains("--os-tenant-name"));
}

#[test]
fn help_on_words_is_that_of_the_commands_they_begin() {
    let of_member = "Commands that begin with `image member`:\n  \
        image member get   Show how an image is shared with a project\n  \
        image member list  List the projects that an image is shared with\n";
    assert_eq!(printed("help image member"), of_member);
    assert_eq!(printed("image member --help"), of_member);
    let create = printed("image create --help");
    for same in ["help image create", "help im cr", "im cr --help", "--debug help image create"] {
        assert_eq!(printed(same), create, "{same}");
    }
    assert!(create.starts_with("Create an image, with its data or without\n\nData comes from --file,"), "{create}");
    assert!(printed("help complete").contains("--name <NAME>"));
}

#[test]
fn the_help_of_a_command_leaves_the_global_options_out() {
    assert_eq!(
        printed("im show -h"),
        "\
Show one image

Usage: rimg image show [OPTIONS] <IMAGE>

Arguments:
  <IMAGE>  The image (name or ID)

Options:
      --human-readable  Write the size as people read it

Output:
  -f, --format <FORMAT>      Write the fields in this format [default: table]
                             [possible values: json, shell, table, value, yaml]
  -c, --column <FIELD>       Write only this field; may be repeated, case and
                             `_` for a space do not matter
      --noindent             Write JSON on one line
      --prefix <PREFIX>      Begin the names of shell variables with this
      --max-width <COLUMNS>  Wrap a table to this many columns; below 1 there is
                             no limit [env: CLIFF_MAX_TERM_WIDTH]
      --fit-width            Wrap a table to the width of the terminal (done
                             anyway when stdout is one) [env: CLIFF_FIT_WIDTH]
      --print-empty          Taken as `openstack` takes it; one thing is never
                             without rows

Examples:
  rimg image show cirros
  rimg image show cirros -f value -c id
  eval \"$(rimg image show cirros -f shell --prefix image_)\"

Global options (which cloud, what is said): see `rimg --help`
"
    );
}

#[test]
fn every_command_has_help_at_80_columns_with_examples() {
    for entry in rimg::commands::ALL {
        for line in [format!("{} -h", entry.words), format!("{} --help", entry.words)] {
            let help = printed(&line);
            let usage = |end: &str| help.contains(&format!("\nUsage: rimg {}{end}", entry.words));
            assert!(usage(" ") || usage("\n"), "{help}");
            assert!(help.contains("\nExamples:\n  rimg "), "{help}");
            assert!(!help.contains("--os-cloud"), "{help}");
        }
    }
}

#[test]
fn the_version_is_printed_wherever_it_is_asked_for() {
    let version = format!("rimg {}\n", env!("CARGO_PKG_VERSION"));
    for line in ["--version", "--version image list", "image list --version", "--vers"] {
        assert_eq!(printed(line), version);
    }
}

#[test]
fn wrong_lines_say_so_on_stderr() {
    let failed = |line: &str| {
        let (code, stdout, stderr) = rimg(line);
        assert_eq!(stdout, "", "{line}");
        (code, stderr)
    };
    assert_eq!(
        failed("help nosuch"),
        (1, "error: there is no command `nosuch`\nhint: `rimg help` lists the commands\n".to_owned())
    );
    assert_eq!(
        failed("image lst"),
        (
            2,
            "error: there is no command `image lst`\n  rimg image list\n\
             hint: did you mean this one? `rimg help` lists them all\n"
                .to_owned()
        )
    );
    assert_eq!(
        failed("image s"),
        (
            2,
            "error: `image s` could be one of several commands\n  rimg image save\n  rimg image schema show\n  rimg image set\n  \
             rimg image show\n  rimg image stage\n  rimg image stores list\nhint: `rimg help image s` says what they do\n"
                .to_owned()
        )
    );
    assert_eq!(
        failed("image create x --min 1"),
        (
            2,
            "error: `--min` could be one of several options\n  --min-disk\n  --min-ram\nhint: write more of it\n"
                .to_owned()
        )
    );
    for line in ["image list --nosuch", "image show", "image list -f xml", "--nosuch", "image list --quiet -v"] {
        let (code, stderr) = failed(line);
        assert_eq!(code, 2, "{line}");
        assert!(stderr.starts_with("error: "), "{stderr}");
        assert!(stderr.contains("try '--help'"), "{stderr}");
    }
}

#[test]
fn of_a_repeated_option_the_last_counts_and_contradictions_stay_errors() {
    // Both get as far as looking for a cloud.
    for line in [
        "image list -f json -f yaml --long --long --limit 1 --limit 2",
        "image create x --public --public --disk-format raw --disk-format qcow2 --tag a --tag b",
        "--os-cloud= image list",
    ] {
        let (code, _, stderr) = rimg(line);
        assert_eq!(code, 1, "{line}: {stderr}");
        assert!(stderr.starts_with("error: no cloud is configured"), "{line}: {stderr}");
    }
    for line in
        ["image list --public --private", "image create x --protected --unprotected", "image list --verify --insecure"]
    {
        assert_eq!(rimg(line).0, 2, "{line}");
    }
}
