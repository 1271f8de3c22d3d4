//! Why something could not be done, and with which file.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::errno::{self, EINVAL, ENOENT};

/// What was to be done with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Open,
    Create,
    Info,
    Insert,
    Fetch(u64),
    Delete(u64),
    Search,
    Index,
    Sync,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The system's answer, as in errno(3).
    System(i32),
    /// This many components do not make vectors of the collection's dimension.
    Components { given: usize, dimension: usize },
    /// A number that is not in its range.
    Range {
        what: &'static str,
        given: u64,
        least: u64,
        most: u64,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub file: PathBuf,
    pub operation: Operation,
    pub cause: Cause,
}

impl Error {
    pub(crate) fn new(file: &Path, operation: Operation, cause: Cause) -> Self {
        Self {
            file: file.to_owned(),
            operation,
            cause,
        }
    }

    /// The number of the error as in errno(3).
    pub fn errno(&self) -> i32 {
        match self.cause {
            Cause::System(errno) => errno,
            Cause::Components { .. } | Cause::Range { .. } => EINVAL,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Open => to.write_str("open"),
            Self::Create => to.write_str("create"),
            Self::Info => to.write_str("info"),
            Self::Insert => to.write_str("insert"),
            Self::Fetch(id) => write!(to, "fetch vector {id}"),
            Self::Delete(id) => write!(to, "delete vector {id}"),
            Self::Search => to.write_str("search"),
            Self::Index => to.write_str("index"),
            Self::Sync => to.write_str("sync"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        write!(to, "{}: {}: ", self.file.display(), self.operation)?;
        match self.cause {
            Cause::Components { given, dimension } => write!(
                to,
                "{given} components; allowed: {dimension} for each vector"
            ),
            Cause::Range {
                what,
                given,
                least,
                most,
            } => write!(to, "{what} {given}; allowed: {least} to {most}"),
            Cause::System(ENOENT) => match self.operation {
                Operation::Open | Operation::Create => to.write_str("no such file or directory"),
                _ => to.write_str("there is none with this id, or no more"),
            },
            Cause::System(errno) => match errno::meaning(errno) {
                Some(meaning) => to.write_str(meaning.trim_end_matches('\0')),
                None => write!(to, "{}", std::io::Error::from_raw_os_error(errno)),
            },
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errno::{ENOTTY, EUCLEAN};

    fn text(operation: Operation, cause: Cause) -> String {
        Error::new(Path::new("/mnt/c"), operation, cause).to_string()
    }

    #[test]
    fn errors_name_file_operation_and_cause() {
        for (operation, cause, expected) in [
            (
                Operation::Fetch(7),
                Cause::System(ENOENT),
                "/mnt/c: fetch vector 7: there is none with this id, or no more",
            ),
            (
                Operation::Open,
                Cause::System(ENOENT),
                "/mnt/c: open: no such file or directory",
            ),
            (
                Operation::Info,
                Cause::System(ENOTTY),
                "/mnt/c: info: no collection of vectors, or no regular file of a vexfs",
            ),
            (
                Operation::Insert,
                Cause::System(28),
                "/mnt/c: insert: No space left on device (os error 28)",
            ),
            (
                Operation::Search,
                Cause::Components {
                    given: 3,
                    dimension: 4,
                },
                "/mnt/c: search: 3 components; allowed: 4 for each vector",
            ),
            (
                Operation::Index,
                Cause::Range {
                    what: "cells",
                    given: 300,
                    least: 1,
                    most: 256,
                },
                "/mnt/c: index: cells 300; allowed: 1 to 256",
            ),
        ] {
            assert_eq!(text(operation, cause), expected);
        }
        let damaged = text(Operation::Search, Cause::System(EUCLEAN));
        assert!(damaged.contains("vexctl check"), "{damaged}");
    }
}
