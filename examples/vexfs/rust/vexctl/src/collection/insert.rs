//! `vexctl insert`: vectors from text into a collection.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::process::ExitCode;

use vexfs_ffi::abi::MAX_INSERT;
use vexfs_ffi::{Access, Collection};

use super::progress::Progress;
use super::text;
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::{print, Command};

pub const COMMAND: Command = Command {
    name: "insert",
    summary: "adds vectors to a collection",
    help: "\
Usage: vexctl insert FILE [VECTORS]

Adds vectors to the collection FILE and tells the ids that they got. VECTORS is a
file with one vector a line, integers from -32768 to 32767 separated by blanks or
commas; empty lines are passed over. Without it, or with -, standard input is read.

Up to 1024 vectors are inserted at once. When a line is wrong, or the disk is full,
the vectors of earlier groups are in the collection; the message tells which.
",
    run,
};

/// Longer than any vector: 1024 components, each with a sign, five digits and room between them.
const LONGEST_LINE: u64 = 64 * 1024;

fn run(words: &[String]) -> Result<ExitCode, Failure> {
    let arguments = Arguments::parse(words, &[], &[])?;
    let (file, source) = match &arguments.operands[..] {
        [] => return Err(Failure::usage("the file is missing")),
        [file] => (file, "-"),
        [file, source] => (file, source.as_str()),
        [_, _, other, ..] => {
            return Err(Failure::usage(format!(
                "one file of vectors is allowed, found '{other}' too"
            )))
        }
    };
    let collection = Collection::open(file, Access::ReadWrite)?;
    let mut inserted = Vec::new();
    let done = match source {
        "-" => {
            let input = BufReader::new(io::stdin());
            insert(&collection, "standard input", input, &mut inserted)
        }
        name => match File::open(name) {
            Ok(file) => insert(&collection, name, BufReader::new(file), &mut inserted),
            Err(error) => Err(Failure::device(name, &error)),
        },
    };
    let synced = collection.sync();
    let count: u64 = inserted.iter().map(|ids| ids.end - ids.start).sum();
    print(&format!(
        "{file}: {count} inserted{}\n",
        describe(&inserted)
    ))?;
    done?;
    synced?;
    Ok(ExitCode::SUCCESS)
}

/// Inserts what `input` has, and leaves the ids in `inserted`, also when it fails.
fn insert(
    collection: &Collection,
    name: &str,
    mut input: impl BufRead,
    inserted: &mut Vec<Range<u64>>,
) -> Result<(), Failure> {
    let dimension = collection.dimension();
    let most = MAX_INSERT as usize * dimension;
    let mut progress = Progress::new();
    let mut batch = Vec::with_capacity(most);
    let mut number = 0;
    loop {
        number += 1;
        let line = read_line(&mut input)
            .map_err(|fault| Failure::device(&format!("{name}:{number}"), &fault))?;
        if let Some(line) = &line {
            if !line.trim().is_empty() {
                let vector = text::vector(line, dimension)
                    .map_err(|fault| Failure::device(&format!("{name}:{number}"), &fault))?;
                batch.extend(vector);
            }
        }
        if batch.len() == most || (line.is_none() && !batch.is_empty()) {
            add(inserted, collection.insert(&batch)?);
            batch.clear();
            progress.show(&format!("{name}: line {number}"));
        }
        if line.is_none() {
            return Ok(());
        }
    }
}

/// The next line, `None` at the end.
fn read_line(input: &mut impl BufRead) -> Result<Option<String>, String> {
    let mut bytes = Vec::new();
    let read = input
        .take(LONGEST_LINE)
        .read_until(b'\n', &mut bytes)
        .map_err(|error| error.to_string())?;
    if read == 0 {
        return Ok(None);
    }
    if read as u64 == LONGEST_LINE {
        return Err(format!("longer than {LONGEST_LINE} bytes"));
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| "not a text".into())
}

/// Ids that follow those before them are told with them.
fn add(inserted: &mut Vec<Range<u64>>, ids: Range<u64>) {
    match inserted.last_mut() {
        Some(last) if last.end == ids.start => last.end = ids.end,
        _ => inserted.push(ids),
    }
}

fn describe(inserted: &[Range<u64>]) -> String {
    let ranges: Vec<String> = inserted
        .iter()
        .map(|ids| match ids.end - ids.start {
            1 => format!(" {}", ids.start),
            _ => format!(" {} to {}", ids.start, ids.end - 1),
        })
        .collect();
    match ranges.len() {
        0 => String::new(),
        _ => format!(", ids{}", ranges.join(" and")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_the_input() {
        let mut input = &b"1 2\n\n3 4"[..];
        let mut lines = Vec::new();
        while let Some(line) = read_line(&mut input).unwrap() {
            lines.push(line.trim().to_owned());
        }
        assert_eq!(lines, ["1 2", "", "3 4"]);
    }

    #[test]
    fn endless_lines_and_bytes_are_refused() {
        let mut endless = BufReader::new(io::repeat(b'1'));
        assert!(read_line(&mut endless).unwrap_err().contains("longer than"));
        assert_eq!(read_line(&mut &b"\xff\n"[..]), Err("not a text".into()));
    }

    #[test]
    fn ids_are_told_in_ranges() {
        let mut inserted = Vec::new();
        assert_eq!(describe(&inserted), "");
        add(&mut inserted, 5..6);
        assert_eq!(describe(&inserted), ", ids 5");
        add(&mut inserted, 6..1030);
        assert_eq!(describe(&inserted), ", ids 5 to 1029");
        add(&mut inserted, 2000..2001);
        assert_eq!(describe(&inserted), ", ids 5 to 1029 and 2000");
    }
}
