//! vexctl: makes, shows and checks vexfs file systems.

mod arguments;
mod check;
mod device;
mod failure;
mod mkfs;
mod repair;
mod stat;
mod tree;

use std::io::Write;
use std::process::ExitCode;

use failure::Failure;

const HELP: &str = "\
vexctl: makes, shows and checks vexfs file systems

Usage:
  vexctl mkfs [--blocks N] [--inodes N] [--label TEXT] DEVICE
      Makes an empty file system. What the device held is lost.
        --blocks N    use the first N blocks of 4096 bytes (default: all)
        --inodes N    room for N files and directories, a multiple of 16
                      (default: one for every 16 blocks, at most 65536)
        --label TEXT  a name of at most 32 bytes
  vexctl stat DEVICE
      Shows the superblock and what is free.
  vexctl check [--repair] DEVICE
      Verifies every checksum, the tree of directories, link counts and bitmaps.
        --repair      mends what can be mended without a guess
  vexctl --help
  vexctl --version

DEVICE is a block device that is not mounted, or a file with a file system in it.

Exit status: 0 good; 1 check found problems (with --repair: that are still there);
2 wrong usage; 3 the device can't be read or written, or holds no vexfs.
";

fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    let (verb, rest) = match arguments.split_first() {
        Some((verb, rest)) => (verb.as_str(), rest),
        None => {
            return Err(Failure::usage(
                "a command is missing; allowed: mkfs, stat, check",
            ))
        }
    };
    let wants_help = rest
        .iter()
        .any(|argument| argument == "--help" || argument == "-h");
    match verb {
        "--help" | "-h" | "help" => print(HELP),
        "--version" => print(concat!("vexctl ", env!("CARGO_PKG_VERSION"), "\n")),
        "mkfs" | "stat" | "check" if wants_help => print(HELP),
        "mkfs" => mkfs::run(rest),
        "stat" => stat::run(rest),
        "check" => check::run(rest),
        other => Err(Failure::usage(format!(
            "unknown command '{other}'; allowed: mkfs, stat, check"
        ))),
    }
}

/// Prints to standard output; a reader that goes away early is no failure.
pub fn print(text: &str) -> Result<ExitCode, Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::device("standard output", &error))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    run(&arguments).unwrap_or_else(|failure| {
        eprintln!("vexctl: {failure}");
        failure.exit_code()
    })
}
