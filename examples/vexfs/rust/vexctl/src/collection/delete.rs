//! `vexctl delete`: vectors leave a collection.

use std::process::ExitCode;

use vexfs_ffi::{Access, Collection};

use super::id;
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::{print, Command};

pub const COMMAND: Command = Command {
    name: "delete",
    summary: "deletes vectors by their ids",
    help: "\
Usage: vexctl delete FILE ID…

Deletes the vectors with these ids from the collection FILE, in this order. It
ends at the first that is not there; those before it are deleted.
",
    run,
};

fn run(words: &[String]) -> Result<ExitCode, Failure> {
    let arguments = Arguments::parse(words, &[], &[])?;
    let (file, ids) = arguments.first_and_rest("file", "id")?;
    let ids: Vec<u64> = ids.iter().map(|text| id(text)).collect::<Result<_, _>>()?;
    let collection = Collection::open(file, Access::ReadWrite)?;
    let done = ids.iter().try_for_each(|&id| collection.delete(id));
    collection.sync()?;
    done?;
    print(&format!("{file}: {} deleted\n", ids.len()))
}
