//! Mends what a check has found, where that needs no guess.

use vexfs_format::{
    seal_block, DiskInode, Geometry, Superblock, INODES_PER_BLOCK, INODE_COLLECTION, INODE_SIZE,
    ROOT_INODE, STATE_CLEAN,
};

use super::problem::Repair;
use super::trim::trim;
use super::Report;
use crate::bitmaps::write_bitmap;
use crate::device::Device;
use crate::failure::Failure;

/// Writes the state last: until then the file system stays marked as in doubt.
pub fn repair(device: &Device, report: &Report) -> Result<(), Failure> {
    let (superblock, geometry) = device.superblock()?;
    let uuid = &superblock.uuid;
    let mut repairs: Vec<&Repair> = Vec::new();
    for repair in report
        .problems
        .iter()
        .filter_map(|problem| problem.repair.as_ref())
    {
        if !repairs.contains(&repair) {
            repairs.push(repair);
        }
    }
    for repair in &repairs {
        match repair {
            Repair::Inode {
                number,
                links,
                blocks,
            } => {
                change_inode(device, &geometry, uuid, *number, |inode| {
                    inode.links = *links;
                    inode.blocks = *blocks;
                    Ok(())
                })?;
            }
            Repair::Size { number, size } => {
                change_inode(device, &geometry, uuid, *number, |inode| {
                    inode.size = *size;
                    Ok(())
                })?;
            }
            Repair::PlainFile { number } => {
                change_inode(device, &geometry, uuid, *number, |inode| {
                    inode.flags &= !INODE_COLLECTION;
                    Ok(())
                })?;
            }
            Repair::Content { block, bytes } => device.write(*block, bytes)?,
            Repair::Tail { number } => trim(device, &geometry, uuid, *number)?,
            Repair::Name { block, offset, .. } => remove_name(device, uuid, *block, *offset)?,
            Repair::Bitmaps => {
                write_bitmap(device, &report.inodes, geometry.inode_bitmap, uuid)?;
                write_bitmap(device, &report.blocks, geometry.block_bitmap, uuid)?;
                erase_free_inodes(device, &geometry, report)?;
            }
            Repair::State => {}
        }
    }
    device.sync()?;
    if repairs.contains(&&Repair::State) {
        device.write_superblock(Superblock {
            state: STATE_CLEAN,
            ..superblock.clone()
        })?;
        device.sync()?;
    }
    Ok(())
}

pub fn change_inode(
    device: &Device,
    geometry: &Geometry,
    uuid: &[u8; 16],
    number: u32,
    change: impl Fn(&mut DiskInode) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (block, offset) = geometry.inode_place(number);
    let mut bytes = device.read(block)?;
    let place = &mut bytes[offset..offset + INODE_SIZE];
    let mut inode = DiskInode::from_bytes(place);
    change(&mut inode)?;
    inode.seal(uuid, number);
    place.copy_from_slice(&inode.to_bytes());
    device.write(block, &bytes)
}

/// Makes a record free space where it is.
fn remove_name(device: &Device, uuid: &[u8; 16], block: u64, offset: usize) -> Result<(), Failure> {
    let mut bytes = device.read(block)?;
    bytes[offset..offset + 4].fill(0);
    seal_block(&mut bytes, uuid, block);
    device.write(block, &bytes)
}

/// Files that were deleted while open, and the like, are not left to be taken for live ones.
fn erase_free_inodes(device: &Device, geometry: &Geometry, report: &Report) -> Result<(), Failure> {
    for first in (0..geometry.inodes).step_by(INODES_PER_BLOCK as usize) {
        let (block, _) = geometry.inode_place(first + ROOT_INODE);
        let mut bytes = device.read(block)?;
        let mut changed = false;
        for (bit, inode) in (u64::from(first)..).zip(bytes.chunks_mut(INODE_SIZE)) {
            if !report.inodes.get(bit) && inode.iter().any(|&byte| byte != 0) {
                inode.fill(0);
                changed = true;
            }
        }
        if changed {
            device.write(block, &bytes)?;
        }
    }
    Ok(())
}
