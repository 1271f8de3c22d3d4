//! Reads a file system from its root on and notes what is wrong with it.

use std::collections::{BTreeMap, HashSet};

use vexfs_format::bitmap::Bitmap;
use vexfs_format::directory::{dirents, Dirent};
use vexfs_format::{
    block_fault, dirent_kind, DiskInode, Geometry, BLOCK_SIZE, DIRECTORY_MAGIC, INODE_SIZE,
    MODE_DIRECTORY, ROOT_INODE,
};

use super::blocks::FileBlocks;
use super::collection::check_collection;
use super::inode::inode_fault;
use super::problem::{Problem, Repair};
use crate::device::Device;
use crate::failure::Failure;

/// What an inode in the tree is known to be.
struct Found {
    path: String,
    disk: DiskInode,
    /// Names found, and for a directory its subdirectories.
    names: u32,
    subdirectories: u32,
    blocks: FileBlocks,
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
        if tree.partial {
            tree.distrust_contents();
        }
        Ok(tree)
    }

    /// Number of inodes in the tree.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    fn note(&mut self, text: String, repair: Option<Repair>) {
        self.problems.push(Problem { text, repair });
    }

    /// What looks like a damaged collection may be another file's blocks.
    fn distrust_contents(&mut self) {
        for problem in &mut self.problems {
            let trusts = matches!(
                problem.repair,
                Some(Repair::Content { .. } | Repair::Size { .. } | Repair::PlainFile { .. })
            );
            if trusts {
                problem.repair = None;
            }
        }
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
        if let Some(fault) = inode_fault(&disk, &self.uuid, number) {
            self.damage(format!("{path}: inode {number}: {fault}"));
            return Ok(None);
        }
        Ok(Some(disk))
    }

    /// Adds an inode to the tree with its blocks.
    fn add(&mut self, number: u32, path: String, disk: DiskInode) -> Result<(), Failure> {
        let (device, uuid) = (self.device, &self.uuid);
        let taken = &mut self.blocks;
        let mut blocks = FileBlocks::claim(device, &self.geometry, uuid, taken, number, &disk)?;
        for fault in &blocks.faults {
            self.damage(format!("{path}: inode {number}: {fault}"));
        }
        let needed = (disk.size + BLOCK_SIZE as u64 - 1) / BLOCK_SIZE as u64;
        if blocks.last().map_or(false, |last| last >= needed) {
            let text = format!(
                "{path}: inode {number}: has blocks beyond its size {}",
                disk.size
            );
            let known = blocks.is_whole();
            self.note(text, known.then(|| Repair::Tail { number }));
        }
        if disk.is_collection() && blocks.is_whole() {
            let problems = check_collection(device, &self.uuid, number, &disk, &blocks)?;
            for Problem { text, repair } in problems {
                self.note(format!("{path}: inode {number}: {text}"), repair);
            }
        }
        if disk.file_type() != MODE_DIRECTORY {
            blocks.forget_places();
        }
        self.inodes.set(u64::from(number) - 1);
        let found = Found {
            path,
            disk,
            names: 0,
            subdirectories: 0,
            blocks,
        };
        self.found.insert(number, found);
        Ok(())
    }

    fn read_directory(&mut self, number: u32, waiting: &mut Vec<u32>) -> Result<(), Failure> {
        let (path, places) = match self.found.get(&number) {
            Some(Found {
                path, disk, blocks, ..
            }) => {
                let count = disk.size / BLOCK_SIZE as u64;
                let places: Vec<_> = (0..count).map(|index| blocks.place(index)).collect();
                (path.clone(), places)
            }
            None => return Ok(()),
        };
        let mut names = HashSet::new();
        for (index, place) in places.into_iter().enumerate() {
            let block = match place {
                Some(block) => block,
                None => {
                    self.damage(format!("{path}: inode {number}: no block {index}"));
                    continue;
                }
            };
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
                if !names.insert(entry.name.clone()) {
                    let repair = remove_name(number, block, &entry);
                    self.note(format!("{child}: the name is there twice"), Some(repair));
                    continue;
                }
                self.read_name(number, block, &entry, &child, waiting)?;
            }
        }
        Ok(())
    }

    /// Follows a name in a block of a directory.
    fn read_name(
        &mut self,
        directory: u32,
        block: u64,
        entry: &Dirent,
        path: &str,
        waiting: &mut Vec<u32>,
    ) -> Result<(), Failure> {
        let place = remove_name(directory, block, entry);
        let kind = match self.read_child(entry.inode, path, place, waiting)? {
            Some(kind) => kind,
            None => return Ok(()),
        };
        if dirent_kind(kind) != entry.kind {
            self.note(format!("{path}: its record has type {}", entry.kind), None);
        }
        if kind == MODE_DIRECTORY {
            if let Some(parent) = self.found.get_mut(&directory) {
                parent.subdirectories += 1;
            }
        }
        Ok(())
    }

    /// Returns the type of the inode that a name stands for, when that could be read.
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
                self.note(text, Some(place));
                return Ok(None);
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
            let blocks = found.blocks.held;
            let mut faults = Vec::new();
            if disk.links != links {
                faults.push(format!("{} links, but {links} are there", disk.links));
            }
            if disk.blocks != blocks && found.blocks.is_whole() {
                faults.push(format!("{} blocks, but it holds {blocks}", disk.blocks));
            }
            if !faults.is_empty() {
                // A count that damage hides something from is not to be believed.
                let known = found.blocks.is_whole() && !self.partial;
                let repair = Repair::Inode {
                    number,
                    links,
                    blocks,
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

fn remove_name(directory: u32, block: u64, entry: &Dirent) -> Repair {
    Repair::Name {
        block,
        offset: entry.offset,
        owner: directory,
    }
}
