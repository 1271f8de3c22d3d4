//! Where mistakes live: none, one, all, one more; equal ones; what is not there any more.

use std::path::Path;

use vexfs_ffi::abi::{COSINE_ONE, MAX_CELLS, MAX_RESULTS};
use vexfs_ffi::errno::{EINVAL, ENODATA, ENOENT};
use vexfs_ffi::{Cause, Error, Metric};
use vexfs_format::collection::ENTRIES_PER_BLOCK;

use crate::inverted_file::InvertedFile;
use crate::model::{refused, Model};
use crate::random::Random;
use crate::raw;

const METRICS: [Metric; 2] = [Metric::L2, Metric::Cosine];

fn create(folder: &Path, name: &str, dimension: usize, metric: Metric) -> Result<Model, Error> {
    Model::create(&folder.join(format!("{name}-{metric}")), dimension, metric)
}

/// With this many random vectors.
fn filled(
    folder: &Path,
    name: &str,
    metric: Metric,
    dimension: usize,
    count: usize,
) -> Result<Model, Error> {
    let mut random = Random::new(7);
    let mut model = create(folder, name, dimension, metric)?;
    let vectors: Vec<_> = (0..count).map(|_| random.vector(dimension)).collect();
    model.insert(&vectors)?;
    Ok(model)
}

/// In requests that begin and end before, at and behind the end of a group.
pub fn insertions(folder: &Path) -> Result<(), Error> {
    const GROUP: usize = ENTRIES_PER_BLOCK;
    let mut random = Random::new(11);
    for dimension in [1, 7, 300] {
        let mut model = create(folder, &format!("of-{dimension}"), dimension, Metric::L2)?;
        for count in [1, GROUP - 2, 1, 1, GROUP - 1, GROUP + 1, 2 * GROUP, 1000] {
            let vectors: Vec<_> = (0..count).map(|_| random.vector(dimension)).collect();
            model.insert(&vectors)?;
        }
        model.check_vectors()?;
    }
    Ok(())
}

pub fn more_than_there_are(folder: &Path) -> Result<(), Error> {
    for metric in METRICS {
        let mut model = filled(folder, "few", metric, 5, 20)?;
        let query = [1, 2, 3, 4, 5];
        for k in [19, 20, 21, 1000] {
            assert_eq!(model.search(&query, k)?.neighbours.len(), k.min(20));
        }
        model.delete(4)?;
        assert_eq!(model.search(&query, 20)?.neighbours.len(), 19);
        model.collection.build_index(4, 5, 1)?;
        let index = InvertedFile::read(model.collection.path());
        assert_eq!(index.search(&model, &query, 1000, 4)?.neighbours.len(), 19);
        index.search(&model, &query, 1000, 1)?;
    }
    Ok(())
}

pub fn most_results(folder: &Path) -> Result<(), Error> {
    let most = MAX_RESULTS as usize;
    let model = filled(folder, "many", Metric::L2, 2, most + 100)?;
    let query = [10, -10];
    assert_eq!(model.search(&query, most)?.neighbours.len(), most);
    for k in [0, most + 1] {
        refused(
            model.collection.search_exact(&query, k),
            EINVAL,
            "k out of range",
        );
        let answer = raw::search(&model.collection, &query, k, 0);
        assert_eq!(answer, Err(EINVAL), "k {k}");
    }
    Ok(())
}

