//! The index as the file has it, read like any file, and what a search by it has to find.

use std::fs;
use std::path::Path;

use vexfs_ffi::{Error, Found, Metric};
use vexfs_format::collection::{CollectionHeader, CollectionLayout, Entry, ENTRIES_PER_BLOCK};
use vexfs_format::BLOCK_SIZE;

use crate::definition::{distance, nearest, Point};
use crate::model::{same_neighbours, Model};

pub struct InvertedFile {
    pub centroids: Vec<Point>,
    /// The cell of each id.
    cells: Vec<u16>,
}

fn vectors(bytes: &[u8], dimension: usize, count: usize) -> Vec<Point> {
    let components = bytes
        .chunks(2)
        .map(|two| i16::from_le_bytes([two[0], two[1]]));
    let components: Vec<i16> = components.take(count * dimension).collect();
    let vectors = components.chunks(dimension);
    vectors.map(|vector| Point::new(vector.to_vec())).collect()
}

impl InvertedFile {
    pub fn read(path: &Path) -> Self {
        let file = fs::read(path).expect("a collection that can be read");
        let header = CollectionHeader::from_bytes(&file);
        let layout = CollectionLayout::new(header.dimension);
        let first = layout.first_centroid_block() as usize * BLOCK_SIZE;
        let groups = 0..layout.groups(file.len() as u64);
        let entries = groups.flat_map(|group| {
            let place = layout.entries_block(group) as usize * BLOCK_SIZE;
            let block = file[place..place + BLOCK_SIZE].chunks(Entry::SIZE);
            block.map(Entry::from_bytes).take(ENTRIES_PER_BLOCK)
        });
        Self {
            centroids: vectors(
                &file[first..],
                header.dimension as usize,
                header.cells as usize,
            ),
            cells: entries.map(|entry| entry.cell).collect(),
        }
    }

    pub fn cell(&self, id: u64) -> u64 {
        u64::from(self.cells[id as usize])
    }

    fn nearest_cells(&self, metric: Metric, point: &Point, count: usize) -> Vec<u64> {
        let centroids = (0..).zip(&self.centroids);
        let cells = nearest(metric, point, centroids, count);
        cells.iter().map(|cell| cell.id).collect()
    }

    /// Every vector is in the cell of its nearest centroid, of two as near in the smaller one.
    pub fn check_cells(&self, model: &Model) {
        for (id, point) in model.live() {
            let expected = self.nearest_cells(model.metric(), point, 1)[0];
            assert_eq!(self.cell(id), expected, "cell of vector {id}");
        }
    }

    /// A search by the index: it has to find the nearest of the vectors in the nearest cells, and
    /// to count the distances to them and to the centroids.
    pub fn search(
        &self,
        model: &Model,
        query: &[i16],
        k: usize,
        probes: u32,
    ) -> Result<Found, Error> {
        let point = Point::new(query.to_vec());
        let probed = self.nearest_cells(model.metric(), &point, probes as usize);
        let looked_at = || {
            model
                .live()
                .filter(|&(id, _)| probed.contains(&self.cell(id)))
        };
        let expected = nearest(model.metric(), &point, looked_at(), k);
        let found = model.collection.search_index(query, k, probes)?;
        same_neighbours("search by the index", query, &found.neighbours, &expected);
        let distances = self.centroids.len() + looked_at().count();
        assert_eq!(found.distances, distances as u64, "distances");
        Ok(found)
    }

    /// By the squared Euclidean distance: the centroids that docs/collections.md describes.
    pub fn check_centroids(&self, model: &Model, iterations: u32, seed: u64) {
        let expected = described_centroids(model, self.centroids.len(), iterations, seed);
        for (cell, (found, expected)) in self.centroids.iter().zip(&expected).enumerate() {
            assert_eq!(found.components, expected.components, "centroid {cell}");
        }
    }

    pub fn same_as(&self, other: &Self) -> bool {
        let components = |file: &Self| -> Vec<Vec<i16>> {
            let centroids = file.centroids.iter();
            centroids
                .map(|centroid| centroid.components.clone())
                .collect()
        };
        components(self) == components(other) && self.cells == other.cells
    }
}

/// SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Step 1: vectors of the collection, drawn by selection sampling.
fn first_centroids(model: &Model, cells: usize, seed: u64) -> Vec<Point> {
    let mut state = seed;
    let mut left = model.live().count() as u64;
    let mut centroids: Vec<Point> = Vec::new();
    for (_, point) in model.live() {
        let random = split_mix(&mut state) & 0xffff_ffff;
        if (random * left) >> 32 < (cells - centroids.len()) as u64 {
            centroids.push(point.clone());
        }
        left -= 1;
    }
    centroids
}

/// The quotient, to the nearest integer; halves away from zero.
fn rounded(sum: i128, count: i128) -> i16 {
    let size = (2 * sum.abs() + count) / (2 * count);
    (sum.signum() * size) as i16
}

/// Step 3: the mean of the vectors in a cell; `None` when there is none.
fn mean(points: &[&Point]) -> Option<Point> {
    let dimension = points.first()?.components.len();
    let sum = |at: usize| -> i128 {
        points
            .iter()
            .map(|one| i128::from(one.components[at]))
            .sum()
    };
    let components = (0..dimension).map(|at| rounded(sum(at), points.len() as i128));
    Some(Point::new(components.collect()))
}

fn described_centroids(model: &Model, cells: usize, iterations: u32, seed: u64) -> Vec<Point> {
    let mut centroids = first_centroids(model, cells, seed);
    let mut assigned: Vec<usize> = Vec::new();
    for _ in 0..iterations {
        let nearest_cell = |point| {
            let cells = centroids.iter().enumerate();
            let by_distance =
                cells.map(|(cell, centre)| (distance(Metric::L2, point, centre), cell));
            by_distance.min().expect("cells").1
        };
        let now: Vec<usize> = model.live().map(|(_, point)| nearest_cell(point)).collect();
        if now == assigned {
            break;
        }
        assigned = now;
        for (cell, centroid) in centroids.iter_mut().enumerate() {
            let all = model.live().zip(&assigned);
            let own: Vec<&Point> = all
                .filter(|&(_, &its)| its == cell)
                .map(|((_, point), _)| point)
                .collect();
            *centroid = mean(&own).unwrap_or_else(|| centroid.clone());
        }
    }
    centroids
}
