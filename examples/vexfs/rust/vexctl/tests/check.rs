//! `vexctl check` on file systems with one mistake each.

mod image;

use image::{vexctl, Image};
use vexfs_format::{BLOCK_SIZE, STATE_IN_USE, SUPERBLOCK};

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
