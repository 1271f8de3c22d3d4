//! A collection of vectors, for programs in Rust.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::io::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};

use crate::abi::{self, MAX_CELLS, MAX_DIMENSION, MAX_INSERT, MAX_ITERATIONS, MAX_RESULTS};
use crate::errno::{EEXIST, EUCLEAN};
use crate::error::{Cause, Error, Operation};
use crate::metric::Metric;
use crate::request;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Info, fetch and search.
    Read,
    /// Everything.
    ReadWrite,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    pub dimension: usize,
    pub metric: Metric,
    /// Of the index; `None`: there is none.
    pub cells: Option<u32>,
    /// Ids given so far: the next one.
    pub ids: u64,
    /// Of these, not deleted.
    pub vectors: u64,
}

/// A vector near to a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    pub id: u64,
    pub distance: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The nearest first; of two as near, the one with the smaller id.
    pub neighbours: Vec<Neighbour>,
    /// How many distances were computed.
    pub distances: u64,
}

/// An open collection; closed when it is dropped.
#[derive(Debug)]
pub struct Collection {
    path: PathBuf,
    file: File,
    dimension: usize,
    metric: Metric,
}

impl Collection {
    /// Makes a collection of a new file, or of an empty one, open for reading and writing.
    pub fn create(path: impl AsRef<Path>, dimension: usize, metric: Metric) -> Result<Self, Error> {
        let path = path.as_ref();
        let fail = |cause| Error::new(path, Operation::Create, cause);
        let number = in_range("dimension", dimension as u64, 1, MAX_DIMENSION).map_err(fail)?;
        let file = create_file(path, number, metric.number())
            .map_err(|errno| fail(Cause::System(errno)))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            dimension,
            metric,
        })
    }

    pub fn open(path: impl AsRef<Path>, access: Access) -> Result<Self, Error> {
        let path = path.as_ref();
        let fail = |errno| Error::new(path, Operation::Open, Cause::System(errno));
        let file = open_file(path, access).map_err(fail)?;
        let info = info(&file).map_err(fail)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            dimension: info.dimension,
            metric: info.metric,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn dimension(&self) -> usize {
        self.dimension
    }

    pub fn metric(&self) -> Metric {
        self.metric
    }

    pub fn info(&self) -> Result<Info, Error> {
        info(&self.file).map_err(|errno| self.failed(Operation::Info)(Cause::System(errno)))
    }

    /// Adds the vectors that follow each other in `components`, at most
    /// [`MAX_INSERT`](crate::abi::MAX_INSERT) of them: all or none. Returns their ids.
    pub fn insert(&self, components: &[i16]) -> Result<Range<u64>, Error> {
        let fail = self.failed(Operation::Insert);
        if components.len() % self.dimension != 0 {
            return Err(fail(self.wrong_components(components)));
        }
        let count = (components.len() / self.dimension) as u64;
        let number = in_range("vectors at once", count, 1, MAX_INSERT).map_err(fail)?;
        // SAFETY: as many components as said, and nobody can be writing to them.
        let first = unsafe {
            let dimension = self.dimension as u32;
            request::insert(self.as_raw_fd(), components.as_ptr(), dimension, number)
        };
        let first = first.map_err(|errno| self.failed(Operation::Insert)(Cause::System(errno)))?;
        Ok(first..first + count)
    }

    pub fn fetch(&self, id: u64) -> Result<Vec<i16>, Error> {
        let mut components = vec![0; self.dimension];
        // SAFETY: there is room for all components.
        let done = unsafe {
            let dimension = self.dimension as u32;
            request::fetch(self.as_raw_fd(), id, components.as_mut_ptr(), dimension)
        };
        done.map_err(|errno| self.failed(Operation::Fetch(id))(Cause::System(errno)))?;
        Ok(components)
    }

    pub fn delete(&self, id: u64) -> Result<(), Error> {
        request::delete(self.as_raw_fd(), id)
            .map_err(|errno| self.failed(Operation::Delete(id))(Cause::System(errno)))
    }

    /// Compares the query with all vectors; finds the `k` nearest, or all when there are fewer.
    pub fn search_exact(&self, query: &[i16], k: usize) -> Result<Found, Error> {
        self.search(query, k, 0)
    }

    /// Compares the query with the vectors in the `probes` cells of the index that are nearest.
    pub fn search_index(&self, query: &[i16], k: usize, probes: u32) -> Result<Found, Error> {
        let probes = in_range("probes", u64::from(probes), 1, MAX_CELLS)
            .map_err(self.failed(Operation::Search))?;
        self.search(query, k, probes)
    }

    fn search(&self, query: &[i16], k: usize, probes: u32) -> Result<Found, Error> {
        let fail = self.failed(Operation::Search);
        if query.len() != self.dimension {
            return Err(fail(self.wrong_components(query)));
        }
        let number = in_range("k", k as u64, 1, MAX_RESULTS).map_err(&fail)?;
        let mut results = vec![abi::SearchResult::default(); k];
        // SAFETY: the query is as long as said, and there is room for k results.
        let found = unsafe {
            let file = self.as_raw_fd();
            let dimension = self.dimension as u32;
            let room = results.as_mut_ptr();
            request::search(file, query.as_ptr(), dimension, probes, room, number)
        };
        let (found, distances) = found.map_err(|errno| fail(Cause::System(errno)))?;
        let neighbours = results.iter().take(found as usize);
        Ok(Found {
            neighbours: neighbours
                .map(|&abi::SearchResult { id, distance }| Neighbour { id, distance })
                .collect(),
            distances,
        })
    }

    /// Makes the index anew: k-means with this many cells and at most this many iterations.
    pub fn build_index(&self, cells: u32, iterations: u32, seed: u64) -> Result<(), Error> {
        let fail = self.failed(Operation::Index);
        let cells = in_range("cells", u64::from(cells), 1, MAX_CELLS).map_err(&fail)?;
        let iterations = in_range("iterations", u64::from(iterations), 1, MAX_ITERATIONS);
        let iterations = iterations.map_err(&fail)?;
        request::index(self.as_raw_fd(), cells, iterations, seed)
            .map_err(|errno| fail(Cause::System(errno)))
    }

    pub fn remove_index(&self) -> Result<(), Error> {
        request::index(self.as_raw_fd(), 0, 0, 0)
            .map_err(|errno| self.failed(Operation::Index)(Cause::System(errno)))
    }

    /// Returns when everything is on the disk.
    pub fn sync(&self) -> Result<(), Error> {
        self.file
            .sync_all()
            .map_err(|error| self.failed(Operation::Sync)(Cause::System(errno_of(&error))))
    }

    fn failed(&self, operation: Operation) -> impl Fn(Cause) -> Error + '_ {
        move |cause| Error::new(&self.path, operation, cause)
    }

    fn wrong_components(&self, components: &[i16]) -> Cause {
        Cause::Components {
            given: components.len(),
            dimension: self.dimension,
        }
    }
}

