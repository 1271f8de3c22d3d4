//! The distances of `kernel/uapi/vexfs.h`, written down as they are defined there, in integers that
//! are wide enough for anything; and the nearest of many by looking at all of them.

use vexfs_ffi::{Metric, Neighbour};

const ONE: i128 = 1 << 20;

fn dot(a: &[i16], b: &[i16]) -> i128 {
    (0..a.len())
        .map(|at| i128::from(a[at]) * i128::from(b[at]))
        .sum()
}

/// The largest number whose square is not larger, found bit by bit.
fn root(number: i128) -> i128 {
    let mut root = 0;
    for bit in (0..40).rev() {
        let larger = root + (1 << bit);
        if larger * larger <= number {
            root = larger;
        }
    }
    root
}

fn l2(a: &[i16], b: &[i16]) -> i128 {
    (0..a.len())
        .map(|at| i128::from(a[at]) - i128::from(b[at]))
        .map(|difference| difference * difference)
        .sum()
}

/// A vector, and what a distance needs to know of it each time: r(x) of the definition.
#[derive(Clone, Debug)]
pub struct Point {
    pub components: Vec<i16>,
    r: i128,
}

impl Point {
    pub fn new(components: Vec<i16>) -> Self {
        let r = root(dot(&components, &components) * (1 << 22));
        Self { components, r }
    }
}

pub fn distance(metric: Metric, a: &Point, b: &Point) -> u64 {
    let distance = match metric {
        Metric::L2 => l2(&a.components, &b.components),
        Metric::Cosine if a.r * b.r == 0 => ONE,
        Metric::Cosine => {
            let dot = dot(&a.components, &b.components);
            let s = std::cmp::min(dot.abs() * (1 << 42) / (a.r * b.r), ONE);
            ONE - dot.signum() * s
        }
    };
    u64::try_from(distance).expect("a distance of 64 bits")
}

/// The `k` nearest, the nearest first; of two that are as near, the one with the smaller id.
pub fn nearest<'a>(
    metric: Metric,
    query: &Point,
    points: impl Iterator<Item = (u64, &'a Point)>,
    k: usize,
) -> Vec<Neighbour> {
    let mut all: Vec<(u64, u64)> = points
        .map(|(id, point)| (distance(metric, query, point), id))
        .collect();
    all.sort_unstable();
    all.truncate(k);
    all.into_iter()
        .map(|(distance, id)| Neighbour { id, distance })
        .collect()
}
