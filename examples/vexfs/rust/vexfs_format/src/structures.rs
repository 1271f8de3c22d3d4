//! The structures and constants of the format, version 1.

use crate::checksum::checksum;
use crate::layout;

pub const MAGIC: u32 = 0x4658_4556;
pub const VERSION: u32 = 1;

pub const BLOCK_SIZE: usize = 4096;
pub const MIN_BLOCKS: u64 = 16;
pub const MAX_BLOCKS: u64 = 0xffff_ffff;
pub const MIN_INODES: u32 = 16;

pub const SUPERBLOCK: u64 = 0;
pub const ROOT_INODE: u32 = 1;

pub const STATE_CLEAN: u32 = 1;
pub const STATE_IN_USE: u32 = 2;

pub const LABEL_SIZE: usize = 32;

pub const BITMAP_MAGIC: u32 = 0x4d42_5856;
pub const DIRECTORY_MAGIC: u32 = 0x5244_5856;
pub const POINTERS_MAGIC: u32 = 0x5450_5856;

pub const HEADER_SIZE: usize = 16;
pub const PAYLOAD_SIZE: usize = 4080;
pub const BITS_PER_BLOCK: u64 = 32640;
pub const POINTERS_PER_BLOCK: usize = 1020;

pub const INODE_MAGIC: u32 = 0x4e49_5856;
pub const INODE_SIZE: usize = 256;
pub const INODES_PER_BLOCK: u32 = 16;
pub const MAX_LINKS: u32 = 65000;

/// Flag of an inode: a regular file that is a collection of vectors.
pub const INODE_COLLECTION: u16 = 1;

pub const DIRECT: usize = 12;
pub const INDIRECT: usize = 12;
pub const DOUBLE_INDIRECT: usize = 13;
pub const POINTERS: usize = 14;
pub const MAX_FILE_BLOCKS: u64 = 1_041_432;

pub const DIRENT_SIZE: usize = 8;
pub const DIRENT_ALIGN: usize = 8;
pub const NAME_MAX: usize = 255;

// True today; the point is that they stop the build on the day that they are not.
#[allow(clippy::assertions_on_constants)]
const _: () = {
    assert!(PAYLOAD_SIZE + HEADER_SIZE == BLOCK_SIZE);
    assert!(BITS_PER_BLOCK as usize == PAYLOAD_SIZE * 8);
    assert!(POINTERS_PER_BLOCK * 4 == PAYLOAD_SIZE);
    assert!(INODES_PER_BLOCK as usize * INODE_SIZE == BLOCK_SIZE);
    assert!(
        MAX_FILE_BLOCKS as usize
            == DIRECT + POINTERS_PER_BLOCK + POINTERS_PER_BLOCK * POINTERS_PER_BLOCK
    );
};

/// The types of file that have inodes, in the upper bits of `DiskInode::mode`.
pub const MODE_TYPE: u16 = 0o170_000;
pub const MODE_DIRECTORY: u16 = 0o040_000;
pub const MODE_REGULAR: u16 = 0o100_000;
pub const MODE_SYMLINK: u16 = 0o120_000;

layout! {
    /// The first block of the file system.
    Superblock, 256 {
        0 magic: u32,
        4 checksum: u32,
        8 version: u32,
        12 block_size: u32,
        16 block_count: u64,
        24 inode_count: u32,
        /// `STATE_CLEAN` or `STATE_IN_USE`.
        28 state: u32,
        32 inode_bitmap: u32,
        36 inode_bitmap_blocks: u32,
        40 block_bitmap: u32,
        44 block_bitmap_blocks: u32,
        48 inode_table: u32,
        52 inode_table_blocks: u32,
        56 data: u32,
        60 root_inode: u32,
        /// Seconds since 1970.
        64 created: u64,
        72 uuid: [u8; 16],
        88 label: [u8; LABEL_SIZE],
        120 reserved: [u8; 136],
    }
}

layout! {
    /// The start of each block of a bitmap, a directory or pointers.
    BlockHeader, 16 {
        0 magic: u32,
        4 checksum: u32,
        /// An inode's number; 0 for bitmaps.
        8 owner: u32,
        12 reserved: u32,
    }
}

layout! {
    /// An inode in the table; one that is free is all zeros.
    DiskInode, 256 {
        0 magic: u32,
        4 checksum: u32,
        8 generation: u32,
        12 mode: u16,
        14 flags: u16,
        16 links: u32,
        20 uid: u32,
        24 gid: u32,
        28 blocks: u32,
        32 size: u64,
        40 atime: i64,
        48 mtime: i64,
        56 ctime: i64,
        64 atime_nsec: u32,
        68 mtime_nsec: u32,
        72 ctime_nsec: u32,
        76 pointers: [u32; POINTERS],
        132 reserved: [u8; 124],
    }
}

layout! {
    /// The start of a record in a directory; the name follows.
    DirentHead, 8 {
        0 inode: u32,
        4 length: u16,
        6 name_length: u8,
        7 kind: u8,
    }
}

impl Superblock {
    pub fn expected_checksum(&self) -> u32 {
        checksum(&self.uuid, SUPERBLOCK, &self.to_bytes())
    }

    pub fn seal(&mut self) {
        self.checksum = self.expected_checksum();
    }
}

impl DiskInode {
    pub fn empty(mode: u16) -> Self {
        let mut inode = Self::from_bytes(&[0; INODE_SIZE]);
        inode.magic = INODE_MAGIC;
        inode.mode = mode;
        inode
    }

    pub fn file_type(&self) -> u16 {
        self.mode & MODE_TYPE
    }

    pub fn is_collection(&self) -> bool {
        self.flags & INODE_COLLECTION != 0
    }

    pub fn expected_checksum(&self, uuid: &[u8; 16], number: u32) -> u32 {
        checksum(uuid, u64::from(number), &self.to_bytes())
    }

    pub fn seal(&mut self, uuid: &[u8; 16], number: u32) {
        self.checksum = self.expected_checksum(uuid, number);
    }
}

/// The type of a record as in `DT_REG` and so on: the type bits of the mode.
pub fn dirent_kind(mode: u16) -> u8 {
    (mode >> 12) as u8
}

/// Starts a block with a header of this kind; the rest is zeros.
pub fn new_block(magic: u32, owner: u32) -> Vec<u8> {
    let mut block = vec![0; BLOCK_SIZE];
    let header = BlockHeader {
        magic,
        checksum: 0,
        owner,
        reserved: 0,
    };
    block[..HEADER_SIZE].copy_from_slice(&header.to_bytes());
    block
}

/// Writes the checksum into a block with a header.
pub fn seal_block(block: &mut [u8], uuid: &[u8; 16], number: u64) {
    let sum = checksum(uuid, number, block);
    block[4..8].copy_from_slice(&sum.to_le_bytes());
}

/// What is wrong with a block's header, if anything.
pub fn block_fault(
    block: &[u8],
    uuid: &[u8; 16],
    number: u64,
    magic: u32,
    owner: u32,
) -> Option<&'static str> {
    let header = BlockHeader::from_bytes(block);
    if header.magic != magic {
        Some("wrong magic")
    } else if header.checksum != checksum(uuid, number, block) {
        Some("wrong checksum")
    } else if header.owner != owner {
        Some("wrong owner")
    } else if header.reserved != 0 {
        Some("reserved field in use")
    } else {
        None
    }
}
