//! All that a collection tells, as text: what is to be the same later.

use std::path::Path;

use vexfs_ffi::{Access, Collection, Error, Found, Metric};

use crate::model::Model;
use crate::random::{Clusters, Random};

/// Some vectors in several groups, with gaps, and the index with vectors that came later.
pub fn make(path: &Path, metric: Metric) -> Result<(), Error> {
    let mut random = Random::new(11);
    let clusters = Clusters::new(&mut random, 20, 6, 9000, 1000);
    let mut draw = |count| -> Vec<_> { (0..count).map(|_| clusters.vector(&mut random)).collect() };
    let mut model = Model::create(path, 6, metric)?;
    model.insert(&draw(700))?;
    (0..700).step_by(9).try_for_each(|id| model.delete(id))?;
    model.collection.build_index(12, 5, 1)?;
    model.insert(&draw(100))?;
    (2..800).step_by(57).try_for_each(|id| model.delete(id))?;
    model.collection.sync()
}

pub fn show(path: &Path, seed: u64) -> Result<(), Error> {
    let collection = Collection::open(path, Access::Read)?;
    let info = collection.info()?;
    println!("{info:?}");
    for id in 0..info.ids {
        match collection.fetch(id) {
            Ok(components) => println!("{id}: {components:?}"),
            Err(error) => println!("{id}: error {}", error.errno()),
        }
    }
    let mut random = Random::new(seed);
    for _ in 0..20 {
        let query = random.vector(info.dimension);
        tell("exact", &collection.search_exact(&query, 10)?);
        if let Some(cells) = info.cells {
            let probes = 1 + random.below(cells as usize) as u32;
            tell("index", &collection.search_index(&query, 10, probes)?);
        }
    }
    Ok(())
}

fn tell(how: &str, found: &Found) {
    print!("{how}, {} distances:", found.distances);
    for one in &found.neighbours {
        print!(" {}={}", one.id, one.distance);
    }
    println!();
}