pub fn empty_collection(folder: &Path) -> Result<(), Error> {
    for metric in METRICS {
        let mut model = create(folder, "empty", 3, metric)?;
        for _ in 0..2 {
            model.check_vectors()?;
            assert_eq!(model.search(&[1, 2, 3], 5)?.neighbours, []);
            let collection = &model.collection;
            refused(
                collection.search_index(&[1, 2, 3], 5, 1),
                ENODATA,
                "no index",
            );
            refused(
                collection.build_index(1, 1, 1),
                ENODATA,
                "an index of nothing",
            );
            refused(collection.fetch(model.ids()), ENOENT, "a fetch of nothing");
            refused(
                collection.delete(model.ids()),
                ENOENT,
                "a deletion of nothing",
            );
            collection.remove_index()?;
            // Once more when all that there was is deleted.
            if model.ids() == 0 {
                model.insert(&[vec![1, 2, 3], vec![0, 0, 0]])?;
                model.delete(0)?;
                model.delete(1)?;
            }
        }
        // An index outlives its vectors, and serves those that come.
        model.insert(&[vec![4, 4, 4]])?;
        model.collection.build_index(1, 1, 1)?;
        model.delete(2)?;
        let index = InvertedFile::read(model.collection.path());
        assert_eq!(index.search(&model, &[1, 2, 3], 5, 1)?.neighbours, []);
        model.insert(&[vec![5, 5, 5]])?;
        let index = InvertedFile::read(model.collection.path());
        assert_eq!(index.search(&model, &[1, 2, 3], 5, 1)?.neighbours.len(), 1);
    }
    Ok(())
}

/// By the cosine a vector of zeros is as far from all as one at a right angle.
pub fn zero_vectors(folder: &Path) -> Result<(), Error> {
    for metric in METRICS {
        let mut model = create(folder, "zero", 4, metric)?;
        let zero = vec![0; 4];
        model.insert(&[
            vec![0, 1, 0, 0],
            zero.clone(),
            vec![9, 9, 9, 9],
            zero.clone(),
        ])?;
        let found = model.search(&zero, 4)?.neighbours;
        let ids: Vec<u64> = found.iter().map(|one| one.id).collect();
        match metric {
            Metric::L2 => assert_eq!(ids, [1, 3, 0, 2]),
            Metric::Cosine => {
                assert_eq!(ids, [0, 1, 2, 3]);
                assert!(found.iter().all(|one| one.distance == COSINE_ONE));
            }
        }
        model.search(&[-1, 2, -3, 4], 4)?;
        model.collection.build_index(2, 5, 3)?;
        let index = InvertedFile::read(model.collection.path());
        index.check_cells(&model);
        index.search(&model, &zero, 4, 1)?;
        // Nothing but zeros: all of them are in one cell.
        let mut model = create(folder, "zeros", 4, metric)?;
        model.insert(&vec![zero.clone(); 10])?;
        model.collection.build_index(3, 5, 3)?;
        let index = InvertedFile::read(model.collection.path());
        index.check_cells(&model);
        assert_eq!(index.search(&model, &zero, 10, 1)?.neighbours.len(), 10);
    }
    Ok(())
}

/// Of those that are as near the smaller ids come first, also where k ends among them.
pub fn duplicates(folder: &Path) -> Result<(), Error> {
    for metric in METRICS {
        let mut model = create(folder, "duplicates", 3, metric)?;
        let mut vectors = vec![vec![5, 6, 7]; 300];
        vectors[17] = vec![-5, 6, 7];
        vectors[260] = vec![5, -6, 7];
        model.insert(&vectors)?;
        let ids = |model: &Model, k| -> Result<Vec<u64>, Error> {
            let found = model.search(&[5, 6, 7], k)?.neighbours;
            Ok(found.iter().map(|one| one.id).collect())
        };
        assert_eq!(ids(&model, 3)?, [0, 1, 2]);
        assert_eq!(ids(&model, 18)?[16..], [16, 18]);
        assert_eq!(ids(&model, 300)?.len(), 300);
        model.delete(1)?;
        assert_eq!(ids(&model, 3)?, [0, 2, 3]);
        // As many equal centroids as cells: the smallest cell has them all.
        model.collection.build_index(20, 5, 2)?;
        let index = InvertedFile::read(model.collection.path());
        index.check_cells(&model);
        for k in [1, 3, 290] {
            index.search(&model, &[5, 6, 7], k, 1)?;
            index.search(&model, &[5, 6, 7], k, 20)?;
        }
    }
    Ok(())
}

