//! Trials of collections of vectors on a mounted vexfs; `tests/vectors.sh` runs them, each in a case
//! of its own. A trial that fails says what was wrong and ends with a status other than 0. What it
//! has measured it prints in lines `measure: NAME=NUMBER UNIT`.

#![deny(unsafe_op_in_unsafe_fn)]

mod crowd;
mod damage;
mod definition;
mod edges;
mod exact;
mod inverted_file;
mod model;
mod random;
mod raw;
mod recall;
mod snapshot;

use std::path::Path;
use std::process::exit;

use vexfs_ffi::{Error, Metric};

use recall::Kind;

const USAGE: &str = "Usage: vector_trials TRIAL ARGUMENT...
  exact METRIC SEED FOLDER
  recall METRIC clustered|uniform FILE
  edge NAME SEED FOLDER
  make METRIC FILE
  show SEED FILE
  crowd METRIC SEED FILE
  damage DEVICE MOUNTPOINT VEXCTL
  fuzz SEED DEVICE MOUNTPOINT VEXCTL";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Some(Ok(())) => {}
        Some(Err(error)) => {
            eprintln!("{error}");
            exit(1);
        }
        None => {
            eprintln!("{USAGE}");
            exit(2);
        }
    }
}

/// `None`: that is no trial.
fn run(arguments: &[&str]) -> Option<Result<(), Error>> {
    let path = Path::new::<str>;
    Some(match *arguments {
        ["exact", metric, seed, folder] => {
            exact::run(path(folder), self::metric(metric)?, number(seed)?)
        }
        ["recall", metric, kind, file] => {
            let kind = match kind {
                "clustered" => Kind::Clustered,
                "uniform" => Kind::Uniform,
                _ => return None,
            };
            recall::run(path(file), self::metric(metric)?, kind)
        }
        ["edge", name, seed, folder] => edge(name, number(seed)?, path(folder))?,
        ["make", metric, file] => snapshot::make(path(file), self::metric(metric)?),
        ["show", seed, file] => snapshot::show(path(file), number(seed)?),
        ["crowd", metric, seed, file] => {
            crowd::run(path(file), self::metric(metric)?, number(seed)?)
        }
        ["crowd-member", role, of, seed, file] => {
            crowd::member(role, number(of)?, number(seed)?, path(file))
        }
        ["damage", device, mountpoint, vexctl] => {
            damage::run(path(device), path(mountpoint), path(vexctl))
        }
        ["fuzz", seed, device, mountpoint, vexctl] => {
            damage::fuzz(path(device), path(mountpoint), path(vexctl), number(seed)?)
        }
        _ => return None,
    })
}

fn edge(name: &str, seed: u64, folder: &Path) -> Option<Result<(), Error>> {
    Some(match name {
        "insertions" => edges::insertions(folder),
        "more-than-there-are" => edges::more_than_there_are(folder),
        "most-results" => edges::most_results(folder),
        "empty-collection" => edges::empty_collection(folder),
        "zero-vectors" => edges::zero_vectors(folder),
        "duplicates" => edges::duplicates(folder),
        "other-dimensions" => edges::other_dimensions(folder),
        "deleted-vectors" => edges::deleted_vectors(folder, seed),
        "probes" => edges::probes(folder),
        "cells" => edges::cells(folder),
        "insertion-into-cells" => edges::insertion_into_cells(folder, seed),
        "index-made-anew" => edges::index_made_anew(folder),
        "described-index" => edges::described_index(folder, seed),
        _ => return None,
    })
}

fn metric(name: &str) -> Option<Metric> {
    name.parse().ok()
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}