impl AsRawFd for Collection {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

fn in_range(what: &'static str, given: u64, least: u32, most: u32) -> Result<u32, Cause> {
    if (u64::from(least)..=u64::from(most)).contains(&given) {
        return Ok(given as u32);
    }
    Err(Cause::Range {
        what,
        given,
        least: u64::from(least),
        most: u64::from(most),
    })
}

fn errno_of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(crate::errno::EINVAL)
}

/// Does not wait for the other end of a pipe (open(2); the value is Linux's on most machines).
const O_NONBLOCK: i32 = 0o4000;

pub(crate) fn open_file(path: &Path, access: Access) -> Result<File, i32> {
    OpenOptions::new()
        .read(true)
        .write(access == Access::ReadWrite)
        .custom_flags(O_NONBLOCK)
        .open(path)
        .map_err(|error| errno_of(&error))
}

/// A file that was made for it does not stay when it can't become a collection.
pub(crate) fn create_file(path: &Path, dimension: u32, metric: u32) -> Result<File, i32> {
    let made = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path);
    let (file, is_new) = match made {
        Ok(file) => (file, true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            (open_file(path, Access::ReadWrite)?, false)
        }
        Err(error) => return Err(errno_of(&error)),
    };
    match request::create(file.as_raw_fd(), dimension, metric) {
        Ok(()) => Ok(file),
        Err(errno) => {
            // Somebody else may have made it a collection in the meantime.
            if is_new && errno != EEXIST {
                let _ = fs::remove_file(path);
            }
            Err(errno)
        }
    }
}

pub(crate) fn info(file: &File) -> Result<Info, i32> {
    let info = request::info(file.as_raw_fd())?;
    Ok(Info {
        dimension: info.dimension as usize,
        metric: Metric::from_number(info.metric).ok_or(EUCLEAN)?,
        cells: (info.cells != 0).then(|| info.cells),
        ids: info.ids,
        vectors: info.vectors,
    })
}