pub fn other_dimensions(folder: &Path) -> Result<(), Error> {
    let model = filled(folder, "dimension", Metric::L2, 8, 10)?;
    for dimension in [1, 7, 9, 16, 1024] {
        let vector = vec![1; dimension];
        let collection = &model.collection;
        for refusal in [
            collection.search_exact(&vector, 1).unwrap_err(),
            collection.search_index(&vector, 1, 1).unwrap_err(),
        ] {
            let is_named = matches!(refusal.cause, Cause::Components { dimension: 8, .. });
            assert!(is_named, "dimension {dimension}: {refusal}");
        }
        assert_eq!(raw::insert(collection, &vector), Err(EINVAL), "{dimension}");
        assert_eq!(
            raw::fetch(collection, 0, dimension),
            Err(EINVAL),
            "{dimension}"
        );
        assert_eq!(
            raw::search(collection, &vector, 1, 0),
            Err(EINVAL),
            "{dimension}"
        );
        if dimension % 8 != 0 {
            refused(collection.insert(&vector), EINVAL, "another dimension");
        }
    }
    model.check_vectors()
}

/// Neither by a fetch nor by any search, before the index is made anew and afterwards.
pub fn deleted_vectors(folder: &Path, seed: u64) -> Result<(), Error> {
    for metric in METRICS {
        let mut random = Random::new(seed);
        let mut model = filled(folder, "deleted", metric, 3, 600)?;
        model.collection.build_index(10, 5, 1)?;
        let mut deleted: Vec<(u64, Vec<i16>)> = Vec::new();
        for _ in 0..150 {
            let any = random.below(600) as u64;
            let id = *random.choose(&[0, 255, 256, 511, 512, 599, any]);
            if let Some(point) = model.point(id) {
                deleted.push((id, point.components.clone()));
                model.delete(id)?;
            }
        }
        never_found(&model, &deleted)?;
        model.collection.build_index(10, 5, 1)?;
        never_found(&model, &deleted)?;
        model.insert(&[deleted[0].1.clone()])?;
        let found = model.search(&deleted[0].1, 1)?.neighbours;
        assert!(found[0].id != deleted[0].0, "an id was given twice");
        model.check_vectors()?;
    }
    Ok(())
}

fn never_found(model: &Model, deleted: &[(u64, Vec<i16>)]) -> Result<(), Error> {
    let index = InvertedFile::read(model.collection.path());
    for (id, components) in deleted {
        model.check_deleted(*id);
        let searches = [
            model.search(components, 3)?,
            index.search(model, components, 3, 2)?,
        ];
        for found in searches {
            let is_found = found.neighbours.iter().any(|one| one.id == *id);
            assert!(!is_found, "vector {id} is found, but deleted");
        }
    }
    Ok(())
}

pub fn probes(folder: &Path) -> Result<(), Error> {
    for metric in METRICS {
        let model = filled(folder, "probes", metric, 4, 400)?;
        let query = [100, 200, -300, 400];
        let collection = &model.collection;
        refused(collection.search_index(&query, 5, 1), ENODATA, "no index");
        for cells in [1, 9, MAX_CELLS] {
            collection.build_index(cells, 3, 1)?;
            let index = InvertedFile::read(collection.path());
            for probes in [1, (cells + 1) / 2, cells] {
                index.search(&model, &query, 10, probes)?;
            }
            let all = collection.search_index(&query, 10, cells)?;
            assert_eq!(all.neighbours, model.search(&query, 10)?.neighbours);
            assert_eq!(all.distances, 400 + u64::from(cells));
            refused(
                collection.search_index(&query, 5, cells + 1),
                EINVAL,
                "more probes than cells",
            );
        }
        refused(collection.search_index(&query, 5, 0), EINVAL, "no probes");
    }
    Ok(())
}

