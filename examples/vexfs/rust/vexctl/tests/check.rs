//! `vexctl check` on file systems with one mistake each.

mod image;

use image::{vexctl, Image};
use vexfs_format::{
    new_block, seal_block, BLOCK_SIZE, DIRECTORY_MAGIC, HEADER_SIZE, MODE_DIRECTORY, MODE_REGULAR,
    POINTERS_MAGIC, STATE_IN_USE, SUPERBLOCK,
};

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
fn second_of_two_equal_names_is_removed() {
    let image = Image::new("twice");
    image.put_names(&[(2, b"one"), (3, b"one")]);
    image.is_mended("/one: the name is there twice");
    assert_eq!(image.inode(2).links, 1);
    assert_eq!(image.inode(3).magic, 0, "the inode is erased");
}

#[test]
fn second_name_of_a_directory_is_removed() {
    let image = Image::new("moved");
    let block = image.inode(3).pointers[0];
    image.change_inode(3, |inode| {
        inode.mode = MODE_DIRECTORY | 0o755;
        inode.links = 2;
        inode.size = BLOCK_SIZE as u64;
    });
    let mut bytes = new_block(DIRECTORY_MAGIC, 3);
    bytes[HEADER_SIZE + 4..HEADER_SIZE + 6].copy_from_slice(&4080_u16.to_le_bytes());
    seal_block(&mut bytes, &image.superblock.uuid, u64::from(block));
    image.put(u64::from(block), 0, &bytes);
    image.put_entries(&[
        (2, b"one", MODE_REGULAR),
        (3, b"two", MODE_DIRECTORY),
        (3, b"new", MODE_DIRECTORY),
    ]);
    image.is_mended("/new: directory /two has this name too");
    assert_eq!(image.inode(1).links, 3);
}

#[test]
fn blocks_beyond_the_size_are_cut_off() {
    let image = Image::new("tail");
    let first = image.geometry.data as u32 + 10;
    let mut bytes = new_block(POINTERS_MAGIC, 2);
    for slot in 0..3_u32 {
        let start = HEADER_SIZE + slot as usize * 4;
        bytes[start..start + 4].copy_from_slice(&(first + 1 + slot).to_le_bytes());
    }
    seal_block(&mut bytes, &image.superblock.uuid, u64::from(first));
    image.put(u64::from(first), 0, &bytes);
    image.change_inode(2, |inode| {
        inode.pointers[12] = first;
        inode.size = 13 * BLOCK_SIZE as u64;
    });
    image.is_mended("/one: inode 2: has blocks beyond its size 53248");
    assert_eq!(
        image.inode(2).blocks,
        3,
        "the first, one of pointers, one below it"
    );

    image.change_inode(2, |inode| inode.size = 5 * BLOCK_SIZE as u64);
    image.is_mended("/one: inode 2: has blocks beyond its size 20480");
    assert_eq!(image.inode(2).blocks, 1);
    assert_eq!(image.inode(2).pointers[12], 0);
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
