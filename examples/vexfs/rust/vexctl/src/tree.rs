//! Reads a file system from its root on and notes what is wrong with it.

use std::collections::{BTreeMap, HashSet};

use vexfs_format::bitmap::Bitmap;
use vexfs_format::directory::dirents;
use vexfs_format::{
    block_fault, dirent_kind, DiskInode, Geometry, BITMAP_MAGIC, BLOCK_SIZE, DIRECT,
    DIRECTORY_MAGIC, HEADER_SIZE, INODE_MAGIC, INODE_SIZE, MAX_FILE_BLOCKS, MAX_LINKS,
    MODE_DIRECTORY, MODE_REGULAR, MODE_SYMLINK, POINTERS_MAGIC, POINTERS_PER_BLOCK, ROOT_INODE,
};

use crate::device::Device;
use crate::failure::Failure;

/// A mistake, and how to mend it if that needs no guess.
#[derive(Debug)]
pub struct Problem {
    pub text: String,
    pub repair: Option<Repair>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// The inode should have this many links and hold this many blocks.
    Inode {
        number: u32,
        links: u32,
        blocks: u32,
    },
    /// The name stands for an inode that was never written.
    Name {
        block: u64,
        offset: usize,
        owner: u32,
    },
    /// The bitmaps follow from the tree.
    Bitmaps,
    /// The superblock says that the file system is in use.
    State,
}

/// What an inode in the tree is known to be.
struct Found {
    path: String,
    disk: DiskInode,
    /// Names found, and for a directory its subdirectories.
    names: u32,
    subdirectories: u32,
    blocks: u32,
    /// Not everything of it could be read.
    partial: bool,
}

/// The tree as it is on the device.
pub struct Tree<'a> {
    device: &'a Device,
    geometry: Geometry,
    uuid: [u8; 16],
    found: BTreeMap<u32, Found>,
    /// Inodes and blocks that the tree holds.
    pub inodes: Bitmap,
    pub blocks: Bitmap,
    pub problems: Vec<Problem>,
    /// Some of the tree could not be read: what it holds is not known.
    pub partial: bool,
}

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

impl<'a> Tree<'a> {
    pub fn read(device: &'a Device, geometry: Geometry, uuid: [u8; 16]) -> Result<Self, Failure> {
        let mut tree = Self {
            device,
            geometry,
            uuid,
            found: BTreeMap::new(),
            inodes: Bitmap::new(u64::from(geometry.inodes)),
            blocks: Bitmap::new(geometry.blocks),
            problems: Vec::new(),
            partial: false,
        };
        for block in 0..geometry.data {
            tree.blocks.set(block);
        }
        let mut waiting = Vec::new();
        if let Some(root) = tree.read_inode(ROOT_INODE, "/")? {
            if root.file_type() == MODE_DIRECTORY {
                waiting.push(ROOT_INODE);
            } else {
                tree.damage("the root is not a directory".into());
            }
            tree.add(ROOT_INODE, "/".into(), root)?;
        }
        while let Some(directory) = waiting.pop() {
            tree.read_directory(directory, &mut waiting)?;
        }
        tree.check_inodes();
        Ok(tree)
    }

