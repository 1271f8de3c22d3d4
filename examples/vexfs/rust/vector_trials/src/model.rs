//! A collection, and beside it what has to be in it.

use std::path::Path;

use vexfs_ffi::errno::ENOENT;
use vexfs_ffi::{Collection, Error, Found, Info, Metric, Neighbour};

use crate::definition::{self, Point};

pub struct Model {
    pub collection: Collection,
    /// By id; `None`: deleted.
    points: Vec<Option<Point>>,
}

impl Model {
    pub fn create(path: &Path, dimension: usize, metric: Metric) -> Result<Self, Error> {
        Ok(Self {
            collection: Collection::create(path, dimension, metric)?,
            points: Vec::new(),
        })
    }

    pub fn metric(&self) -> Metric {
        self.collection.metric()
    }

    /// In requests of at most a thousand.
    pub fn insert(&mut self, vectors: &[Vec<i16>]) -> Result<(), Error> {
        for batch in vectors.chunks(1000) {
            let first = self.points.len() as u64;
            let ids = self.collection.insert(&batch.concat())?;
            assert_eq!(
                ids,
                first..first + batch.len() as u64,
                "ids of an insertion"
            );
            let points = batch.iter().cloned().map(Point::new).map(Some);
            self.points.extend(points);
        }
        Ok(())
    }

    pub fn delete(&mut self, id: u64) -> Result<(), Error> {
        self.collection.delete(id)?;
        self.take_deletion(id);
        Ok(())
    }

    /// Others have inserted these.
    pub fn take(&mut self, vectors: impl Iterator<Item = Vec<i16>>) {
        self.points.extend(vectors.map(Point::new).map(Some));
    }

    /// Somebody has deleted this.
    pub fn take_deletion(&mut self, id: u64) {
        let deleted = self.points[id as usize].take();
        assert!(deleted.is_some(), "vector {id} was deleted twice");
    }

    pub fn ids(&self) -> u64 {
        self.points.len() as u64
    }

    pub fn point(&self, id: u64) -> Option<&Point> {
        self.points[id as usize].as_ref()
    }

    /// Those that are not deleted, with their ids.
    pub fn live(&self) -> impl Iterator<Item = (u64, &Point)> {
        (0..)
            .zip(&self.points)
            .filter_map(|(id, point)| Some((id, point.as_ref()?)))
    }

    pub fn nearest(&self, query: &[i16], k: usize) -> Vec<Neighbour> {
        definition::nearest(self.metric(), &Point::new(query.to_vec()), self.live(), k)
    }

    /// An exact search, which has to find what looking at all of them does.
    pub fn search(&self, query: &[i16], k: usize) -> Result<Found, Error> {
        let found = self.collection.search_exact(query, k)?;
        same_neighbours(
            "exact search",
            query,
            &found.neighbours,
            &self.nearest(query, k),
        );
        assert_eq!(found.distances, self.live().count() as u64, "distances");
        Ok(found)
    }

    /// Every vector is what it was, and those that were deleted are not there.
    pub fn check_vectors(&self) -> Result<(), Error> {
        let info = self.collection.info()?;
        assert_eq!(
            info,
            Info {
                dimension: self.collection.dimension(),
                metric: self.metric(),
                cells: info.cells,
                ids: self.ids(),
                vectors: self.live().count() as u64,
            }
        );
        for id in 0..self.ids() {
            match self.point(id) {
                Some(point) => assert_eq!(
                    self.collection.fetch(id)?,
                    point.components,
                    "vector {id} is another one"
                ),
                None => self.check_deleted(id),
            }
        }
        Ok(())
    }

    pub fn check_deleted(&self, id: u64) {
        refused(
            self.collection.fetch(id),
            ENOENT,
            "a fetch of what was deleted",
        );
        refused(self.collection.delete(id), ENOENT, "a second deletion");
    }
}

/// The first difference, where the whole lists would fill a page.
pub fn same_neighbours(what: &str, query: &[i16], found: &[Neighbour], expected: &[Neighbour]) {
    let differs = found
        .iter()
        .zip(expected)
        .position(|(one, other)| one != other);
    let place = differs.unwrap_or_else(|| found.len().min(expected.len()));
    if found.len() != expected.len() || differs.is_some() {
        panic!(
            "{what}: {} neighbours instead of {}; number {place} is {:?} instead of {:?}; query {:?}",
            found.len(),
            expected.len(),
            found.get(place),
            expected.get(place),
            &query[..query.len().min(16)],
        );
    }
}

/// It has to fail with this error.
pub fn refused<T: std::fmt::Debug>(result: Result<T, Error>, errno: i32, what: &str) {
    match result {
        Ok(value) => panic!("{what} succeeded: {value:?}"),
        Err(error) => assert_eq!(error.errno(), errno, "{what}: {error}"),
    }
}
