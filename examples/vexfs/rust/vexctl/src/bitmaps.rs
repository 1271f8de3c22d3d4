//! The bitmaps of a file system, on the device.

use vexfs_format::bitmap::Bitmap;
use vexfs_format::{block_fault, BITMAP_MAGIC};

use crate::device::Device;
use crate::failure::Failure;

/// Reads a bitmap; a faulty block counts as clear and is noted in `faults`.
pub fn read_bitmap(
    device: &Device,
    uuid: &[u8; 16],
    bits: u64,
    first: u64,
    faults: &mut Vec<String>,
) -> Result<Bitmap, Failure> {
    let mut bitmap = Bitmap::new(bits);
    for index in 0..bitmap.block_count() {
        let number = first + index;
        let block = device.read(number)?;
        if let Some(fault) = block_fault(&block, uuid, number, BITMAP_MAGIC, 0) {
            faults.push(format!("bitmap block {number}: {fault}"));
        } else if !bitmap.load_block(index, &block) {
            faults.push(format!(
                "bitmap block {number}: bits beyond the end are clear"
            ));
        }
    }
    Ok(bitmap)
}

pub fn write_bitmap(
    device: &Device,
    bitmap: &Bitmap,
    first: u64,
    uuid: &[u8; 16],
) -> Result<(), Failure> {
    for index in 0..bitmap.block_count() {
        device.write(first + index, &bitmap.to_block(index, uuid, first + index))?;
    }
    Ok(())
}
