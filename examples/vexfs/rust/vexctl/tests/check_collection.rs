//! `vexctl check` on a collection with one mistake each.

mod image;

use std::ops::Range;

use image::Image;
use vexfs_format::collection::{
    centroid_checksum, vector_checksum, CollectionHeader, CollectionLayout, Entry, ENTRY_DELETED,
    ENTRY_LIVE,
};
use vexfs_format::{DiskInode, BLOCK_SIZE, INODE_COLLECTION, MODE_REGULAR};

/// The file `one` of the image.
const INODE: u32 = 2;
const DIMENSION: u32 = 11;
/// Two groups of the three that there is room for.
const VECTORS: u64 = 300;
const CELLS: u32 = 4;
const GENERATION: u32 = 77;

/// An image in which `one` is a collection with an index: vector 7 is deleted.
struct Collection {
    image: Image,
    layout: CollectionLayout,
}

impl Collection {
    fn new(name: &str) -> Self {
        let collection = Self {
            image: Image::new(name),
            layout: CollectionLayout::new(DIMENSION),
        };
        collection.image.change_inode(INODE, |inode| {
            let blocks = collection.blocks();
            *inode = DiskInode::empty(MODE_REGULAR | 0o644);
            inode.flags = INODE_COLLECTION;
            inode.generation = GENERATION;
            inode.links = 1;
            inode.size = collection.layout.size(3);
            inode.blocks = (blocks.end - blocks.start) as u32;
            for (pointer, block) in inode.pointers.iter_mut().zip(blocks) {
                *pointer = block as u32;
            }
        });
        collection.write();
        let (status, text) = collection.image.check(&["--repair"]);
        assert_eq!(status, 0, "{text}");
        assert!(!text.contains("vector"), "{text}");
        assert_eq!(collection.image.check(&[]).0, 0);
        collection
    }

    /// Where the file is: all of its blocks but those of the last group, which is a hole.
    fn blocks(&self) -> Range<u64> {
        let first = self.image.geometry.data + 8;
        first..first + self.layout.entries_block(2)
    }

    fn write(&self) {
        let centroids = self.centroids();
        self.put(1, 0, &centroids);
        self.change_header(|header| {
            *header = CollectionHeader::new(DIMENSION, 1, GENERATION);
            header.cells = CELLS;
            header.centroid_checksum = centroid_checksum(self.uuid(), INODE, &centroids);
        });
        for id in 0..VECTORS {
            let vector = Self::vector(id);
            let (block, offset) = self.components_place(id);
            self.put_across(block, offset, &vector);
            self.change_entry(id, |entry| {
                entry.state = if id == 7 { ENTRY_DELETED } else { ENTRY_LIVE };
                entry.generation = GENERATION;
                entry.cell = (id % u64::from(CELLS)) as u16;
                entry.data_checksum = vector_checksum(self.uuid(), INODE, id, &vector);
            });
        }
    }

    fn uuid(&self) -> &[u8; 16] {
        &self.image.superblock.uuid
    }

    fn centroids(&self) -> Vec<u8> {
        (0..CELLS * DIMENSION * 2).map(|at| at as u8).collect()
    }

    fn vector(id: u64) -> Vec<u8> {
        let components = 0..u64::from(DIMENSION);
        components
            .flat_map(|at| ((id * 31 + at) as i16).to_le_bytes())
            .collect()
    }

    /// Changes bytes of a block of the file.
    fn put(&self, index: u64, offset: usize, bytes: &[u8]) {
        self.image.put(self.blocks().start + index, offset, bytes);
    }

    /// The same where they may go on in the next block, which follows on the device too.
    fn put_across(&self, index: u64, offset: usize, bytes: &[u8]) {
        let start = index as usize * BLOCK_SIZE + offset;
        let block = start / BLOCK_SIZE;
        self.put(block as u64, start % BLOCK_SIZE, bytes);
    }

    fn components_place(&self, id: u64) -> (u64, usize) {
        let offset = (id % 256) as usize * self.layout.vector_size();
        (self.layout.entries_block(id / 256) + 1, offset)
    }

    fn entry_place(&self, id: u64) -> (u64, usize) {
        (
            self.layout.entries_block(id / 256),
            (id % 256) as usize * Entry::SIZE,
        )
    }

    fn entry(&self, id: u64) -> Entry {
        let (index, offset) = self.entry_place(id);
        let block = self.image.block(self.blocks().start + index);
        Entry::from_bytes(&block[offset..])
    }

    fn change_entry(&self, id: u64, change: impl Fn(&mut Entry)) {
        let mut entry = self.entry(id);
        change(&mut entry);
        entry.seal(self.uuid(), INODE, id);
        let (index, offset) = self.entry_place(id);
        self.put(index, offset, &entry.to_bytes());
    }

