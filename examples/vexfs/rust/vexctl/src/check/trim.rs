//! Cuts off the blocks that a file has beyond its size.

use vexfs_format::{seal_block, Geometry, BLOCK_SIZE, DIRECT, HEADER_SIZE, POINTERS_PER_BLOCK};

use super::blocks::span;
use super::repair::change_inode;
use crate::device::Device;
use crate::failure::Failure;

/// The caller has verified all blocks of pointers of the inode.
pub fn trim(
    device: &Device,
    geometry: &Geometry,
    uuid: &[u8; 16],
    number: u32,
) -> Result<(), Failure> {
    change_inode(device, geometry, uuid, number, |inode| {
        let needed = (inode.size + BLOCK_SIZE as u64 - 1) / BLOCK_SIZE as u64;
        let mut index = 0;
        for (slot, pointer) in inode.pointers.iter_mut().enumerate() {
            let height = if slot < DIRECT { 0 } else { slot - DIRECT + 1 };
            if *pointer != 0 && index >= needed {
                *pointer = 0;
            } else if *pointer != 0 && index + span(height) > needed {
                trim_block(device, uuid, *pointer, height, index, needed)?;
            }
            index += span(height);
        }
        Ok(())
    })
}

/// The same for a block of pointers whose first block of the file, `index`, is needed.
fn trim_block(
    device: &Device,
    uuid: &[u8; 16],
    number: u32,
    height: usize,
    mut index: u64,
    needed: u64,
) -> Result<(), Failure> {
    let number = u64::from(number);
    let mut bytes = device.read(number)?;
    let below = span(height - 1);
    for place in bytes[HEADER_SIZE..HEADER_SIZE + POINTERS_PER_BLOCK * 4].chunks_mut(4) {
        let mut pointer = [0; 4];
        pointer.copy_from_slice(place);
        let pointer = u32::from_le_bytes(pointer);
        if index >= needed {
            place.fill(0);
        } else if pointer != 0 && index + below > needed {
            trim_block(device, uuid, pointer, height - 1, index, needed)?;
        }
        index += below;
    }
    seal_block(&mut bytes, uuid, number);
    device.write(number, &bytes)
}
