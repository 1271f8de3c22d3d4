//! A small file system for the tests of `vexctl check`, to be changed by them.

// Not every test needs everything.
#![allow(dead_code)]

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use vexfs_format::{
    dirent_kind, new_block, seal_block, DirentHead, DiskInode, Geometry, Superblock, BLOCK_SIZE,
    DIRECTORY_MAGIC, DIRENT_SIZE, HEADER_SIZE, INODE_SIZE, MODE_REGULAR, ROOT_INODE,
};

/// A small file system with the files `one` (inode 2) and `two` (inode 3) of a block each.
pub struct Image {
    pub path: PathBuf,
    pub file: File,
    pub superblock: Superblock,
    pub geometry: Geometry,
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

pub fn vexctl(arguments: &[&str], path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vexctl"))
        .args(arguments)
        .arg(path)
        .output()
        .unwrap()
}

impl Image {
    /// An image whose name is the test's; sound after a repair of the bitmaps.
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vexctl-{}-{name}", std::process::id()));
        File::create(&path)
            .unwrap()
            .set_len(64 * BLOCK_SIZE as u64)
            .unwrap();
        assert!(vexctl(&["mkfs", "--inodes", "16"], &path).status.success());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        let mut block = vec![0; BLOCK_SIZE];
        file.read_exact_at(&mut block, 0).unwrap();
        let superblock = Superblock::from_bytes(&block);
        let geometry = Geometry::of(&superblock).unwrap();
        let image = Self {
            path,
            file,
            superblock,
            geometry,
        };
        image.add_files();
        assert_eq!(image.check(&["--repair"]).0, 0);
        assert_eq!(image.check(&[]).0, 0);
        image
    }

    fn add_files(&self) {
        let data = self.geometry.data;
        for (number, block) in [(2, data + 1), (3, data + 2)] {
            let mut inode = DiskInode::empty(MODE_REGULAR | 0o644);
            inode.links = 1;
            inode.blocks = 1;
            inode.size = 100;
            inode.pointers[0] = block as u32;
            self.put_inode(number, inode);
        }
        self.put_names(&[(2, b"one"), (3, b"two")]);
    }

    /// Writes the root's only block.
    pub fn put_names(&self, names: &[(u32, &[u8; 3])]) {
        let entries: Vec<_> = names
            .iter()
            .map(|&(inode, name)| (inode, name, MODE_REGULAR))
            .collect();
        self.put_entries(&entries);
    }

    /// The same, with the type of each.
    pub fn put_entries(&self, entries: &[(u32, &[u8; 3], u16)]) {
        let mut block = new_block(DIRECTORY_MAGIC, ROOT_INODE);
        let mut offset = HEADER_SIZE;
        for (index, &(inode, name, mode)) in entries.iter().enumerate() {
            let last = index == entries.len() - 1;
            let length = if last { BLOCK_SIZE - offset } else { 16 };
            let head = DirentHead {
                inode,
                length: length as u16,
                name_length: 3,
                kind: dirent_kind(mode),
            };
            block[offset..offset + DIRENT_SIZE].copy_from_slice(&head.to_bytes());
            block[offset + DIRENT_SIZE..offset + DIRENT_SIZE + 3].copy_from_slice(&name[..]);
            offset += length;
        }
        seal_block(&mut block, &self.superblock.uuid, self.geometry.data);
        self.put(self.geometry.data, 0, &block);
    }

    pub fn put(&self, block: u64, offset: usize, bytes: &[u8]) {
        self.file
            .write_all_at(bytes, block * BLOCK_SIZE as u64 + offset as u64)
            .unwrap();
    }

    pub fn inode(&self, number: u32) -> DiskInode {
        let (block, offset) = self.geometry.inode_place(number);
        let mut bytes = [0; INODE_SIZE];
        self.file
            .read_exact_at(&mut bytes, block * BLOCK_SIZE as u64 + offset as u64)
            .unwrap();
        DiskInode::from_bytes(&bytes)
    }

    pub fn put_inode(&self, number: u32, mut inode: DiskInode) {
        inode.seal(&self.superblock.uuid, number);
        let (block, offset) = self.geometry.inode_place(number);
        self.put(block, offset, &inode.to_bytes());
    }

    /// The content of a block.
    pub fn block(&self, block: u64) -> Vec<u8> {
        let mut bytes = vec![0; BLOCK_SIZE];
        self.file
            .read_exact_at(&mut bytes, block * BLOCK_SIZE as u64)
            .unwrap();
        bytes
    }

    pub fn change_inode(&self, number: u32, change: impl Fn(&mut DiskInode)) {
        let mut inode = self.inode(number);
        change(&mut inode);
        self.put_inode(number, inode);
    }

    /// Exit status and output.
    pub fn check(&self, arguments: &[&str]) -> (i32, String) {
        let output = vexctl(&[&["check"], arguments].concat(), &self.path);
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), text)
    }

    /// The check must find `problem` and mend it.
    pub fn is_mended(&self, problem: &str) {
        let (status, text) = self.check(&[]);
        assert_eq!(status, 1, "{text}");
        assert!(text.contains(problem), "{text}");
        let (status, text) = self.check(&["--repair"]);
        assert_eq!(status, 0, "{text}");
        assert_eq!(self.check(&[]).0, 0);
    }

    /// The check must find `problem`, and a repair must change nothing.
    pub fn is_left_alone(&self, problem: &str) {
        let before = fs::read(&self.path).unwrap();
        let (status, text) = self.check(&["--repair"]);
        assert_eq!(status, 1, "{text}");
        assert!(text.contains(problem), "{text}");
        assert!(
            before == fs::read(&self.path).unwrap(),
            "the image was changed"
        );
    }
}
