//! A bitmap in memory, and its blocks on the disk.

use std::ops::Range;

use crate::structures::{
    new_block, seal_block, BITMAP_MAGIC, BITS_PER_BLOCK, HEADER_SIZE, PAYLOAD_SIZE,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap {
    bits: u64,
    bytes: Vec<u8>,
}

impl Bitmap {
    pub fn new(bits: u64) -> Self {
        Self {
            bits,
            bytes: vec![0; ((bits + 7) / 8) as usize],
        }
    }

    pub fn bits(&self) -> u64 {
        self.bits
    }

    pub fn get(&self, bit: u64) -> bool {
        self.bytes[(bit / 8) as usize] & (1 << (bit % 8)) != 0
    }

    /// Sets a bit and says whether it was clear.
    pub fn set(&mut self, bit: u64) -> bool {
        let was_clear = !self.get(bit);
        self.bytes[(bit / 8) as usize] |= 1 << (bit % 8);
        was_clear
    }

    pub fn count_clear(&self) -> u64 {
        (0..self.bits).filter(|&bit| !self.get(bit)).count() as u64
    }

    /// Number of blocks on the disk.
    pub fn block_count(&self) -> u64 {
        (self.bits + BITS_PER_BLOCK - 1) / BITS_PER_BLOCK
    }

    /// The bytes of one block's bits: a block holds a whole number of bytes.
    fn block_bytes(&self, index: u64) -> Range<usize> {
        let start = index as usize * PAYLOAD_SIZE;
        start..self.bytes.len().min(start + PAYLOAD_SIZE)
    }

    /// The bits of the last byte that are beyond the end.
    fn unused_bits(&self) -> u8 {
        match self.bits % 8 {
            0 => 0,
            used => !0 << used,
        }
    }

    /// The block with this index, for its place on the disk. Bits beyond the end are set.
    pub fn to_block(&self, index: u64, uuid: &[u8; 16], number: u64) -> Vec<u8> {
        let mut block = new_block(BITMAP_MAGIC, 0);
        let range = self.block_bytes(index);
        let (used, unused) = block[HEADER_SIZE..].split_at_mut(range.len());
        used.copy_from_slice(&self.bytes[range.clone()]);
        if range.end == self.bytes.len() {
            used[range.len() - 1] |= self.unused_bits();
        }
        unused.fill(!0);
        seal_block(&mut block, uuid, number);
        block
    }

    /// Takes over a block from the disk; false when a bit beyond the end is clear.
    pub fn load_block(&mut self, index: u64, block: &[u8]) -> bool {
        let range = self.block_bytes(index);
        let (used, unused) = block[HEADER_SIZE..].split_at(range.len());
        let mut valid = unused.iter().all(|&byte| byte == !0);
        self.bytes[range.clone()].copy_from_slice(used);
        if range.end == self.bytes.len() {
            let bits = self.unused_bits();
            let last = &mut self.bytes[range.end - 1];
            valid &= *last & bits == bits;
            *last &= !bits;
        }
        valid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_disk_across_blocks() {
        let mut bitmap = Bitmap::new(BITS_PER_BLOCK + 100);
        for bit in [
            0,
            7,
            8,
            BITS_PER_BLOCK - 1,
            BITS_PER_BLOCK,
            BITS_PER_BLOCK + 99,
        ] {
            assert!(bitmap.set(bit));
            assert!(!bitmap.set(bit));
        }
        let mut copy = Bitmap::new(bitmap.bits());
        for index in 0..bitmap.block_count() {
            assert!(copy.load_block(index, &bitmap.to_block(index, &[1; 16], index)));
        }
        assert_eq!(bitmap, copy);
        assert_eq!(copy.count_clear(), BITS_PER_BLOCK + 94);
    }

    #[test]
    fn clear_bit_beyond_the_end_is_found() {
        let bitmap = Bitmap::new(100);
        let mut block = bitmap.to_block(0, &[1; 16], 0);
        assert!(Bitmap::new(100).load_block(0, &block));
        block[HEADER_SIZE + 12] &= !(1 << 4);
        assert!(!Bitmap::new(100).load_block(0, &block));
    }
}
