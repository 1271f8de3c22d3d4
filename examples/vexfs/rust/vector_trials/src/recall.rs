//! How much of what an exact search finds the index finds, and with how many distances.

use std::path::Path;

use vexfs_ffi::{Error, Metric};

use crate::inverted_file::InvertedFile;
use crate::model::Model;
use crate::random::{Clusters, Random};

const DIMENSION: usize = 16;
const VECTORS: usize = 10_000;
const QUERIES: usize = 40;
const K: usize = 10;
const CELLS: u32 = 100;
const ITERATIONS: u32 = 5;
const PROBES: u32 = 5;

/// docs/collections.md tells what the vectors are; they are the same each time.
const SEED: u64 = 5;
const CLUSTERS: usize = 200;
const WIDEST: i16 = 12_000;
const DEVIATION: i64 = 4000;

/// Of the vectors.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of this the index has to find nine of ten with a fifth of the distances.
    Clustered,
    /// This is only told.
    Uniform,
}

struct Vectors {
    random: Random,
    clusters: Option<Clusters>,
}

impl Vectors {
    fn new(kind: Kind) -> Self {
        let mut random = Random::new(SEED);
        let clusters = (kind == Kind::Clustered)
            .then(|| Clusters::new(&mut random, CLUSTERS, DIMENSION, WIDEST, DEVIATION));
        Self { random, clusters }
    }

    fn draw(&mut self) -> Vec<i16> {
        match &self.clusters {
            Some(clusters) => clusters.vector(&mut self.random),
            None => self.random.vector(DIMENSION),
        }
    }
}

pub fn run(path: &Path, metric: Metric, kind: Kind) -> Result<(), Error> {
    let mut vectors = Vectors::new(kind);
    let mut model = Model::create(path, DIMENSION, metric)?;
    let stored: Vec<_> = (0..VECTORS).map(|_| vectors.draw()).collect();
    model.insert(&stored)?;
    model.collection.build_index(CELLS, ITERATIONS, 1)?;
    let index = InvertedFile::read(path);

    let (mut hits, mut exact_distances, mut distances, mut most) = (0, 0, 0, 0);
    for _ in 0..QUERIES {
        let query = vectors.draw();
        let exact = model.search(&query, K)?;
        let found = index.search(&model, &query, K, PROBES)?;
        let is_right = |one: &&_| exact.neighbours.contains(one);
        hits += found.neighbours.iter().filter(is_right).count();
        exact_distances += exact.distances;
        distances += found.distances;
        most = most.max(found.distances);
    }
    let recall = hits as f64 / (QUERIES * K) as f64;
    let share = distances as f64 / exact_distances as f64;
    let most = most as f64 / VECTORS as f64;
    println!("measure: recall={recall:.3} ratio");
    println!("measure: distances={share:.3} ratio");
    println!("measure: most-distances={most:.3} ratio");
    if kind == Kind::Clustered {
        assert!(recall >= 0.9, "recall@{K} {recall}; at least 0.9 is wanted");
        assert!(
            most <= 0.2,
            "{most} of the distances; at most 0.2 are wanted"
        );
        index.check_cells(&model);
    }
    Ok(())
}