    fn erase_entry(&self, id: u64) {
        let (index, offset) = self.entry_place(id);
        self.put(index, offset, &[0; Entry::SIZE]);
    }

    fn header(&self) -> CollectionHeader {
        CollectionHeader::from_bytes(&self.image.block(self.blocks().start))
    }

    fn change_header(&self, change: impl Fn(&mut CollectionHeader)) {
        let mut header = self.header();
        change(&mut header);
        header.seal(self.uuid(), INODE);
        self.put(0, 0, &header.to_bytes());
    }

    fn is_deleted(&self, id: u64) -> bool {
        let entry = self.entry(id);
        entry.state == ENTRY_DELETED
            && entry.generation == GENERATION
            && entry.checksum == entry.expected_checksum(self.uuid(), INODE, id)
    }

    /// Everything that a repair of something else must leave as it is.
    fn others_are_untouched(&self, but: &[u64]) {
        for id in (0..VECTORS).filter(|id| *id != 7 && !but.contains(id)) {
            assert_eq!(self.entry(id).state, ENTRY_LIVE, "vector {id}");
        }
        assert!(!self.entry(VECTORS).is_given());
    }
}

#[test]
fn vector_without_its_components_is_deleted() {
    let collection = Collection::new("components");
    // One that reaches into the second of the group's blocks of components.
    let (index, offset) = collection.components_place(186);
    assert!(offset < BLOCK_SIZE && offset + 22 > BLOCK_SIZE);
    collection.put_across(index, offset + 21, b"x");
    let message = "vector 186: wrong checksum of the components; a repair deletes it";
    collection.image.is_mended(message);
    assert!(collection.is_deleted(186));
    collection.others_are_untouched(&[186]);
}

#[test]
fn components_of_a_deleted_vector_do_not_matter() {
    let collection = Collection::new("deleted");
    let (index, offset) = collection.components_place(7);
    collection.put(index, offset, b"xyz");
    assert_eq!(collection.image.check(&[]).0, 0);
}

#[test]
fn gap_in_the_ids_is_filled_with_deleted_vectors() {
    let collection = Collection::new("gap");
    for id in 250..258 {
        collection.erase_entry(id);
    }
    let text = collection.image.check(&[]).1;
    assert!(text.contains("vectors 250 to 255: never given"), "{text}");
    collection
        .image
        .is_mended("vectors 256 to 257: never given");
    assert!((250..258).all(|id| collection.is_deleted(id)));
    collection.others_are_untouched(&(250..258).collect::<Vec<_>>());
}

#[test]
fn ids_that_end_earlier_are_no_mistake() {
    let collection = Collection::new("end");
    for id in 256..VECTORS {
        collection.erase_entry(id);
    }
    assert_eq!(collection.image.check(&[]).0, 0);
}

#[test]
fn damaged_entry_is_deleted() {
    let collection = Collection::new("entry");
    let (index, offset) = collection.entry_place(299);
    collection.put(index, offset + 9, b"x");
    let message = "vector 299: wrong checksum of the entry; a repair deletes it";
    collection.image.is_mended(message);
    assert!(collection.is_deleted(299));
    collection.others_are_untouched(&[299]);
}

#[test]
fn any_changed_byte_of_an_entry_is_found() {
    let collection = Collection::new("entry-bytes");
    let (index, offset) = collection.entry_place(100);
    for (at, byte) in collection.entry(100).to_bytes().iter().enumerate() {
        collection.put(index, offset + at, &[byte ^ 0x40]);
        let (status, text) = collection.image.check(&[]);
        assert_eq!(status, 1, "byte {at}");
        assert!(text.contains("vector 100: wrong checksum"), "{text}");
        collection.put(index, offset + at, &[*byte]);
    }
    assert_eq!(collection.image.check(&[]).0, 0);
}

#[test]
fn entry_of_another_id_is_found() {
    let collection = Collection::new("moved");
    let (index, offset) = collection.entry_place(5);
    collection.put(index, offset, &collection.entry(6).to_bytes());
    collection.image.is_mended("vector 5: wrong checksum");
}

#[test]
fn unknown_state_is_left_alone() {
    let collection = Collection::new("state");
    collection.change_entry(9, |entry| entry.state = 3);
    collection.image.is_left_alone("vector 9: unknown state");
}

#[test]
fn vectors_of_an_earlier_file_are_deleted() {
    let collection = Collection::new("entry-generation");
    for id in 256..VECTORS {
        collection.change_entry(id, |entry| entry.generation -= 1);
    }
    let message = "vectors 256 to 299: of an earlier file; a repair deletes it";
    collection.image.is_mended(message);
    let deleted: Vec<_> = (256..VECTORS).collect();
    assert!(deleted.iter().all(|&id| collection.is_deleted(id)));
    collection.others_are_untouched(&deleted);
}

