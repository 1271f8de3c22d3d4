//! The commands for collections, as far as they get without a kernel that has vexfs.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn vexctl(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vexctl"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Exit status and what was said to the person.
fn complaint(arguments: &[&str]) -> (i32, String) {
    let output = vexctl(arguments);
    assert!(output.stdout.is_empty(), "{arguments:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

struct PlainFile(PathBuf);

impl PlainFile {
    fn new(name: &str) -> Self {
        let name = format!("vexctl-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, "").unwrap();
        Self(path)
    }

    fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for PlainFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn each_command_tells_its_usage() {
    let help = String::from_utf8(vexctl(&["--help"]).stdout).unwrap();
    for command in [
        "mkfs", "stat", "check", "create", "insert", "fetch", "delete", "search", "index",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{command}");
        let output = vexctl(&[command, "--help"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let usage = format!("Usage: vexctl {command} ");
        assert!(
            output.status.success() && text.starts_with(&usage),
            "{text}"
        );
        assert!(
            text.lines().all(|line| line.chars().count() <= 84),
            "{text}"
        );
    }
}

#[test]
fn plain_file_is_no_collection() {
    let file = PlainFile::new("plain");
    let name = file.name();
    for (arguments, operation) in [
        (&["create", "--dimension", "3", name][..], "create"),
        (&["insert", name], "open"),
        (&["fetch", name, "1"], "open"),
        (&["delete", name, "1"], "open"),
        (&["search", name, "1,2,3"], "open"),
        (&["index", name], "open"),
        (&["index", name, "--remove"], "open"),
    ] {
        let (status, text) = complaint(arguments);
        assert_eq!(status, 3, "{text}");
        let expected = format!("vexctl: {name}: {operation}: no collection of vectors");
        assert!(text.starts_with(&expected), "{text}");
    }
    assert!(file.0.exists());
}

#[test]
fn file_that_is_no_collection_in_the_end_does_not_stay() {
    let name = format!("{}-new", PlainFile::new("new").name());
    let (status, text) = complaint(&["create", "--dimension=3", &name]);
    assert_eq!(status, 3, "{text}");
    assert!(!PathBuf::from(&name).exists());
}

#[test]
fn wrong_usage_is_named() {
    for (arguments, message) in [
        (
            &["create", "x"][..],
            "--dimension is missing; allowed: 1 to 1024",
        ),
        (
            &["create", "--dimension", "0", "x"],
            "--dimension 0; allowed: 1 to 1024",
        ),
        (
            &["create", "--dimension", "3", "--metric", "l1", "x"],
            "metric 'l1'; allowed: l2, cosine",
        ),
        (&["insert"], "the file is missing"),
        (&["insert", "a", "b", "c"], "found 'c' too"),
        (&["fetch", "x"], "the id is missing"),
        (&["fetch", "x", "-1"], "id '-1'; allowed: numbers from 0 on"),
        (&["delete", "x", "one"], "id 'one'"),
        (&["search", "x"], "the vector is missing"),
        (&["search", "-k", "0", "x", "1"], "-k 0; allowed: 1 to 1024"),
        (
            &["search", "--exact", "--probes", "2", "x", "1"],
            "--exact and --probes exclude each other",
        ),
        (
            &["index", "x", "--cells", "257"],
            "--cells 257; allowed: 1 to 256",
        ),
        (
            &["index", "x", "--remove", "--seed", "3"],
            "--remove and --seed exclude each other",
        ),
        (&["dance"], "unknown command 'dance'; allowed: mkfs, stat,"),
    ] {
        let (status, text) = complaint(arguments);
        assert_eq!(status, 2, "{arguments:?}: {text}");
        assert!(text.contains(message), "{arguments:?}: {text}");
        assert!(text.ends_with("Try: vexctl --help\n"), "{text}");
    }
}
