//! A block device, or a file with a file system in it, in blocks.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};

use vexfs_format::{Geometry, Superblock, BLOCK_SIZE, SUPERBLOCK};

use crate::exclusive;
use crate::failure::Failure;

/// On a block device: fails while it is mounted (open(2); the value is Linux's on most machines).
const O_EXCL: i32 = 0o200;

pub struct Device {
    name: String,
    file: File,
    blocks: u64,
}

impl Device {
    /// Opens a device for reading.
    pub fn open(name: &str) -> Result<Self, Failure> {
        Self::open_with(name, false, 0)
    }

    /// Opens a device for reading that nobody has mounted.
    pub fn open_unmounted(name: &str) -> Result<Self, Failure> {
        Self::open_with(name, false, O_EXCL)
    }

    /// Opens a device for reading and writing that nobody has mounted.
    pub fn open_writable(name: &str) -> Result<Self, Failure> {
        Self::open_with(name, true, O_EXCL)
    }

    fn open_with(name: &str, write: bool, flags: i32) -> Result<Self, Failure> {
        let metadata = std::fs::metadata(name).map_err(|error| Failure::device(name, &error))?;
        let kind = metadata.file_type();
        let flags = if kind.is_block_device() {
            flags
        } else if kind.is_file() {
            0 // for a file the flag would mean something else
        } else {
            return Err(Failure::device(name, &"neither a block device nor a file"));
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(write)
            .custom_flags(flags)
            .open(name)
            .map_err(|error| match error.raw_os_error() {
                Some(16) => Failure::device(name, &"in use; is it mounted? unmount it first"),
                _ => Failure::device(name, &error),
            })?;
        if flags == O_EXCL {
            exclusive::take(name, &file)?;
        }
        let bytes = file
            .seek(SeekFrom::End(0))
            .map_err(|error| Failure::device(name, &error))?;
        Ok(Self {
            name: name.to_owned(),
            file,
            blocks: bytes / BLOCK_SIZE as u64,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whole blocks that fit on the device.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    pub fn read(&self, block: u64) -> Result<Vec<u8>, Failure> {
        let mut bytes = vec![0; BLOCK_SIZE];
        self.file
            .read_exact_at(&mut bytes, block * BLOCK_SIZE as u64)
            .map_err(|error| Failure::device(&format!("{}: block {block}", self.name), &error))?;
        Ok(bytes)
    }

    /// Writes whole blocks from `block` on.
    pub fn write(&self, block: u64, bytes: &[u8]) -> Result<(), Failure> {
        self.file
            .write_all_at(bytes, block * BLOCK_SIZE as u64)
            .map_err(|error| Failure::device(&format!("{}: block {block}", self.name), &error))
    }

    pub fn sync(&self) -> Result<(), Failure> {
        self.file
            .sync_all()
            .map_err(|error| Failure::device(&self.name, &error))
    }

    /// Reads and verifies the superblock.
    pub fn superblock(&self) -> Result<(Superblock, Geometry), Failure> {
        let superblock = Superblock::from_bytes(&self.read(SUPERBLOCK)?);
        let geometry =
            Geometry::of(&superblock).map_err(|fault| Failure::device(&self.name, &fault))?;
        if geometry.blocks > self.blocks {
            let fault = format!(
                "{} blocks, but the device has {}",
                geometry.blocks, self.blocks
            );
            return Err(Failure::device(&self.name, &fault));
        }
        Ok((superblock, geometry))
    }

    /// Writes a superblock, with a new checksum and nothing else in its block.
    pub fn write_superblock(&self, mut superblock: Superblock) -> Result<(), Failure> {
        superblock.seal();
        let mut block = superblock.to_bytes().to_vec();
        block.resize(BLOCK_SIZE, 0);
        self.write(SUPERBLOCK, &block)
    }
}
