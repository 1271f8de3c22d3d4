//! `vexctl fetch`: vectors by their ids.

use std::process::ExitCode;

use vexfs_ffi::{Access, Collection};

use super::{id, text};
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::{print, Command};

pub const COMMAND: Command = Command {
    name: "fetch",
    summary: "prints vectors by their ids",
    help: "\
Usage: vexctl fetch FILE ID…

Prints the vectors with these ids from the collection FILE, one a line, as
vexctl insert reads them.
",
    run,
};

fn run(words: &[String]) -> Result<ExitCode, Failure> {
    let arguments = Arguments::parse(words, &[], &[])?;
    let (file, ids) = arguments.first_and_rest("file", "id")?;
    let ids: Vec<u64> = ids.iter().map(|text| id(text)).collect::<Result<_, _>>()?;
    let collection = Collection::open(file, Access::Read)?;
    for id in ids {
        print(&text::line(&collection.fetch(id)?))?;
    }
    Ok(ExitCode::SUCCESS)
}
