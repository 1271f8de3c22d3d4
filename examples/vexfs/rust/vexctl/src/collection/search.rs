//! `vexctl search`: the vectors nearest to a query.

use std::fmt::Write;
use std::process::ExitCode;

use vexfs_ffi::abi::{MAX_CELLS, MAX_RESULTS};
use vexfs_ffi::{Access, Collection, Found};

use super::text;
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::{print, Command};

pub const COMMAND: Command = Command {
    name: "search",
    summary: "finds the vectors nearest to others",
    help: "\
Usage: vexctl search FILE [-k N] [--exact | --probes N] VECTOR…

Finds the vectors of the collection FILE that are nearest to each VECTOR, which is
one argument: integers separated by commas or blanks ('1,-2,3' or '1 -2 3').
  -k N        how many, 1 to 1024 (default: 10)
  --exact     compares with all vectors (the default)
  --probes N  compares with those in the N cells of the index that are nearest, 1
              to 256, no more than the index has

Prints id and distance of each, separated by a tab, the nearest first, and at the
end of each search '# ' and how many distances were computed.
",
    run,
};

fn run(words: &[String]) -> Result<ExitCode, Failure> {
    let arguments = Arguments::parse(words, &["-k", "--probes"], &["--exact"])?;
    let (file, queries) = arguments.first_and_rest("file", "vector")?;
    let k = arguments.number_in("-k", 1..=MAX_RESULTS)?.unwrap_or(10);
    let probes = arguments.number_in("--probes", 1..=MAX_CELLS)?;
    if probes.is_some() && arguments.has("--exact") {
        return Err(Failure::usage("--exact and --probes exclude each other"));
    }
    let collection = Collection::open(file, Access::Read)?;
    let queries: Vec<Vec<i16>> = queries
        .iter()
        .map(|query| {
            text::vector(query, collection.dimension())
                .map_err(|fault| Failure::usage(format!("vector '{query}': {fault}")))
        })
        .collect::<Result<_, _>>()?;
    for query in queries {
        let found = match probes {
            Some(probes) => collection.search_index(&query, k as usize, probes)?,
            None => collection.search_exact(&query, k as usize)?,
        };
        print(&describe(&found))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn describe(found: &Found) -> String {
    let mut text = String::new();
    for neighbour in &found.neighbours {
        let _ = writeln!(text, "{}\t{}", neighbour.id, neighbour.distance);
    }
    let _ = writeln!(text, "# {} distances", found.distances);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use vexfs_ffi::Neighbour;

    #[test]
    fn results_are_lines() {
        let found = Found {
            neighbours: vec![Neighbour {
                id: 7,
                distance: 12,
            }],
            distances: 100,
        };
        assert_eq!(describe(&found), "7\t12\n# 100 distances\n");
    }
}
