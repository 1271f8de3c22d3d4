//! `vexctl check` on file systems with one mistake each.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use vexfs_format::{
    dirent_kind, new_block, seal_block, DirentHead, DiskInode, Geometry, Superblock, BLOCK_SIZE,
    DIRECTORY_MAGIC, DIRENT_SIZE, HEADER_SIZE, INODE_SIZE, MODE_REGULAR, ROOT_INODE, STATE_IN_USE,
    SUPERBLOCK,
};

/// A small file system with the files `one` (inode 2) and `two` (inode 3) of a block each.
struct Image {
    path: PathBuf,
    file: File,
    superblock: Superblock,
    geometry: Geometry,
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn vexctl(arguments: &[&str], path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vexctl"))
        .args(arguments)
        .arg(path)
        .output()
        .unwrap()
}

impl Image {
    /// An image whose name is the test's; sound after a repair of the bitmaps.
    fn new(name: &str) -> Self {
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
    fn put_names(&self, names: &[(u32, &[u8; 3])]) {
        let mut block = new_block(DIRECTORY_MAGIC, ROOT_INODE);
        let mut offset = HEADER_SIZE;
        for (index, (inode, name)) in names.iter().enumerate() {
            let last = index == names.len() - 1;
            let length = if last { BLOCK_SIZE - offset } else { 16 };
            let kind = dirent_kind(MODE_REGULAR);
            let head = DirentHead {
                inode: *inode,
                length: length as u16,
                name_length: 3,
                kind,
            };
            block[offset..offset + DIRENT_SIZE].copy_from_slice(&head.to_bytes());
            block[offset + DIRENT_SIZE..offset + DIRENT_SIZE + 3].copy_from_slice(&name[..]);
            offset += length;
        }
        seal_block(&mut block, &self.superblock.uuid, self.geometry.data);
        self.put(self.geometry.data, 0, &block);
    }

    fn put(&self, block: u64, offset: usize, bytes: &[u8]) {
        self.file
            .write_all_at(bytes, block * BLOCK_SIZE as u64 + offset as u64)
            .unwrap();
    }

    fn inode(&self, number: u32) -> DiskInode {
        let (block, offset) = self.geometry.inode_place(number);
        let mut bytes = [0; INODE_SIZE];
        self.file
            .read_exact_at(&mut bytes, block * BLOCK_SIZE as u64 + offset as u64)
            .unwrap();
        DiskInode::from_bytes(&bytes)
    }

    fn put_inode(&self, number: u32, mut inode: DiskInode) {
        inode.seal(&self.superblock.uuid, number);
        let (block, offset) = self.geometry.inode_place(number);
        self.put(block, offset, &inode.to_bytes());
    }

    fn change_inode(&self, number: u32, change: impl Fn(&mut DiskInode)) {
        let mut inode = self.inode(number);
        change(&mut inode);
        self.put_inode(number, inode);
    }

    /// Exit status and output.
    fn check(&self, arguments: &[&str]) -> (i32, String) {
        let output = vexctl(&[&["check"], arguments].concat(), &self.path);
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), text)
    }

    /// The check must find `problem` and mend it.
    fn is_mended(&self, problem: &str) {
        let (status, text) = self.check(&[]);
        assert_eq!(status, 1, "{text}");
        assert!(text.contains(problem), "{text}");
        let (status, text) = self.check(&["--repair"]);
        assert_eq!(status, 0, "{text}");
        assert_eq!(self.check(&[]).0, 0);
    }

    /// The check must find `problem`, and a repair must change nothing.
    fn is_left_alone(&self, problem: &str) {
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

#[test]
fn wrong_link_count_is_mended() {
    let image = Image::new("links");
    image.change_inode(2, |inode| inode.links = 7);
    image.is_mended("/one: inode 2: 7 links, but 1 are there");
    assert_eq!(image.inode(2).links, 1);
}

#[test]
fn wrong_number_of_blocks_is_mended() {
    let image = Image::new("blocks");
    image.change_inode(3, |inode| inode.blocks = 9);
    image.is_mended("/two: inode 3: 9 blocks, but it holds 1");
}

#[test]
fn file_without_a_name_is_freed() {
    let image = Image::new("orphan");
    image.put_names(&[(3, b"two")]);
    image.is_mended("inode 2: taken, but nothing in the tree holds it");
    assert_eq!(image.inode(2).magic, 0, "the inode is erased");
    assert_eq!(image.inode(3).links, 1);
}

#[test]
fn name_of_an_inode_that_was_never_written_is_removed() {
    let image = Image::new("dangling");
    image.put_names(&[(2, b"one"), (3, b"two"), (9, b"new")]);
    image.is_mended("/new: inode 9 is empty");
}

#[test]
fn second_name_counts() {
    let image = Image::new("second");
    image.put_names(&[(2, b"one"), (3, b"two"), (2, b"too")]);
    image.is_mended("/one: inode 2: 1 links, but 2 are there");
    assert_eq!(image.inode(2).links, 2);
}

#[test]
fn interrupted_use_is_mended() {
    let image = Image::new("state");
    let mut superblock = image.superblock.clone();
    superblock.state = STATE_IN_USE;
    superblock.seal();
    image.put(SUPERBLOCK, 0, &superblock.to_bytes());
    image.is_mended("not unmounted in good order");
}

#[test]
fn damaged_bitmap_is_mended() {
    let image = Image::new("bitmap");
    image.put(image.geometry.block_bitmap, 100, &[0]);
    image.is_mended("wrong checksum");
}

#[test]
fn block_of_two_files_is_left_alone() {
    let image = Image::new("shared");
    let shared = image.inode(2).pointers[0];
    image.change_inode(3, |inode| inode.pointers[0] = shared);
    image.is_left_alone("belongs to another file too");
}

#[test]
fn pointer_into_the_tables_is_left_alone() {
    let image = Image::new("pointer");
    image.change_inode(2, |inode| inode.pointers[0] = 1);
    image.is_left_alone("pointer to block 1, which holds no data");
}

#[test]
fn damaged_directory_is_left_alone() {
    let image = Image::new("directory");
    image.put(image.geometry.data, 3000, b"x");
    image.is_left_alone("/: inode 1: block 4: wrong checksum");
}

#[test]
fn duplicate_name_is_left_alone() {
    let image = Image::new("twice");
    image.put_names(&[(2, b"one"), (3, b"one")]);
    image.is_left_alone("/one: the name is there twice");
}

#[test]
fn any_changed_byte_of_an_inode_is_found() {
    let image = Image::new("inode");
    let (block, offset) = image.geometry.inode_place(2);
    let bytes = image.inode(2).to_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        image.put(block, offset + at, &[byte ^ 0x40]);
        assert_eq!(image.check(&[]).0, 1, "byte {at}");
        image.put(block, offset + at, &[*byte]);
    }
    assert_eq!(image.check(&[]).0, 0);
}

#[test]
fn short_device_is_refused() {
    let image = Image::new("short");
    image.file.set_len(10 * BLOCK_SIZE as u64).unwrap();
    let output = vexctl(&["check"], &image.path);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the device has 10"));
}
