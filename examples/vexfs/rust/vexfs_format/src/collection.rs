//! A collection of vectors: the content of a regular file with the flag `INODE_COLLECTION`.
//!
//! Block 0 of the file is the header. Then come as many blocks of centroids as a group has blocks
//! of components, and the groups: a block of entries, and the components of its vectors.

use crate::checksum::{checksum, data_checksum};
use crate::layout;
use crate::structures::BLOCK_SIZE;

pub const COLLECTION_MAGIC: u32 = 0x4c43_5856;
pub const COLLECTION_SIZE: usize = 256;
pub const ENTRY_SIZE: usize = 16;
/// Vectors of a group.
pub const ENTRIES_PER_BLOCK: usize = 256;
pub const ENTRY_LIVE: u16 = 1;
pub const ENTRY_DELETED: u16 = 2;

// True today; the point is that they stop the build on the day that they are not.
#[allow(clippy::assertions_on_constants)]
const _: () = {
    assert!(CollectionHeader::SIZE == COLLECTION_SIZE);
    assert!(Entry::SIZE == ENTRY_SIZE);
    assert!(ENTRIES_PER_BLOCK * ENTRY_SIZE == BLOCK_SIZE);
};

layout! {
    /// The start of a collection; the rest of its block is zeros.
    CollectionHeader, 256 {
        0 magic: u32,
        4 checksum: u32,
        8 dimension: u32,
        12 metric: u32,
        /// Of the index; 0 when there is none.
        16 cells: u32,
        20 centroid_checksum: u32,
        /// Of the inode, as in `Entry`.
        24 generation: u32,
        28 reserved: [u8; 228],
    }
}

layout! {
    /// What is known of a vector; all zeros when its id was never given.
    Entry, 16 {
        0 checksum: u32,
        4 data_checksum: u32,
        /// `ENTRY_LIVE` or `ENTRY_DELETED`.
        8 state: u16,
        10 cell: u16,
        /// Of the inode: its number had other files before, whose blocks may come back.
        12 generation: u32,
    }
}

impl CollectionHeader {
    pub fn new(dimension: u32, metric: u32, generation: u32) -> Self {
        let mut header = Self::from_bytes(&[0; Self::SIZE]);
        header.magic = COLLECTION_MAGIC;
        header.dimension = dimension;
        header.metric = metric;
        header.generation = generation;
        header
    }

    pub fn expected_checksum(&self, uuid: &[u8; 16], inode: u32) -> u32 {
        checksum(uuid, u64::from(inode), &self.to_bytes())
    }

    pub fn seal(&mut self, uuid: &[u8; 16], inode: u32) {
        self.checksum = self.expected_checksum(uuid, inode);
    }
}

/// The checksum of an index's centroids.
pub fn centroid_checksum(uuid: &[u8; 16], inode: u32, centroids: &[u8]) -> u32 {
    data_checksum(uuid, u64::from(inode), centroids)
}

/// The checksum of a vector's components.
pub fn vector_checksum(uuid: &[u8; 16], inode: u32, id: u64, components: &[u8]) -> u32 {
    data_checksum(uuid, vector_place(inode, id), components)
}

/// What stands for the place in the checksums of a vector.
fn vector_place(inode: u32, id: u64) -> u64 {
    (u64::from(inode) << 32) | id
}

impl Entry {
    /// Of a vector that is to be there no more.
    pub fn deleted(generation: u32) -> Self {
        Self {
            checksum: 0,
            data_checksum: 0,
            state: ENTRY_DELETED,
            cell: 0,
            generation,
        }
    }

    /// Whether the id was ever given.
    pub fn is_given(&self) -> bool {
        self.to_bytes() != [0; Self::SIZE]
    }

    pub fn expected_checksum(&self, uuid: &[u8; 16], inode: u32, id: u64) -> u32 {
        let mut bytes = self.to_bytes();
        bytes[..4].fill(0);
        data_checksum(uuid, vector_place(inode, id), &bytes)
    }

    pub fn seal(&mut self, uuid: &[u8; 16], inode: u32, id: u64) {
        self.checksum = self.expected_checksum(uuid, inode, id);
    }
}

/// Where things are in a collection: it follows from the dimension. Blocks are those of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectionLayout {
    dimension: u32,
}

impl CollectionLayout {
    pub fn new(dimension: u32) -> Self {
        Self { dimension }
    }

    /// Bytes of a vector, and of a centroid.
    pub fn vector_size(&self) -> usize {
        self.dimension as usize * 2
    }

    /// Blocks of the components of a group, and of the centroids.
    pub fn component_blocks(&self) -> u64 {
        let bytes = ENTRIES_PER_BLOCK * self.vector_size();
        ((bytes + BLOCK_SIZE - 1) / BLOCK_SIZE) as u64
    }

    pub fn first_centroid_block(&self) -> u64 {
        1
    }

    /// The block of entries of a group; the components follow.
    pub fn entries_block(&self, group: u64) -> u64 {
        (1 + group) * (1 + self.component_blocks())
    }

    /// Bytes of a file with this number of groups.
    pub fn size(&self, groups: u64) -> u64 {
        self.entries_block(groups) * BLOCK_SIZE as u64
    }

    /// The groups that a file of `size` bytes reaches into.
    pub fn groups(&self, size: u64) -> u64 {
        let group = self.size(1) - self.size(0);
        (size.saturating_sub(self.size(0)) + group - 1) / group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_follow_the_centroids() {
        let layout = CollectionLayout::new(16);
        assert_eq!(layout.component_blocks(), 2);
        assert_eq!(layout.entries_block(0), 3);
        assert_eq!(layout.entries_block(2), 9);
        assert_eq!(layout.size(0), 3 * 4096);
        assert_eq!(layout.size(2), 9 * 4096);
    }

    #[test]
    fn component_blocks_are_the_dimension_over_eight_rounded_up() {
        for dimension in 1..=1024 {
            let blocks = CollectionLayout::new(dimension).component_blocks();
            assert_eq!(blocks, (u64::from(dimension) + 7) / 8, "{dimension}");
        }
    }

    #[test]
    fn groups_follow_from_the_size() {
        let layout = CollectionLayout::new(9);
        for groups in 0..5 {
            assert_eq!(layout.groups(layout.size(groups)), groups);
            assert_eq!(layout.groups(layout.size(groups) + 1), groups + 1);
        }
        assert_eq!(layout.groups(0), 0);
    }

    #[test]
    fn checksums_depend_on_inode_and_id() {
        assert_eq!(vector_place(5, 9), 0x5_0000_0009);
        let uuid = [7; 16];
        let mut entry = Entry::deleted(4);
        entry.seal(&uuid, 5, 9);
        assert_eq!(entry.checksum, entry.expected_checksum(&uuid, 5, 9));
        assert_ne!(entry.checksum, entry.expected_checksum(&uuid, 6, 9));
        assert_ne!(entry.checksum, entry.expected_checksum(&uuid, 5, 8));
        assert_ne!(entry.checksum, entry.expected_checksum(&[8; 16], 5, 9));
        assert_ne!(
            vector_checksum(&uuid, 5, 9, &[1, 2]),
            vector_checksum(&uuid, 5, 8, &[1, 2])
        );
    }
}