#[test]
fn damaged_index_is_removed() {
    let collection = Collection::new("centroids");
    collection.put(1, 50, b"x");
    collection
        .image
        .is_mended("index: wrong checksum of the centroids; a repair removes it");
    let header = collection.header();
    assert_eq!((header.cells, header.centroid_checksum), (0, 0));
    collection.others_are_untouched(&[]);
}

#[test]
fn index_with_a_vector_in_no_cell_is_removed() {
    let collection = Collection::new("cell");
    collection.change_entry(40, |entry| entry.cell = CELLS as u16);
    let message = "index: vector 40 is in cell 4, but there are 4; a repair removes it";
    collection.image.is_mended(message);
    assert_eq!(collection.header().cells, 0);
    assert_eq!(collection.entry(40).state, ENTRY_LIVE);
}

#[test]
fn what_an_interrupted_index_leaves_is_no_mistake() {
    let collection = Collection::new("interrupted");
    collection.change_entry(40, |entry| entry.cell = 99);
    collection.change_header(|header| {
        header.cells = 0;
        header.centroid_checksum = 0;
    });
    assert_eq!(collection.image.check(&[]).0, 0);
}

#[test]
fn any_changed_byte_of_the_header_is_found() {
    let collection = Collection::new("header");
    for (at, byte) in collection.header().to_bytes().iter().enumerate() {
        collection.put(0, at, &[byte ^ 0x40]);
        assert_eq!(collection.image.check(&[]).0, 1, "byte {at}");
        collection.put(0, at, &[*byte]);
    }
    collection.put(0, 8, b"x");
    collection.image.is_left_alone("collection: wrong checksum");
}

#[test]
fn wrong_fields_of_the_header_are_left_alone() {
    type Change = fn(&mut CollectionHeader);
    let changes: [(&str, Change); 8] = [
        ("wrong magic", |header| header.magic = 1),
        ("dimension 0", |header| header.dimension = 0),
        ("dimension 1025", |header| header.dimension = 1025),
        ("unknown metric 3", |header| header.metric = 3),
        ("257 cells", |header| header.cells = 257),
        ("a checksum of centroids", |header| header.cells = 0),
        ("its header is of an earlier file", |header| {
            header.generation += 1
        }),
        ("reserved field in use", |header| header.reserved[227] = 1),
    ];
    let collection = Collection::new("fields");
    let header = collection.header();
    for (fault, change) in changes {
        collection.change_header(change);
        collection
            .image
            .is_left_alone(&format!("collection: {fault}"));
        collection.put(0, 0, &header.to_bytes());
    }
}

#[test]
fn something_behind_the_header_is_erased() {
    let collection = Collection::new("behind");
    collection.put(0, 4095, b"x");
    collection
        .image
        .is_mended("collection: something behind its header");
    assert_eq!(collection.header().cells, CELLS);
}

#[test]
fn collection_that_was_never_written_becomes_a_plain_file() {
    let collection = Collection::new("unwritten");
    collection.put(0, 0, &[0; BLOCK_SIZE]);
    collection.image.is_mended("its header was never written");
    let inode = collection.image.inode(INODE);
    assert_eq!(inode.flags, 0);
    assert_eq!(inode.size, collection.layout.size(3), "its content stays");
}

#[test]
fn size_becomes_the_end_of_a_group() {
    let collection = Collection::new("size");
    let inode = |size| {
        collection
            .image
            .change_inode(INODE, |inode| inode.size = size)
    };
    inode(collection.layout.size(3) - 4096);
    collection.image.is_mended("collection: size");
    assert_eq!(
        collection.image.inode(INODE).size,
        collection.layout.size(3)
    );
    collection.others_are_untouched(&[]);
    inode(collection.layout.size(4097));
    collection.image.is_left_alone("collection: size");
}

#[test]
fn blocks_of_another_file_are_not_repaired() {
    let collection = Collection::new("shared");
    let entries = collection.blocks().start + collection.layout.entries_block(1);
    collection
        .image
        .change_inode(3, |inode| inode.pointers[0] = entries as u32);
    collection.image.put(entries, 0, &[7; BLOCK_SIZE]);
    collection
        .image
        .is_left_alone("vectors 256 to 511: wrong checksum of the entry");
}

#[test]
fn only_regular_files_are_collections() {
    let collection = Collection::new("directory");
    collection
        .image
        .change_inode(1, |inode| inode.flags = INODE_COLLECTION);
    collection.image.is_left_alone("/: inode 1: unknown flags");
}
