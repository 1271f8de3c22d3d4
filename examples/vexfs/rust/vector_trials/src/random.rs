//! Numbers and vectors that follow from a seed.

/// xorshift64* (Vigna, An experimental exploration of Marsaglia's xorshift generators, scrambled,
/// 2016); another one than the kernel's, so that the two have nothing to do with each other.
pub struct Random {
    state: u64,
}

impl Random {
    pub fn new(seed: u64) -> Self {
        // Zero would stay zero, and the first numbers of small seeds are much alike.
        let mut random = Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        };
        for _ in 0..8 {
            random.word();
        }
        random
    }

    pub fn word(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number from 0 to `limit` - 1.
    pub fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.word()) * limit as u128) >> 64) as usize
    }

    pub fn choose<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn component(&mut self) -> i16 {
        (self.word() >> 48) as i16
    }

    /// Nearly normal, with deviation 1/16 of `scale`: the sum of twelve even numbers (Irwin-Hall).
    fn normal(&mut self, scale: i64) -> i64 {
        let sum: i64 = (0..12).map(|_| self.below(1 << 16) as i64).sum();
        ((sum - 6 * ((1 << 16) - 1) - 6) * scale) >> 20
    }

    /// Evenly from all vectors that there are.
    pub fn vector(&mut self, dimension: usize) -> Vec<i16> {
        (0..dimension).map(|_| self.component()).collect()
    }

    /// One of those that mistakes are made with: the extremes, many that are as near, none at all.
    pub fn peculiar_vector(&mut self, dimension: usize) -> Vec<i16> {
        let values: &[i16] = match self.below(5) {
            0 => return self.vector(dimension),
            1 => &[-3, -2, -1, 0, 1, 2, 3],
            2 => &[i16::MIN, i16::MAX],
            3 => &[i16::MIN, i16::MAX, 0, -1, 1],
            _ => &[0, 0, 0, 0, 0, 0, 0, 1],
        };
        (0..dimension).map(|_| *self.choose(values)).collect()
    }
}

/// Points round some centres: a mixture of normal distributions.
pub struct Clusters {
    centres: Vec<Vec<i16>>,
    deviation: i64,
}

impl Clusters {
    pub fn new(
        random: &mut Random,
        count: usize,
        dimension: usize,
        widest: i16,
        deviation: i64,
    ) -> Self {
        let mut component =
            || (random.below(2 * widest as usize + 1) as i64 - widest as i64) as i16;
        let mut centre = || (0..dimension).map(|_| component()).collect();
        Self {
            centres: (0..count).map(|_| centre()).collect(),
            deviation,
        }
    }

    pub fn vector(&self, random: &mut Random) -> Vec<i16> {
        let centre = random.choose(&self.centres).clone();
        let near = centre.iter().map(|&middle| {
            let component = i64::from(middle) + random.normal(16 * self.deviation);
            component.clamp(i16::MIN.into(), i16::MAX.into()) as i16
        });
        near.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_have_their_deviation() {
        let mut random = Random::new(1);
        let clusters = Clusters::new(&mut random, 1, 1, 0, 1000);
        let draws = 20_000;
        let (mut sum, mut squares) = (0, 0);
        for _ in 0..draws {
            let component = i64::from(clusters.vector(&mut random)[0]);
            sum += component;
            squares += component * component;
        }
        assert!((sum / draws).abs() < 30, "mean {}", sum / draws);
        let deviation = ((squares / draws) as f64).sqrt();
        assert!((950.0..1050.0).contains(&deviation), "{deviation}");
    }

    #[test]
    fn numbers_stay_below_their_limit_and_reach_it() {
        let mut random = Random::new(0);
        let mut seen = [false; 7];
        for _ in 0..1000 {
            seen[random.below(7)] = true;
        }
        assert_eq!(seen, [true; 7]);
    }
}
