//! The blocks of an inode, by way of its pointers.

use vexfs_format::bitmap::Bitmap;
use vexfs_format::{
    block_fault, DiskInode, Geometry, BLOCK_SIZE, DIRECT, HEADER_SIZE, POINTERS_MAGIC,
    POINTERS_PER_BLOCK,
};

use crate::device::Device;
use crate::failure::Failure;

/// What an inode holds.
#[derive(Debug, Default)]
pub struct FileBlocks {
    /// Blocks of data and of pointers.
    pub held: u32,
    /// Number in the file and on the device of each block of data, in the file's order.
    data: Vec<(u64, u64)>,
    /// Why some of it is not known.
    pub faults: Vec<String>,
}

impl FileBlocks {
    /// Follows the pointers of an inode and marks what it holds as taken.
    pub fn claim(
        device: &Device,
        geometry: &Geometry,
        uuid: &[u8; 16],
        taken: &mut Bitmap,
        number: u32,
        disk: &DiskInode,
    ) -> Result<Self, Failure> {
        let mut walk = Walk {
            device,
            geometry,
            uuid,
            taken,
            number,
            found: Self::default(),
        };
        let mut index = 0;
        for (slot, &pointer) in disk.pointers.iter().enumerate() {
            let height = if slot < DIRECT { 0 } else { slot - DIRECT + 1 };
            walk.follow(pointer, height, index)?;
            index += span(height);
        }
        Ok(walk.found)
    }

    /// Whether all of it is known.
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }

    /// Where a block of the file is on the device; `None`: a hole.
    pub fn place(&self, index: u64) -> Option<u64> {
        let at = self.data.binary_search_by_key(&index, |&(index, _)| index);
        at.ok().map(|at| self.data[at].1)
    }

    /// The highest of the file's blocks that is there.
    pub fn last(&self) -> Option<u64> {
        self.data.last().map(|&(index, _)| index)
    }

    /// Spares memory when only the numbers matter from now on.
    pub fn forget_places(&mut self) {
        self.data = Vec::new();
    }

    /// The content of a block of the file; a hole has zeros.
    pub fn read(&self, device: &Device, index: u64) -> Result<Vec<u8>, Failure> {
        match self.place(index) {
            Some(block) => device.read(block),
            None => Ok(vec![0; BLOCK_SIZE]),
        }
    }
}

struct Walk<'a> {
    device: &'a Device,
    geometry: &'a Geometry,
    uuid: &'a [u8; 16],
    taken: &'a mut Bitmap,
    number: u32,
    found: FileBlocks,
}

impl Walk<'_> {
    /// Claims a block and those below it; `index` is the first of the file's blocks among them.
    fn follow(&mut self, pointer: u32, height: usize, index: u64) -> Result<(), Failure> {
        let block = u64::from(pointer);
        if block == 0 {
            return Ok(());
        }
        if block < self.geometry.data || block >= self.geometry.blocks {
            let fault = format!("pointer to block {block}, which holds no data");
            self.found.faults.push(fault);
            return Ok(());
        }
        if !self.taken.set(block) {
            let fault = format!("block {block} belongs to another file too");
            self.found.faults.push(fault);
            return Ok(());
        }
        self.found.held += 1;
        if height == 0 {
            self.found.data.push((index, block));
            return Ok(());
        }
        let bytes = self.device.read(block)?;
        if let Some(fault) = block_fault(&bytes, self.uuid, block, POINTERS_MAGIC, self.number) {
            let fault = format!("block {block} of pointers: {fault}");
            self.found.faults.push(fault);
            return Ok(());
        }
        for slot in 0..POINTERS_PER_BLOCK {
            let start = HEADER_SIZE + slot * 4;
            let mut child = [0; 4];
            child.copy_from_slice(&bytes[start..start + 4]);
            let below = index + slot as u64 * span(height - 1);
            self.follow(u32::from_le_bytes(child), height - 1, below)?;
        }
        Ok(())
    }
}

/// Blocks of a file below a pointer with `height` levels of pointers under it.
pub fn span(height: usize) -> u64 {
    (POINTERS_PER_BLOCK as u64).pow(height as u32)
}
