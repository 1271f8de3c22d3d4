//! The crate and the kernel's header say the same.

use std::collections::BTreeMap;

use vexfs_format::collection::*;
use vexfs_format::*;

const HEADER: &str = include_str!("../../../kernel/format.h");

fn defines() -> BTreeMap<&'static str, u64> {
    let mut defines = BTreeMap::new();
    for line in HEADER.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("#define") {
            continue;
        }
        if let (Some(name), Some(value)) = (words.next(), words.next()) {
            let number = match value.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16),
                None => value.parse(),
            };
            if let Ok(number) = number {
                defines.insert(name, number);
            }
        }
    }
    defines
}

/// The arguments of each line `NAME(structure, ..., number);`.
fn assertions(name: &str) -> Vec<Vec<&'static str>> {
    HEADER
        .lines()
        .filter_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix('(')?
                .strip_suffix(");")
        })
        .map(|arguments| arguments.split(", ").collect())
        .collect()
}

#[test]
fn constants_are_the_same() {
    let defines = defines();
    let ours = [
        ("VEXFS_MAGIC", u64::from(MAGIC)),
        ("VEXFS_VERSION", u64::from(VERSION)),
        ("VEXFS_BLOCK_BITS", u64::from(BLOCK_SIZE.trailing_zeros())),
        ("VEXFS_BLOCK_SIZE", BLOCK_SIZE as u64),
        ("VEXFS_MIN_BLOCKS", MIN_BLOCKS),
        ("VEXFS_MAX_BLOCKS", MAX_BLOCKS),
        ("VEXFS_MIN_INODES", u64::from(MIN_INODES)),
        ("VEXFS_SUPERBLOCK", SUPERBLOCK),
        ("VEXFS_ROOT_INODE", u64::from(ROOT_INODE)),
        ("VEXFS_STATE_CLEAN", u64::from(STATE_CLEAN)),
        ("VEXFS_STATE_IN_USE", u64::from(STATE_IN_USE)),
        ("VEXFS_LABEL_SIZE", LABEL_SIZE as u64),
        ("VEXFS_BITMAP_MAGIC", u64::from(BITMAP_MAGIC)),
        ("VEXFS_DIRECTORY_MAGIC", u64::from(DIRECTORY_MAGIC)),
        ("VEXFS_POINTERS_MAGIC", u64::from(POINTERS_MAGIC)),
        ("VEXFS_HEADER_SIZE", HEADER_SIZE as u64),
        ("VEXFS_PAYLOAD_SIZE", PAYLOAD_SIZE as u64),
        ("VEXFS_BITS_PER_BLOCK", BITS_PER_BLOCK),
        ("VEXFS_POINTERS_PER_BLOCK", POINTERS_PER_BLOCK as u64),
        ("VEXFS_INODE_MAGIC", u64::from(INODE_MAGIC)),
        ("VEXFS_INODE_SIZE", INODE_SIZE as u64),
        ("VEXFS_INODES_PER_BLOCK", u64::from(INODES_PER_BLOCK)),
        ("VEXFS_MAX_LINKS", u64::from(MAX_LINKS)),
        ("VEXFS_INODE_COLLECTION", u64::from(INODE_COLLECTION)),
        ("VEXFS_DIRECT", DIRECT as u64),
        ("VEXFS_INDIRECT", INDIRECT as u64),
        ("VEXFS_DOUBLE_INDIRECT", DOUBLE_INDIRECT as u64),
        ("VEXFS_POINTERS", POINTERS as u64),
        ("VEXFS_MAX_FILE_BLOCKS", MAX_FILE_BLOCKS),
        ("VEXFS_DIRENT_SIZE", DIRENT_SIZE as u64),
        ("VEXFS_DIRENT_ALIGN", DIRENT_ALIGN as u64),
        ("VEXFS_NAME_MAX", NAME_MAX as u64),
        ("VEXFS_COLLECTION_MAGIC", u64::from(COLLECTION_MAGIC)),
        ("VEXFS_COLLECTION_SIZE", COLLECTION_SIZE as u64),
        ("VEXFS_ENTRY_SIZE", ENTRY_SIZE as u64),
        ("VEXFS_ENTRIES_PER_BLOCK", ENTRIES_PER_BLOCK as u64),
        ("VEXFS_ENTRY_LIVE", u64::from(ENTRY_LIVE)),
        ("VEXFS_ENTRY_DELETED", u64::from(ENTRY_DELETED)),
    ];
    assert_eq!(defines, ours.into_iter().collect());
}

#[test]
fn layouts_are_the_same() {
    let structures = [
        ("vexfs_superblock", Superblock::FIELDS, Superblock::SIZE),
        ("vexfs_block_header", BlockHeader::FIELDS, BlockHeader::SIZE),
        ("vexfs_disk_inode", DiskInode::FIELDS, DiskInode::SIZE),
        ("vexfs_dirent", DirentHead::FIELDS, DirentHead::SIZE),
        (
            "vexfs_collection",
            CollectionHeader::FIELDS,
            CollectionHeader::SIZE,
        ),
        ("vexfs_entry", Entry::FIELDS, Entry::SIZE),
    ];
    let offsets = assertions("VEXFS_OFFSET");
    let sizes = assertions("VEXFS_SIZE");
    assert_eq!(sizes.len(), structures.len());
    for (name, fields, size) in structures {
        assert!(
            sizes.contains(&vec![name, &size.to_string()]),
            "size of {name}"
        );
        let mut theirs: Vec<_> = offsets.iter().filter(|offset| offset[0] == name).collect();
        // C has the name as a member without a size, and "type" is a word of Rust.
        theirs.retain(|offset| (offset[0], offset[1]) != ("vexfs_dirent", "name"));
        assert_eq!(theirs.len(), fields.len(), "fields of {name}");
        for (their, (field, offset)) in theirs.iter().zip(fields) {
            let field = if *field == "kind" { "type" } else { field };
            assert_eq!(their[1..], [field, &offset.to_string()], "{name}");
        }
    }
}

#[test]
fn structures_survive_bytes() {
    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(Superblock::from_bytes(&bytes).to_bytes()[..], bytes);
    assert_eq!(DiskInode::from_bytes(&bytes).to_bytes()[..], bytes);
    assert_eq!(BlockHeader::from_bytes(&bytes).to_bytes()[..], bytes[..16]);
    assert_eq!(DirentHead::from_bytes(&bytes).to_bytes()[..], bytes[..8]);
    assert_eq!(CollectionHeader::from_bytes(&bytes).to_bytes()[..], bytes);
    assert_eq!(Entry::from_bytes(&bytes).to_bytes()[..], bytes[..16]);
    assert_eq!(
        DirentHead::from_bytes(&bytes).length,
        0x0504,
        "little-endian"
    );
}
