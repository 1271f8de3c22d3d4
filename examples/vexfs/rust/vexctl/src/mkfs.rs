//! `vexctl mkfs`: an empty file system.

use std::fs::File;
use std::io::Read;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use vexfs_format::bitmap::Bitmap;
use vexfs_format::{
    new_block, seal_block, DirentHead, DiskInode, Geometry, BLOCK_SIZE, DIRECTORY_MAGIC,
    DIRENT_SIZE, HEADER_SIZE, INODE_SIZE, LABEL_SIZE, MODE_DIRECTORY, PAYLOAD_SIZE, ROOT_INODE,
    SUPERBLOCK,
};

use crate::arguments::Arguments;
use crate::bitmaps::write_bitmap;
use crate::device::Device;
use crate::failure::Failure;
use crate::{print, Command};

pub const COMMAND: Command = Command {
    name: "mkfs",
    summary: "makes an empty file system",
    help: "\
Usage: vexctl mkfs [--blocks N] [--inodes N] [--label TEXT] DEVICE

Makes an empty file system on DEVICE, which is a block device that is not mounted,
or a file. What it held is lost.
  --blocks N    use the first N blocks of 4096 bytes (default: all)
  --inodes N    room for N files and directories, a multiple of 16
                (default: one for every 16 blocks, at most 65536)
  --label TEXT  a name of at most 32 bytes
",
    run,
};

fn run(words: &[String]) -> Result<ExitCode, Failure> {
    let arguments = Arguments::parse(words, &["--blocks", "--inodes", "--label"], &[])?;
    let label = label(arguments.value("--label").unwrap_or(""))?;
    let wanted = arguments.number::<u64>("--blocks")?;
    let inodes = arguments.number::<u32>("--inodes")?;

    let device = Device::open_writable(arguments.only("device")?)?;
    let blocks = wanted.unwrap_or_else(|| device.blocks());
    if blocks > device.blocks() {
        return Err(Failure::usage(format!(
            "--blocks {blocks}: {} has {} blocks of {BLOCK_SIZE} bytes",
            device.name(),
            device.blocks()
        )));
    }
    let inodes = inodes.unwrap_or_else(|| Geometry::default_inodes(blocks));
    let geometry = Geometry::new(blocks, inodes)
        .map_err(|fault| Failure::usage(format!("{}: {fault}", device.name())))?;
    let uuid = random_uuid()?;
    write_all(&device, &geometry, uuid, label)?;
    print(&format!(
        "{}: {} blocks of {BLOCK_SIZE} bytes, {} inodes, data from block {}\n",
        device.name(),
        geometry.blocks,
        geometry.inodes,
        geometry.data
    ))
}

fn label(text: &str) -> Result<[u8; LABEL_SIZE], Failure> {
    if text.len() > LABEL_SIZE {
        return Err(Failure::usage(format!(
            "--label {text}: {} bytes; allowed: {LABEL_SIZE}",
            text.len()
        )));
    }
    let mut label = [0; LABEL_SIZE];
    label[..text.len()].copy_from_slice(text.as_bytes());
    Ok(label)
}

/// A random UUID (RFC 9562, version 4).
fn random_uuid() -> Result<[u8; 16], Failure> {
    let mut uuid = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut uuid))
        .map_err(|error| Failure::device("/dev/urandom", &error))?;
    uuid[6] = (uuid[6] & 0x0f) | 0x40;
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
    Ok(uuid)
}

/// The superblock is erased first and written last: half of a file system is none.
fn write_all(
    device: &Device,
    geometry: &Geometry,
    uuid: [u8; 16],
    label: [u8; LABEL_SIZE],
) -> Result<(), Failure> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_secs());
    device.write(SUPERBLOCK, &[0; BLOCK_SIZE])?;
    device.sync()?;

    let mut inodes = Bitmap::new(u64::from(geometry.inodes));
    inodes.set(u64::from(ROOT_INODE) - 1);
    write_bitmap(device, &inodes, geometry.inode_bitmap, &uuid)?;
    let mut blocks = Bitmap::new(geometry.blocks);
    for block in 0..=geometry.data {
        blocks.set(block);
    }
    write_bitmap(device, &blocks, geometry.block_bitmap, &uuid)?;

    const AT_ONCE: u64 = 256;
    let zeros = vec![0; AT_ONCE as usize * BLOCK_SIZE];
    let mut block = geometry.inode_table;
    while block < geometry.data {
        let count = AT_ONCE.min(geometry.data - block);
        device.write(block, &zeros[..count as usize * BLOCK_SIZE])?;
        block += count;
    }
    write_root(device, geometry, &uuid, now)?;
    device.sync()?;
    device.write_superblock(geometry.superblock(uuid, label, now))?;
    device.sync()
}

fn write_root(
    device: &Device,
    geometry: &Geometry,
    uuid: &[u8; 16],
    now: u64,
) -> Result<(), Failure> {
    let mut directory = new_block(DIRECTORY_MAGIC, ROOT_INODE);
    let free = DirentHead {
        inode: 0,
        length: PAYLOAD_SIZE as u16,
        name_length: 0,
        kind: 0,
    };
    directory[HEADER_SIZE..HEADER_SIZE + DIRENT_SIZE].copy_from_slice(&free.to_bytes());
    seal_block(&mut directory, uuid, geometry.data);
    device.write(geometry.data, &directory)?;

    let mut root = DiskInode::empty(MODE_DIRECTORY | 0o755);
    root.links = 2;
    root.blocks = 1;
    root.size = BLOCK_SIZE as u64;
    root.atime = now as i64;
    root.mtime = now as i64;
    root.ctime = now as i64;
    root.pointers[0] = geometry.data as u32;
    root.seal(uuid, ROOT_INODE);
    let (block, offset) = geometry.inode_place(ROOT_INODE);
    let mut table = vec![0; BLOCK_SIZE];
    table[offset..offset + INODE_SIZE].copy_from_slice(&root.to_bytes());
    device.write(block, &table)
}
