//! `vexctl index`: the index of a collection.

use std::process::ExitCode;

use vexfs_ffi::abi::{MAX_CELLS, MAX_ITERATIONS};
use vexfs_ffi::{Access, Collection};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::{print, Command};

pub const COMMAND: Command = Command {
    name: "index",
    summary: "makes the index of a collection anew, or removes it",
    help: "\
Usage: vexctl index FILE [--cells N] [--iterations N] [--seed N]
       vexctl index FILE --remove

Divides the vectors of the collection FILE into cells by k-means; vectors that
are inserted later go to the cell of the nearest centroid.
  --cells N       1 to 256, and no more than there are vectors (default: the
                  square root of the number of vectors)
  --iterations N  of k-means, at most, 1 to 100 (default: 20)
  --seed N        of the choice of the first centroids (default: 1); the same
                  seed makes the same index
  --remove        searches with --probes are refused from then on
",
    run,
};

fn run(words: &[String]) -> Result<ExitCode, Failure> {
    let options = ["--cells", "--iterations", "--seed"];
    let arguments = Arguments::parse(words, &options, &["--remove"])?;
    let file = arguments.only("file")?;
    let cells = arguments.number_in("--cells", 1..=MAX_CELLS)?;
    let iterations = arguments.number_in("--iterations", 1..=MAX_ITERATIONS)?;
    let seed = arguments.number_in("--seed", 0..=u64::MAX)?;

    if arguments.has("--remove") {
        if let Some(other) = options.iter().find(|name| arguments.value(name).is_some()) {
            return Err(Failure::usage(format!(
                "--remove and {other} exclude each other"
            )));
        }
        let collection = Collection::open(file, Access::ReadWrite)?;
        collection.remove_index()?;
        return print(&format!("{file}: no index\n"));
    }
    let collection = Collection::open(file, Access::ReadWrite)?;
    let vectors = collection.info()?.vectors;
    let cells = cells.unwrap_or_else(|| default_cells(vectors));
    collection.build_index(cells, iterations.unwrap_or(20), seed.unwrap_or(1))?;
    print(&format!(
        "{file}: an index of {cells} cells for {vectors} vectors\n"
    ))
}

fn default_cells(vectors: u64) -> u32 {
    let root = (vectors as f64).sqrt() as u64;
    root.clamp(1, u64::from(MAX_CELLS)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_the_root_of_the_vectors() {
        assert_eq!(default_cells(0), 1);
        assert_eq!(default_cells(10_000), 100);
        assert_eq!(default_cells(1 << 20), MAX_CELLS);
    }
}
