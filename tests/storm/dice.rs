//! Chance.

/// Numbers by chance: SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>).
pub(super) struct Dice(pub u64);

impl Dice {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, of_hundred: usize) -> bool {
        self.below(100) < of_hundred
    }

    pub(super) fn of<T: Clone>(&mut self, these: &[T]) -> T {
        these[self.below(these.len())].clone()
    }

    /// Image data; zeros in places, which become holes in a file.
    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let holes = self.percent(30);
        let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect();
        for block in bytes.chunks_mut(64 << 10) {
            if holes && self.percent(50) {
                block.fill(0);
            }
        }
        bytes.truncate(len);
        // Never the mark of a boot sector, which rimg would look into.
        bytes.iter_mut().skip(510).take(1).for_each(|byte| *byte = 0);
        bytes
    }
}
