//! `vexctl create`: a new collection.

use std::process::ExitCode;

use vexfs_ffi::abi::MAX_DIMENSION;
use vexfs_ffi::{Collection, Metric};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::{print, Command};

pub const COMMAND: Command = Command {
    name: "create",
    summary: "makes a collection of vectors",
    help: "\
Usage: vexctl create --dimension N [--metric l2|cosine] FILE

Makes a collection of vectors of FILE, which does not exist or is empty, on a
mounted vexfs.
  --dimension N  components of each vector, 1 to 1024
  --metric NAME  how the distance of two vectors is measured: l2, the square of
                 the Euclidean distance (the default), or cosine, 1 - cosine in
                 units of 2^-20
",
    run,
};

fn run(words: &[String]) -> Result<ExitCode, Failure> {
    let arguments = Arguments::parse(words, &["--dimension", "--metric"], &[])?;
    let file = arguments.only("file")?;
    let dimension = arguments
        .number_in("--dimension", 1..=MAX_DIMENSION)?
        .ok_or_else(|| {
            Failure::usage(format!(
                "--dimension is missing; allowed: 1 to {MAX_DIMENSION}"
            ))
        })?;
    let metric: Metric = arguments
        .value("--metric")
        .unwrap_or("l2")
        .parse()
        .map_err(Failure::usage)?;
    let collection = Collection::create(file, dimension as usize, metric)?;
    collection.sync()?;
    print(&format!(
        "{file}: a collection of vectors of dimension {dimension}, metric {metric}\n"
    ))
}
