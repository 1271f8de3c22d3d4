//! How far two vectors are from each other: the same integers as the kernel's.

use std::fmt;
use std::str::FromStr;

use crate::abi::{COSINE_ONE, METRIC_COSINE, METRIC_L2};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The square of the Euclidean distance.
    L2,
    /// (1 - cosine) * [`COSINE_ONE`], as `kernel/uapi/vexfs.h` defines it.
    Cosine,
}

impl Metric {
    /// The number that the kernel and the disk have for it.
    pub fn number(self) -> u32 {
        match self {
            Self::L2 => METRIC_L2,
            Self::Cosine => METRIC_COSINE,
        }
    }

    pub fn from_number(number: u32) -> Option<Self> {
        match number {
            METRIC_L2 => Some(Self::L2),
            METRIC_COSINE => Some(Self::Cosine),
            _ => None,
        }
    }

    /// The distance of two vectors, 0 when they are equal. `None`: they have different dimensions,
    /// or more than [`MAX_DIMENSION`](crate::abi::MAX_DIMENSION).
    pub fn distance(self, a: &[i16], b: &[i16]) -> Option<u64> {
        if a.len() != b.len() || a.len() > crate::abi::MAX_DIMENSION as usize {
            return None;
        }
        Some(match self {
            Self::L2 => squared_distance(a, b),
            Self::Cosine => cosine_distance(a, b),
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, to: &mut fmt::Formatter) -> fmt::Result {
        to.write_str(match self {
            Self::L2 => "l2",
            Self::Cosine => "cosine",
        })
    }
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "l2" => Ok(Self::L2),
            "cosine" => Ok(Self::Cosine),
            _ => Err(format!("metric '{text}'; allowed: l2, cosine")),
        }
    }
}

fn squared_distance(a: &[i16], b: &[i16]) -> u64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| u64::from((i32::from(a) - i32::from(b)).unsigned_abs()).pow(2))
        .sum()
}

/// At most 2^40 in size, since there are at most 1024 components.
fn dot(a: &[i16], b: &[i16]) -> i64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| i64::from(i32::from(a) * i32::from(b)))
        .sum()
}

/// The length of a vector, times 2^11, rounded down.
fn length(a: &[i16]) -> u64 {
    square_root((dot(a, a) as u64) << 22)
}

fn cosine_distance(a: &[i16], b: &[i16]) -> u64 {
    let lengths = u128::from(length(a)) * u128::from(length(b));
    if lengths == 0 {
        return COSINE_ONE;
    }
    let dot = dot(a, b);
    let size = (u128::from(dot.unsigned_abs()) << 42) / lengths;
    let size = size.min(u128::from(COSINE_ONE)) as u64;
    if dot < 0 {
        COSINE_ONE + size
    } else {
        COSINE_ONE - size
    }
}

/// Rounded down, for numbers below 2^63.
fn square_root(number: u64) -> u64 {
    // The machine's root is exact to its 53 bits: off by one at most, which the loops mend.
    let mut root = (number as f64).sqrt() as u64;
    while root * root > number {
        root -= 1;
    }
    while (root + 1) * (root + 1) <= number {
        root += 1;
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn square_roots_are_rounded_down() {
        for root in [1_u64, 2, 3, 1000, 65535, 1 << 26, (1 << 31) - 1, 1 << 31] {
            assert_eq!(square_root(root * root), root);
            assert_eq!(square_root(root * root - 1), root - 1);
            assert_eq!(square_root(root * root + 2 * root), root);
        }
        assert_eq!(square_root(0), 0);
    }

    #[test]
    fn known_distances() {
        let l2 = |a, b| Metric::L2.distance(a, b);
        let cosine = |a, b| Metric::Cosine.distance(a, b);
        assert_eq!(l2(&[0, 0], &[3, -4]), Some(25));
        assert_eq!(l2(&[i16::MIN], &[i16::MAX]), Some(65535 * 65535));
        assert_eq!(cosine(&[1, 0], &[0, 7]), Some(COSINE_ONE));
        assert_eq!(cosine(&[1, 0], &[0, 0]), Some(COSINE_ONE), "no direction");
        assert_eq!(cosine(&[3, 0], &[7, 0]), Some(0));
        assert_eq!(cosine(&[3, 0], &[-7, 0]), Some(2 * COSINE_ONE));
        // 45 degrees, with lengths of 2048 and 2896 (2896.3 before it was rounded)
        let expected = (1_u64 << 42) / (2048 * 2896);
        assert_eq!(cosine(&[1, 0], &[1, 1]), Some(COSINE_ONE - expected));
    }

    #[test]
    fn largest_vectors_do_not_overflow() {
        let low = [i16::MIN; 1024];
        let high = [i16::MAX; 1024];
        assert_eq!(Metric::L2.distance(&low, &high), Some(1024 * 65535 * 65535));
        assert_eq!(Metric::Cosine.distance(&low, &low), Some(0));
        assert_eq!(Metric::Cosine.distance(&low, &high), Some(2 * COSINE_ONE));
    }

    #[test]
    fn other_dimensions_have_no_distance() {
        assert_eq!(Metric::L2.distance(&[1], &[1, 2]), None);
        assert_eq!(Metric::Cosine.distance(&[0; 1025], &[0; 1025]), None);
    }

    #[test]
    fn names_and_numbers_are_unique() {
        for metric in [Metric::L2, Metric::Cosine] {
            assert_eq!(metric.to_string().parse(), Ok(metric));
            assert_eq!(Metric::from_number(metric.number()), Some(metric));
        }
        assert_eq!(Metric::from_number(0), None);
        assert!("L1".parse::<Metric>().unwrap_err().contains("allowed: l2"));
    }
}
