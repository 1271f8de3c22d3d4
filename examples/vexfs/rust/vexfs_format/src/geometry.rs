//! Where the areas of a file system are: they follow from its size and its number of inodes.

use crate::structures::{
    Superblock, BITS_PER_BLOCK, BLOCK_SIZE, INODES_PER_BLOCK, LABEL_SIZE, MAGIC, MAX_BLOCKS,
    MIN_BLOCKS, MIN_INODES, ROOT_INODE, STATE_CLEAN, SUPERBLOCK, VERSION,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    pub blocks: u64,
    pub inodes: u32,
    pub inode_bitmap: u64,
    pub block_bitmap: u64,
    pub inode_table: u64,
    /// First block after the tables.
    pub data: u64,
}

fn bitmap_blocks(bits: u64) -> u64 {
    (bits + BITS_PER_BLOCK - 1) / BITS_PER_BLOCK
}

impl Geometry {
    /// Lays out a file system, or says why it can't be done.
    pub fn new(blocks: u64, inodes: u32) -> Result<Self, String> {
        if !(MIN_BLOCKS..=MAX_BLOCKS).contains(&blocks) {
            return Err(format!(
                "{blocks} blocks; allowed: {MIN_BLOCKS} to {MAX_BLOCKS}"
            ));
        }
        if inodes < MIN_INODES || inodes % INODES_PER_BLOCK != 0 {
            return Err(format!(
                "{inodes} inodes; allowed: multiples of {INODES_PER_BLOCK}, from {MIN_INODES} on"
            ));
        }
        let inode_bitmap = SUPERBLOCK + 1;
        let block_bitmap = inode_bitmap + bitmap_blocks(u64::from(inodes));
        let inode_table = block_bitmap + bitmap_blocks(blocks);
        let data = inode_table + u64::from(inodes / INODES_PER_BLOCK);
        if data >= blocks {
            return Err(format!(
                "{inodes} inodes need {data} blocks, there are {blocks}"
            ));
        }
        Ok(Self {
            blocks,
            inodes,
            inode_bitmap,
            block_bitmap,
            inode_table,
            data,
        })
    }

    /// One inode for every 16 blocks, at most 65536: the table is written when it is made.
    pub fn default_inodes(blocks: u64) -> u32 {
        let inodes = (blocks / 16).min(65536) as u32;
        (inodes / INODES_PER_BLOCK * INODES_PER_BLOCK).max(MIN_INODES)
    }

    /// A sealed superblock for it.
    pub fn superblock(&self, uuid: [u8; 16], label: [u8; LABEL_SIZE], created: u64) -> Superblock {
        let mut superblock = Superblock {
            magic: MAGIC,
            checksum: 0,
            version: VERSION,
            block_size: BLOCK_SIZE as u32,
            block_count: self.blocks,
            inode_count: self.inodes,
            state: STATE_CLEAN,
            inode_bitmap: self.inode_bitmap as u32,
            inode_bitmap_blocks: (self.block_bitmap - self.inode_bitmap) as u32,
            block_bitmap: self.block_bitmap as u32,
            block_bitmap_blocks: (self.inode_table - self.block_bitmap) as u32,
            inode_table: self.inode_table as u32,
            inode_table_blocks: (self.data - self.inode_table) as u32,
            data: self.data as u32,
            root_inode: ROOT_INODE,
            created,
            uuid,
            label,
            reserved: [0; 136],
        };
        superblock.seal();
        superblock
    }

    /// The geometry that a superblock describes, or what is wrong with the superblock.
    pub fn of(superblock: &Superblock) -> Result<Self, String> {
        if superblock.magic != MAGIC {
            return Err("no vexfs here: wrong magic".into());
        }
        if superblock.checksum != superblock.expected_checksum() {
            return Err("damaged superblock: wrong checksum".into());
        }
        if superblock.version != VERSION {
            return Err(format!("format {}, known is {VERSION}", superblock.version));
        }
        let geometry = Self::new(superblock.block_count, superblock.inode_count)
            .map_err(|fault| format!("damaged superblock: {fault}"))?;
        let mut expected =
            geometry.superblock(superblock.uuid, superblock.label, superblock.created);
        expected.state = superblock.state;
        expected.checksum = superblock.checksum;
        if expected != *superblock {
            return Err("damaged superblock: its areas do not fit its size".into());
        }
        Ok(geometry)
    }

    /// The block of the table that holds an inode, and the inode's offset in it.
    pub fn inode_place(&self, number: u32) -> (u64, usize) {
        let index = number - ROOT_INODE;
        let block = self.inode_table + u64::from(index / INODES_PER_BLOCK);
        (
            block,
            (index % INODES_PER_BLOCK) as usize * crate::structures::INODE_SIZE,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_follow_each_other() {
        let geometry = Geometry::new(100_000, 40_000).unwrap();
        assert_eq!(geometry.inode_bitmap, 1);
        assert_eq!(geometry.block_bitmap, 3, "40000 bits need two blocks");
        assert_eq!(geometry.inode_table, 7, "100000 bits need four");
        assert_eq!(geometry.data, 7 + 2500);
        assert_eq!(geometry.inode_place(1), (7, 0));
        assert_eq!(geometry.inode_place(18), (8, 256));
    }

    #[test]
    fn impossible_sizes_are_refused() {
        assert!(Geometry::new(MIN_BLOCKS - 1, 16).is_err());
        assert!(Geometry::new(MAX_BLOCKS + 1, 16).is_err());
        assert!(Geometry::new(1000, 8).is_err());
        assert!(Geometry::new(1000, 17).is_err());
        assert!(Geometry::new(16, 256).is_err(), "no room for data");
        assert!(Geometry::new(16, 16).is_ok());
    }

    #[test]
    fn any_changed_byte_of_a_superblock_is_found() {
        let geometry = Geometry::new(1000, 64).unwrap();
        let superblock = geometry.superblock([3; 16], [0; LABEL_SIZE], 1);
        assert_eq!(Geometry::of(&superblock), Ok(geometry));
        let bytes = superblock.to_bytes();
        for at in 0..bytes.len() {
            let mut changed = bytes;
            changed[at] ^= 1;
            assert!(
                Geometry::of(&Superblock::from_bytes(&changed)).is_err(),
                "byte {at}"
            );
        }
    }

    #[test]
    fn sealed_but_wrong_areas_are_found() {
        let geometry = Geometry::new(1000, 64).unwrap();
        let mut superblock = geometry.superblock([3; 16], [0; LABEL_SIZE], 1);
        superblock.data += 1;
        superblock.seal();
        assert!(Geometry::of(&superblock).is_err());
    }
}
