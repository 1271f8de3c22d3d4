//! Exact search against brute force: random vectors, queries and deletions.

use std::path::Path;

use vexfs_ffi::{Error, Metric};

use crate::model::Model;
use crate::random::Random;

struct Round {
    dimension: usize,
    vectors: usize,
    searches: usize,
}

const ROUNDS: [Round; 6] = [
    round(1, 300, 300),
    round(2, 300, 300),
    round(3, 520, 300),
    round(16, 300, 300),
    round(100, 270, 200),
    round(1024, 60, 100),
];

const fn round(dimension: usize, vectors: usize, searches: usize) -> Round {
    Round {
        dimension,
        vectors,
        searches,
    }
}

pub fn run(folder: &Path, metric: Metric, seed: u64) -> Result<(), Error> {
    let mut random = Random::new(seed);
    for round in &ROUNDS {
        let path = folder.join(format!("{metric}-{}", round.dimension));
        let mut model = Model::create(&path, round.dimension, metric)?;
        let mut searches = 0;
        while (model.ids() as usize) < round.vectors {
            let left = round.vectors - model.ids() as usize;
            grow(&mut model, &mut random, left)?;
            while searches < round.searches * model.ids() as usize / round.vectors {
                search(&model, &mut random)?;
                searches += 1;
            }
        }
        model.check_vectors()?;
    }
    let searches: usize = ROUNDS.iter().map(|round| round.searches).sum();
    println!("measure: searches={searches} searches");
    Ok(())
}

/// Adds some vectors, copies of others among them, and deletes a few.
fn grow(model: &mut Model, random: &mut Random, most: usize) -> Result<(), Error> {
    let dimension = model.collection.dimension();
    let count = 1 + random.below(most.min(90));
    let mut vectors: Vec<Vec<i16>> = Vec::new();
    for _ in 0..count {
        let vector = match random.below(8) {
            0 if !vectors.is_empty() => random.choose(&vectors).clone(),
            _ => random.peculiar_vector(dimension),
        };
        vectors.push(vector);
    }
    model.insert(&vectors)?;
    for _ in 0..count / 10 {
        let id = random.below(model.ids() as usize) as u64;
        if model.point(id).is_some() {
            model.delete(id)?;
        }
    }
    Ok(())
}

fn search(model: &Model, random: &mut Random) -> Result<(), Error> {
    let id = random.below(model.ids() as usize) as u64;
    let query = match (random.below(3), model.point(id)) {
        (0, Some(point)) => point.components.clone(),
        (1, Some(point)) => {
            let nudge = |&component: &i16| component.saturating_add(random.below(3) as i16 - 1);
            point.components.iter().map(nudge).collect()
        }
        _ => random.peculiar_vector(model.collection.dimension()),
    };
    let k = match random.below(4) {
        0 => 1,
        1 => 1 + random.below(20),
        2 => 1 + random.below(model.ids() as usize),
        _ => 10,
    };
    model.search(&query, k).map(|_| ())
}