/// What is refused leaves the index as it was.
pub fn cells(folder: &Path) -> Result<(), Error> {
    for metric in METRICS {
        let mut model = filled(folder, "cells", metric, 4, 12)?;
        model.collection.build_index(12, 5, 1)?;
        InvertedFile::read(model.collection.path()).check_cells(&model);
        refused(
            model.collection.build_index(13, 5, 1),
            ENODATA,
            "13 cells for 12 vectors",
        );
        model.delete(3)?;
        refused(
            model.collection.build_index(12, 5, 1),
            ENODATA,
            "12 cells for 11 vectors",
        );
        for (cells, iterations) in [(MAX_CELLS + 1, 1), (1, 0), (0, 1), (1, 101)] {
            let answer = raw::index(&model.collection, cells, iterations);
            assert_eq!(
                answer,
                Err(EINVAL),
                "{cells} cells, {iterations} iterations"
            );
        }
        assert_eq!(model.collection.info()?.cells, Some(12));
        let index = InvertedFile::read(model.collection.path());
        index.search(&model, &[1, 2, 3, 4], 5, 3)?;
        model.collection.build_index(11, 5, 1)?;
        assert_eq!(model.collection.info()?.cells, Some(11));
    }
    Ok(())
}

pub fn insertion_into_cells(folder: &Path, seed: u64) -> Result<(), Error> {
    for metric in METRICS {
        let mut random = Random::new(seed);
        let mut model = filled(folder, "later", metric, 3, 250)?;
        model.collection.build_index(16, 5, 1)?;
        // Over the end of a group.
        for count in [1, 4, 1, 30] {
            let first = model.ids();
            let vectors: Vec<_> = (0..count).map(|_| random.peculiar_vector(3)).collect();
            model.insert(&vectors)?;
            let index = InvertedFile::read(model.collection.path());
            index.check_cells(&model);
            for (id, vector) in (first..).zip(&vectors) {
                let nearest = index.search(&model, vector, 1, 1)?.neighbours;
                let is_near =
                    nearest[0].distance == model.search(vector, 1)?.neighbours[0].distance;
                assert!(is_near, "vector {id} is not found in its cell");
            }
        }
        model.check_vectors()?;
    }
    Ok(())
}

pub fn index_made_anew(folder: &Path) -> Result<(), Error> {
    for metric in METRICS {
        let model = filled(folder, "anew", metric, 4, 300)?;
        let other = filled(folder, "other", metric, 4, 300)?;
        let made = |model: &Model, seed| -> Result<InvertedFile, Error> {
            model.collection.build_index(10, 4, seed)?;
            let index = InvertedFile::read(model.collection.path());
            index.check_cells(model);
            Ok(index)
        };
        let first = made(&model, 1)?;
        assert!(!first.same_as(&made(&model, 2)?), "the seed means nothing");
        model.collection.remove_index()?;
        assert_eq!(model.collection.info()?.cells, None);
        refused(
            model.collection.search_index(&[1; 4], 1, 1),
            ENODATA,
            "no index",
        );
        model.search(&[1; 4], 10)?;
        assert!(first.same_as(&made(&model, 1)?), "not the same index again");
        assert!(
            first.same_as(&made(&other, 1)?),
            "not the same in another file"
        );
    }
    Ok(())
}

pub fn described_index(folder: &Path, seed: u64) -> Result<(), Error> {
    let mut random = Random::new(seed);
    let mut model = create(folder, "described", 3, Metric::L2)?;
    let vectors: Vec<_> = (0..300).map(|_| random.peculiar_vector(3)).collect();
    model.insert(&vectors)?;
    for id in (0..300).step_by(13) {
        model.delete(id)?;
    }
    for (cells, iterations) in [(1, 1), (8, 1), (8, 3), (60, 100)] {
        let seed = random.word();
        model.collection.build_index(cells, iterations, seed)?;
        let index = InvertedFile::read(model.collection.path());
        index.check_cells(&model);
        index.check_centroids(&model, iterations, seed);
    }
    Ok(())
}
