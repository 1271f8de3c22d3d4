//! What an inode says by itself.

use vexfs_format::{
    DiskInode, BLOCK_SIZE, INODE_COLLECTION, INODE_MAGIC, MAX_FILE_BLOCKS, MAX_LINKS,
    MODE_DIRECTORY, MODE_REGULAR, MODE_SYMLINK,
};

/// What is wrong with an inode, if anything.
pub fn inode_fault(disk: &DiskInode, uuid: &[u8; 16], number: u32) -> Option<String> {
    let block = BLOCK_SIZE as u64;
    let too_long = disk.size > MAX_FILE_BLOCKS * block;
    let (wrong_size, allowed_flags) = match disk.file_type() {
        MODE_REGULAR => (too_long, INODE_COLLECTION),
        MODE_DIRECTORY => (disk.size == 0 || disk.size % block != 0 || too_long, 0),
        MODE_SYMLINK => (disk.size == 0 || disk.size >= block, 0),
        _ => return Some(format!("unknown type, mode {:o}", disk.mode)),
    };
    let nanoseconds = [disk.atime_nsec, disk.mtime_nsec, disk.ctime_nsec];
    if disk.magic != INODE_MAGIC {
        Some("wrong magic".into())
    } else if disk.checksum != disk.expected_checksum(uuid, number) {
        Some("wrong checksum".into())
    } else if disk.flags & !allowed_flags != 0 {
        Some("unknown flags".into())
    } else if disk.links > MAX_LINKS {
        Some(format!("{} links", disk.links))
    } else if nanoseconds.iter().any(|&count| count >= 1_000_000_000) {
        Some("wrong time".into())
    } else if wrong_size {
        Some(format!("wrong size {}", disk.size))
    } else {
        None
    }
}