    /// Number of inodes in the tree.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    fn note(&mut self, text: String, repair: Option<Repair>) {
        self.problems.push(Problem { text, repair });
    }

    /// Something that can't be read hides what is below it.
    fn damage(&mut self, text: String) {
        self.partial = true;
        self.note(text, None);
    }

    /// Reads an inode and verifies what it says by itself.
    fn read_inode(&mut self, number: u32, path: &str) -> Result<Option<DiskInode>, Failure> {
        let (block, offset) = self.geometry.inode_place(number);
        let bytes = self.device.read(block)?;
        let disk = DiskInode::from_bytes(&bytes[offset..offset + INODE_SIZE]);
        if let Some(fault) = self.inode_fault(&disk, number) {
            self.damage(format!("{path}: inode {number}: {fault}"));
            return Ok(None);
        }
        Ok(Some(disk))
    }

    fn inode_fault(&self, disk: &DiskInode, number: u32) -> Option<String> {
        let too_long = disk.size > MAX_FILE_BLOCKS * BLOCK_SIZE as u64;
        let wrong_size = match disk.file_type() {
            MODE_REGULAR => too_long,
            MODE_DIRECTORY => disk.size == 0 || disk.size % BLOCK_SIZE as u64 != 0 || too_long,
            MODE_SYMLINK => disk.size == 0 || disk.size >= BLOCK_SIZE as u64,
            _ => return Some(format!("unknown type, mode {:o}", disk.mode)),
        };
        let nanoseconds = [disk.atime_nsec, disk.mtime_nsec, disk.ctime_nsec];
        if disk.magic != INODE_MAGIC {
            Some("wrong magic".into())
        } else if disk.checksum != disk.expected_checksum(&self.uuid, number) {
            Some("wrong checksum".into())
        } else if disk.flags != 0 {
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

    /// Adds an inode to the tree with its blocks.
    fn add(&mut self, number: u32, path: String, disk: DiskInode) -> Result<(), Failure> {
        let mut walk = Walk {
            number,
            path: &path,
            blocks: 0,
            last: None,
            partial: false,
        };
        let mut index = 0;
        for (slot, &pointer) in disk.pointers.iter().enumerate() {
            let height = if slot < DIRECT { 0 } else { slot - DIRECT + 1 };
            self.claim(&mut walk, pointer, height, index)?;
            index += span(height);
        }
        let Walk {
            blocks,
            last,
            partial,
            ..
        } = walk;
        let needed = (disk.size + BLOCK_SIZE as u64 - 1) / BLOCK_SIZE as u64;
        if last.map_or(false, |last| last >= needed) {
            let text = format!(
                "{path}: inode {number}: has blocks beyond its size {}",
                disk.size
            );
            self.note(text, None);
        }
        self.inodes.set(u64::from(number) - 1);
        let found = Found {
            path,
            disk,
            names: 0,
            subdirectories: 0,
            blocks,
            partial,
        };
        self.found.insert(number, found);
        Ok(())
    }

    /// Marks a block of an inode, and those below it, as taken.
    fn claim(
        &mut self,
        walk: &mut Walk,
        pointer: u32,
        height: usize,
        index: u64,
    ) -> Result<(), Failure> {
        let block = u64::from(pointer);
        if block == 0 {
            return Ok(());
        }
        let at = format!("{}: inode {}", walk.path, walk.number);
        if block < self.geometry.data || block >= self.geometry.blocks {
            walk.partial = true;
            self.damage(format!(
                "{at}: pointer to block {block}, which holds no data"
            ));
            return Ok(());
        }
        if !self.blocks.set(block) {
            walk.partial = true;
            self.damage(format!("{at}: block {block} belongs to another file too"));
            return Ok(());
        }
        walk.blocks += 1;
        if height == 0 {
            walk.last = walk.last.max(Some(index));
            return Ok(());
        }
        let bytes = self.device.read(block)?;
        if let Some(fault) = block_fault(&bytes, &self.uuid, block, POINTERS_MAGIC, walk.number) {
            walk.partial = true;
            self.damage(format!("{at}: block {block} of pointers: {fault}"));
            return Ok(());
        }
        for slot in 0..POINTERS_PER_BLOCK {
            let start = HEADER_SIZE + slot * 4;
            let mut child = [0; 4];
            child.copy_from_slice(&bytes[start..start + 4]);
            let below = index + slot as u64 * span(height - 1);
            self.claim(walk, u32::from_le_bytes(child), height - 1, below)?;
        }
        Ok(())
    }

    /// Where block `index` of a directory is; 0 when there is none.
    fn directory_block(&self, disk: &DiskInode, mut index: u64) -> Result<u64, Failure> {
        let mut height = 0;
        let mut slot = DIRECT - 1;
        if index < DIRECT as u64 {
            slot = index as usize;
        } else {
            index -= DIRECT as u64;
            loop {
                height += 1;
                slot += 1;
                if index < span(height) {
                    break;
                }
                index -= span(height);
            }
        }
        let mut block = u64::from(disk.pointers[slot]);
        while height > 0 && block >= self.geometry.data && block < self.geometry.blocks {
            height -= 1;
            let bytes = self.device.read(block)?;
            let start = HEADER_SIZE + (index / span(height)) as usize * 4;
            index %= span(height);
            let mut pointer = [0; 4];
            pointer.copy_from_slice(&bytes[start..start + 4]);
            block = u64::from(u32::from_le_bytes(pointer));
        }
        Ok(block)
    }

    fn read_directory(&mut self, number: u32, waiting: &mut Vec<u32>) -> Result<(), Failure> {
        let (path, disk) = match self.found.get(&number) {
            Some(found) => (found.path.clone(), found.disk.clone()),
            None => return Ok(()),
        };
        let mut names = HashSet::new();
        for index in 0..disk.size / BLOCK_SIZE as u64 {
            let block = self.directory_block(&disk, index)?;
            if block < self.geometry.data || block >= self.geometry.blocks {
                self.damage(format!("{path}: inode {number}: no block {index}"));
                continue;
            }
            let bytes = self.device.read(block)?;
            let fault = block_fault(&bytes, &self.uuid, block, DIRECTORY_MAGIC, number);
            let entries = match fault {
                Some(fault) => Err(fault.to_owned()),
                None => dirents(&bytes, self.geometry.inodes),
            };
            let entries = match entries {
                Ok(entries) => entries,
                Err(fault) => {
                    self.damage(format!("{path}: inode {number}: block {block}: {fault}"));
                    continue;
                }
            };
            for entry in entries {
                let name = String::from_utf8_lossy(&entry.name)
                    .escape_debug()
                    .to_string();
                let child = format!("{}/{name}", path.trim_end_matches('/'));
                if !names.insert(entry.name) {
                    self.note(format!("{child}: the name is there twice"), None);
                }
                let place = Repair::Name {
                    block,
                    offset: entry.offset,
                    owner: number,
                };
                if let Some(kind) = self.read_child(entry.inode, &child, place, waiting)? {
                    if dirent_kind(kind) != entry.kind {
                        self.note(format!("{child}: its record has type {}", entry.kind), None);
                    }
                    if kind == MODE_DIRECTORY {
                        if let Some(parent) = self.found.get_mut(&number) {
                            parent.subdirectories += 1;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Follows a name; returns the type of its inode when that could be read.
    fn read_child(
        &mut self,
        number: u32,
        path: &str,
        place: Repair,
        waiting: &mut Vec<u32>,
    ) -> Result<Option<u16>, Failure> {
        if let Some(found) = self.found.get_mut(&number) {
            found.names += 1;
            let kind = found.disk.file_type();
            if kind == MODE_DIRECTORY {
                let text = format!("{path}: directory {} has this name too", found.path);
                self.note(text, None);
            }
            return Ok(Some(kind));
        }
        let (block, offset) = self.geometry.inode_place(number);
        if self.device.read(block)?[offset..offset + INODE_SIZE]
            .iter()
            .all(|&byte| byte == 0)
        {
            self.note(format!("{path}: inode {number} is empty"), Some(place));
            return Ok(None);
        }
        let disk = match self.read_inode(number, path)? {
            Some(disk) => disk,
            None => return Ok(None),
        };
        let kind = disk.file_type();
        self.add(number, path.to_owned(), disk)?;
        if let Some(found) = self.found.get_mut(&number) {
            found.names = 1;
        }
        if kind == MODE_DIRECTORY {
            waiting.push(number);
        }
        Ok(Some(kind))
    }

    /// Compares what each inode says with what the tree holds.
    fn check_inodes(&mut self) {
        let mut problems = Vec::new();
        for (&number, found) in &self.found {
            let links = match found.disk.file_type() {
                MODE_DIRECTORY => 2 + found.subdirectories,
                _ => found.names,
            };
            let disk = &found.disk;
            let mut faults = Vec::new();
            if disk.links != links {
                faults.push(format!("{} links, but {links} are there", disk.links));
            }
            if disk.blocks != found.blocks && !found.partial {
                faults.push(format!(
                    "{} blocks, but it holds {}",
                    disk.blocks, found.blocks
                ));
            }
            if !faults.is_empty() {
                // A count that damage hides something from is not to be believed.
                let known = !found.partial && !self.partial;
                let repair = Repair::Inode {
                    number,
                    links,
                    blocks: found.blocks,
                };
                problems.push(Problem {
                    text: format!("{}: inode {number}: {}", found.path, faults.join(", ")),
                    repair: known.then(|| repair),
                });
            }
        }
        self.problems.append(&mut problems);
    }
}

/// The walk through one inode's blocks.
struct Walk<'a> {
    number: u32,
    path: &'a str,
    blocks: u32,
    /// The highest of the file's blocks that is there.
    last: Option<u64>,
    partial: bool,
}

/// Blocks of a file below a pointer with `height` levels of pointers under it.
fn span(height: usize) -> u64 {
    (POINTERS_PER_BLOCK as u64).pow(height as u32)
}
