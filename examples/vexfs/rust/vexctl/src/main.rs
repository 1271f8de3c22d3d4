//! vexctl: makes, shows and checks vexfs file systems, and works with collections of vectors.

mod arguments;
mod bitmaps;
mod check;
mod collection;
mod device;
mod exclusive;
mod failure;
mod mkfs;
mod stat;

use std::fmt::Write as _;
use std::io::Write;
use std::process::ExitCode;

use failure::Failure;

/// What a command does, and how it is told to.
pub struct Command {
    name: &'static str,
    summary: &'static str,
    /// Starts with the usage.
    help: &'static str,
    run: fn(&[String]) -> Result<ExitCode, Failure>,
}

const COMMANDS: [&Command; 9] = [
    &mkfs::COMMAND,
    &stat::COMMAND,
    &check::COMMAND,
    &collection::create::COMMAND,
    &collection::insert::COMMAND,
    &collection::fetch::COMMAND,
    &collection::delete::COMMAND,
    &collection::search::COMMAND,
    &collection::index::COMMAND,
];

fn names() -> String {
    COMMANDS.map(|command| command.name).join(", ")
}

fn help() -> String {
    let mut text = "\
vexctl: makes, shows and checks vexfs file systems, and works with their
collections of vectors

Usage: vexctl COMMAND [OPTION…] ARGUMENT…

Commands:
"
    .to_owned();
    for command in COMMANDS {
        let _ = writeln!(text, "  {:<8}{}", command.name, command.summary);
    }
    text.push_str(
        "
vexctl COMMAND --help tells how each is used; vexctl --version tells the version.

Exit status: 0 good; 1 check found problems (with --repair: that are still there);
2 wrong usage; 3 a device or file can't be read or written, or is not what it has
to be.
",
    );
    text
}

fn run(arguments: &[String]) -> Result<ExitCode, Failure> {
    let (word, rest) = match arguments.split_first() {
        Some((word, rest)) => (word.as_str(), rest),
        None => {
            let allowed = names();
            let text = format!("a command is missing; allowed: {allowed}");
            return Err(Failure::usage(text));
        }
    };
    match word {
        "--help" | "-h" | "help" => return print(&help()),
        "--version" => return print(concat!("vexctl ", env!("CARGO_PKG_VERSION"), "\n")),
        _ => {}
    }
    let command = match COMMANDS.iter().find(|command| command.name == word) {
        Some(command) => command,
        None => {
            let text = format!("unknown command '{word}'; allowed: {}", names());
            return Err(Failure::usage(text));
        }
    };
    let mut options = rest.iter().take_while(|&word| word != "--");
    if options.any(|word| word == "--help" || word == "-h") {
        return print(command.help);
    }
    (command.run)(rest)
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
