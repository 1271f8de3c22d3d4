//! What a program does with a collection, from its first vector to the index; tests/ffi.sh runs it
//! on a mounted vexfs: `collection FOLDER`.

use std::path::Path;

use vexfs_ffi::errno::{EEXIST, ENODATA, ENOENT, ENOTTY};
use vexfs_ffi::{Access, Cause, Collection, Error, Metric};

const DIMENSION: usize = 16;
const VECTORS: u64 = 1500;

/// Vectors in groups of ten around points far from each other.
fn vector(id: u64) -> Vec<i16> {
    let group = id / 10;
    (0..DIMENSION as u64)
        .map(|at| ((group * 7919 + at * 104_729) % 20_000) as i16 + (id % 10) as i16)
        .collect()
}

fn insert_all(collection: &Collection) -> Result<(), Error> {
    for first in (0..VECTORS).step_by(500) {
        let batch: Vec<i16> = (first..first + 500).flat_map(vector).collect();
        assert_eq!(collection.insert(&batch)?, first..first + 500);
    }
    let info = collection.info()?;
    assert_eq!((info.ids, info.vectors), (VECTORS, VECTORS));
    assert_eq!(
        (info.dimension, info.metric),
        (DIMENSION, collection.metric())
    );
    Ok(())
}

/// What the kernel finds is what the distances computed here say.
fn search(collection: &Collection) -> Result<(), Error> {
    let metric = collection.metric();
    for query in [vector(7), vector(VECTORS - 1), vec![-5; DIMENSION]] {
        let mut expected: Vec<(u64, u64)> = (0..VECTORS)
            .map(|id| (metric.distance(&query, &vector(id)).unwrap(), id))
            .collect();
        expected.sort_unstable();
        let found = collection.search_exact(&query, 25)?;
        let neighbours = found.neighbours.iter();
        let neighbours: Vec<_> = neighbours.map(|one| (one.distance, one.id)).collect();
        assert_eq!(neighbours, expected[..25]);
        assert_eq!(found.distances, VECTORS);
    }
    Ok(())
}

fn index(collection: &Collection) -> Result<(), Error> {
    let query = vector(7);
    let refusal = collection.search_index(&query, 5, 1).unwrap_err();
    assert_eq!(refusal.errno(), ENODATA, "{refusal}");
    collection.build_index(20, 20, 1)?;
    assert_eq!(collection.info()?.cells, Some(20));
    let found = collection.search_index(&query, 5, 3)?;
    // By its cosine the vector is as near as others of its group.
    assert_eq!(found.neighbours[0].distance, 0);
    assert!(found.distances < VECTORS);
    let all = collection.search_index(&query, 5, 20)?.neighbours;
    assert_eq!(all, collection.search_exact(&query, 5)?.neighbours);
    collection.remove_index()?;
    assert_eq!(collection.info()?.cells, None);
    Ok(())
}

fn fetch_and_delete(collection: &Collection) -> Result<(), Error> {
    for id in [0, 255, 256, VECTORS - 1] {
        assert_eq!(collection.fetch(id)?, vector(id));
    }
    collection.delete(255)?;
    for refusal in [
        collection.fetch(255).unwrap_err(),
        collection.delete(255).unwrap_err(),
        collection.fetch(VECTORS).unwrap_err(),
    ] {
        assert_eq!(refusal.errno(), ENOENT, "{refusal}");
    }
    assert_eq!(collection.info()?.vectors, VECTORS - 1);
    assert_ne!(
        collection.search_exact(&vector(255), 1)?.neighbours[0].id,
        255
    );
    Ok(())
}

fn refuse(folder: &Path, collection: &Collection) {
    let refusal = collection.insert(&[1; DIMENSION + 1]).unwrap_err();
    assert!(
        matches!(refusal.cause, Cause::Components { .. }),
        "{refusal}"
    );
    for refusal in [
        collection.insert(&[]).unwrap_err(),
        collection.search_exact(&vector(0), 0).unwrap_err(),
        collection.build_index(257, 1, 1).unwrap_err(),
    ] {
        assert!(matches!(refusal.cause, Cause::Range { .. }), "{refusal}");
    }
    let refusal = Collection::create(collection.path(), 3, Metric::L2).unwrap_err();
    assert_eq!(refusal.errno(), EEXIST, "{refusal}");
    let refusal = Collection::open(folder, Access::Read).unwrap_err();
    assert_eq!(refusal.errno(), ENOTTY, "{refusal}");
    assert_eq!(refusal.file, folder);
}

fn use_collection(folder: &Path, metric: Metric) -> Result<(), Error> {
    let path = folder.join(metric.to_string());
    let collection = Collection::create(&path, DIMENSION, metric)?;
    insert_all(&collection)?;
    search(&collection)?;
    index(&collection)?;
    fetch_and_delete(&collection)?;
    refuse(folder, &collection);
    collection.sync()?;
    drop(collection);
    let collection = Collection::open(&path, Access::Read)?;
    assert_eq!(collection.info()?.vectors, VECTORS - 1);
    assert!(collection.delete(0).is_err(), "open for reading only");
    Ok(())
}

fn main() -> Result<(), Error> {
    let folder = std::env::args_os()
        .nth(1)
        .expect("usage: collection FOLDER");
    for metric in [Metric::L2, Metric::Cosine] {
        use_collection(Path::new(&folder), metric)?;
    }
    Ok(())
}
