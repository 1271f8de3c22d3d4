//! Distances, compared with the definition in `kernel/uapi/vexfs.h` written down as it reads, in
//! integers wide enough for anything.

use vexfs_ffi::Metric;

const CASES: usize = 5000;
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

fn cosine(a: &[i16], b: &[i16]) -> i128 {
    let r = |x| root(dot(x, x) * (1 << 22));
    let product = r(a) * r(b);
    if product == 0 {
        return ONE;
    }
    let s = std::cmp::min(dot(a, b).abs() * (1 << 42) / product, ONE);
    ONE - dot(a, b).signum() * s
}

/// xorshift64 (Marsaglia, Xorshift RNGs, 2003).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn vector(&mut self, dimension: usize, kind: u64) -> Vec<i16> {
        (0..dimension)
            .map(|_| match kind {
                0 => self.next() as i16,
                1 => self.below(7) as i16 - 3,
                2 => *[i16::MIN, i16::MAX, 0, -1]
                    .get(self.below(4) as usize)
                    .unwrap(),
                _ => i16::from(self.below(50) == 0),
            })
            .collect()
    }
}

#[test]
fn random_vectors_have_the_distance_of_the_definition() {
    let mut random = Random(0x5eed);
    for case in 0..CASES {
        let dimension = match random.below(4) {
            0 => 1 + random.below(1024) as usize,
            1 => 1024,
            _ => 1 + random.below(32) as usize,
        };
        let kind = random.below(4);
        let a = random.vector(dimension, kind);
        let b = match random.below(5) {
            0 => a.clone(),
            1 => a.iter().map(|&x| x.saturating_neg()).collect(),
            2 => {
                let kind = random.below(4);
                random.vector(dimension, kind)
            }
            _ => random.vector(dimension, kind),
        };
        for (metric, expected) in [(Metric::L2, l2(&a, &b)), (Metric::Cosine, cosine(&a, &b))] {
            let found = metric.distance(&a, &b).map(i128::from);
            assert_eq!(found, Some(expected), "case {case}: {metric} {a:?} {b:?}");
            assert_eq!(metric.distance(&b, &a).map(i128::from), Some(expected));
        }
        assert_eq!(Metric::L2.distance(&a, &a), Some(0));
    }
}
