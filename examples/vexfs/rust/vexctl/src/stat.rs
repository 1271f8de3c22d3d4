//! `vexctl stat`: the superblock and what is free, or a collection.

use std::fmt::Write;
use std::process::ExitCode;

use vexfs_ffi::errno::ENOTTY;
use vexfs_ffi::{Access, Collection, Info};
use vexfs_format::bitmap::Bitmap;
use vexfs_format::{Superblock, BLOCK_SIZE, STATE_CLEAN};

use crate::arguments::Arguments;
use crate::bitmaps::read_bitmap;
use crate::device::Device;
use crate::failure::Failure;
use crate::{print, Command};

pub const COMMAND: Command = Command {
    name: "stat",
    summary: "shows a file system or a collection",
    help: "\
Usage: vexctl stat DEVICE
       vexctl stat FILE

Shows the superblock of DEVICE, a block device or a file with a file system in it,
and what is free; or the collection FILE of a mounted vexfs.
",
    run,
};

fn run(words: &[String]) -> Result<ExitCode, Failure> {
    let arguments = Arguments::parse(words, &[], &[])?;
    let name = arguments.only("device or file")?;
    match Collection::open(name, Access::Read) {
        Ok(collection) => print(&describe_collection(&collection.info()?)),
        Err(error) if error.errno() == ENOTTY => stat_device(&Device::open(name)?),
        Err(error) => Err(error.into()),
    }
}

fn describe_collection(info: &Info) -> String {
    let cells = match info.cells {
        Some(cells) => format!("{cells} cells"),
        None => "none".to_owned(),
    };
    table(&[
        ("dimension", info.dimension.to_string()),
        ("metric", info.metric.to_string()),
        ("vectors", info.vectors.to_string()),
        ("ids given", info.ids.to_string()),
        ("index", cells),
    ])
}

fn stat_device(device: &Device) -> Result<ExitCode, Failure> {
    let (superblock, geometry) = device.superblock()?;
    let free = |bits, first| -> Result<String, Failure> {
        let mut faults = Vec::new();
        let bitmap: Bitmap = read_bitmap(device, &superblock.uuid, bits, first, &mut faults)?;
        Ok(match faults.first() {
            Some(fault) => format!("unknown ({fault})"),
            None => bitmap.count_clear().to_string(),
        })
    };
    let free_inodes = free(u64::from(geometry.inodes), geometry.inode_bitmap)?;
    let free_blocks = free(geometry.blocks, geometry.block_bitmap)?;
    print(&describe(&superblock, &free_blocks, &free_inodes))
}

fn describe(superblock: &Superblock, free_blocks: &str, free_inodes: &str) -> String {
    let label = String::from_utf8_lossy(&superblock.label);
    let state = if superblock.state == STATE_CLEAN {
        "clean"
    } else {
        "in use"
    };
    table(&[
        ("format", superblock.version.to_string()),
        (
            "label",
            label.trim_end_matches('\0').escape_debug().to_string(),
        ),
        ("uuid", uuid_text(&superblock.uuid)),
        ("state", state.to_owned()),
        ("created", format!("{} s since 1970", superblock.created)),
        ("block size", format!("{BLOCK_SIZE} bytes")),
        ("blocks", superblock.block_count.to_string()),
        ("free blocks", free_blocks.to_owned()),
        ("inodes", superblock.inode_count.to_string()),
        ("free inodes", free_inodes.to_owned()),
        ("inode bitmap", format!("block {}", superblock.inode_bitmap)),
        ("block bitmap", format!("block {}", superblock.block_bitmap)),
        ("inode table", format!("block {}", superblock.inode_table)),
        ("data", format!("block {}", superblock.data)),
    ])
}

fn table(lines: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in lines {
        let _ = writeln!(text, "{:<14}{value}", format!("{name}:"));
    }
    text
}

fn uuid_text(uuid: &[u8; 16]) -> String {
    let mut text = String::new();
    for (index, byte) in uuid.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_has_its_usual_form() {
        let uuid: Vec<u8> = (0..16).collect();
        let text = uuid_text(&uuid.try_into().unwrap());
        assert_eq!(text, "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }
}
