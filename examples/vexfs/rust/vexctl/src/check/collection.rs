//! A collection of vectors: header, index, entries, components and size.
//!
//! Vectors that were not synced before a crash may have been written in part: a repair deletes
//! them. An index can always be made again: a repair removes a damaged one. Cells and centroids
//! mean nothing without an index; what an interrupted change of it has left there is no mistake.

use vexfs_ffi::abi::{MAX_CELLS, MAX_DIMENSION, MAX_VECTORS};
use vexfs_ffi::Metric;
use vexfs_format::collection::{
    centroid_checksum, vector_checksum, CollectionHeader, CollectionLayout, Entry,
    COLLECTION_MAGIC, ENTRIES_PER_BLOCK, ENTRY_DELETED, ENTRY_LIVE,
};
use vexfs_format::{DiskInode, BLOCK_SIZE};

use super::blocks::FileBlocks;
use super::problem::{Problem, Repair};
use crate::device::Device;
use crate::failure::Failure;

/// What is wrong with the collection of an inode, all of whose blocks are known.
pub fn check_collection(
    device: &Device,
    uuid: &[u8; 16],
    inode: u32,
    disk: &DiskInode,
    blocks: &FileBlocks,
) -> Result<Vec<Problem>, Failure> {
    let block = blocks.read(device, 0)?;
    if is_zero(&block) {
        let text = "its header was never written; a repair makes it a plain file";
        return Ok(vec![Problem {
            text: format!("collection: {text}"),
            repair: Some(Repair::PlainFile { number: inode }),
        }]);
    }
    let header = CollectionHeader::from_bytes(&block);
    if let Some(fault) = header_fault(&header, uuid, inode, disk.generation) {
        return Ok(vec![hopeless(format!("collection: {fault}"))]);
    }
    let layout = CollectionLayout::new(header.dimension);
    let groups = layout.groups(disk.size);
    if groups > MAX_VECTORS / ENTRIES_PER_BLOCK as u64 {
        return Ok(vec![hopeless(format!("collection: size {}", disk.size))]);
    }
    let mut check = Check {
        device,
        uuid,
        inode,
        generation: disk.generation,
        blocks,
        layout,
        entries: Vec::new(),
        problems: Vec::new(),
    };
    if disk.size != layout.size(groups) {
        let size = layout.size(groups);
        let text = format!("collection: size {} instead of {size}", disk.size);
        let repair = Repair::Size {
            number: inode,
            size,
        };
        check.note(text, Some(repair));
    }
    check.read_entries(groups)?;
    check.check_header(header, &block)?;
    check.check_entries()?;
    Ok(check.problems)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

fn hopeless(text: String) -> Problem {
    Problem { text, repair: None }
}

fn header_fault(
    header: &CollectionHeader,
    uuid: &[u8; 16],
    inode: u32,
    generation: u32,
) -> Option<String> {
    if header.magic != COLLECTION_MAGIC {
        Some("wrong magic".into())
    } else if header.checksum != header.expected_checksum(uuid, inode) {
        Some("wrong checksum".into())
    } else if header.generation != generation {
        Some("its header is of an earlier file".into())
    } else if !(1..=MAX_DIMENSION).contains(&header.dimension) {
        Some(format!("dimension {}", header.dimension))
    } else if Metric::from_number(header.metric).is_none() {
        Some(format!("unknown metric {}", header.metric))
    } else if header.cells > MAX_CELLS {
        Some(format!("{} cells", header.cells))
    } else if header.cells == 0 && header.centroid_checksum != 0 {
        Some("a checksum of centroids without an index".into())
    } else if !is_zero(&header.reserved) {
        Some("reserved field in use".into())
    } else {
        None
    }
}

/// What may be wrong with a vector.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    NeverGiven,
    Checksum,
    Components,
    Generation,
    State,
}

impl Fault {
    fn text(self) -> &'static str {
        match self {
            Self::NeverGiven => "never given, but a later one was; a repair deletes it",
            Self::Checksum => "wrong checksum of the entry; a repair deletes it",
            Self::Components => "wrong checksum of the components; a repair deletes it",
            Self::Generation => "of an earlier file; a repair deletes it",
            Self::State => "unknown state",
        }
    }

    /// Whether it is what a crash may leave, rather than what nothing explains.
    fn deletes(self) -> bool {
        self != Self::State
    }
}

struct Check<'a> {
    device: &'a Device,
    uuid: &'a [u8; 16],
    inode: u32,
    generation: u32,
    blocks: &'a FileBlocks,
    layout: CollectionLayout,
    /// Up to the last that was given.
    entries: Vec<Entry>,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn note(&mut self, text: String, repair: Option<Repair>) {
        self.problems.push(Problem { text, repair });
    }

    /// New content for a block of the file; none for a hole.
    fn content(&self, index: u64, bytes: Vec<u8>) -> Option<Repair> {
        let block = self.blocks.place(index)?;
        Some(Repair::Content { block, bytes })
    }

    fn read_entries(&mut self, groups: u64) -> Result<(), Failure> {
        for group in 0..groups {
            let index = self.layout.entries_block(group);
            let block = self.blocks.read(self.device, index)?;
            let entries = block.chunks(Entry::SIZE).map(Entry::from_bytes);
            self.entries.extend(entries);
        }
        let given = self.entries.iter().rposition(Entry::is_given);
        self.entries.truncate(given.map_or(0, |last| last + 1));
        Ok(())
    }

    /// Header and index; `block` is the header's.
    fn check_header(&mut self, header: CollectionHeader, block: &[u8]) -> Result<(), Failure> {
        let mut faults = Vec::new();
        if !is_zero(&block[CollectionHeader::SIZE..]) {
            faults.push("collection: something behind its header; a repair erases it".to_owned());
        }
        let mut mended = header.clone();
        if let Some(fault) = self.index_fault(&header)? {
            faults.push(format!("index: {fault}; a repair removes it"));
            mended.cells = 0;
            mended.centroid_checksum = 0;
            mended.seal(self.uuid, self.inode);
        }
        for text in faults {
            let mut bytes = mended.to_bytes().to_vec();
            bytes.resize(BLOCK_SIZE, 0);
            let repair = self.content(0, bytes);
            self.note(text, repair);
        }
        Ok(())
    }

    fn index_fault(&self, header: &CollectionHeader) -> Result<Option<String>, Failure> {
        if header.cells == 0 {
            return Ok(None);
        }
        let size = header.cells as usize * self.layout.vector_size();
        let mut centroids = Vec::new();
        let mut index = self.layout.first_centroid_block();
        while centroids.len() < size {
            centroids.extend(self.blocks.read(self.device, index)?);
            index += 1;
        }
        let sum = centroid_checksum(self.uuid, self.inode, &centroids[..size]);
        if sum != header.centroid_checksum {
            return Ok(Some("wrong checksum of the centroids".into()));
        }
        let wrong = (0..).zip(&self.entries).find(|&(id, entry)| {
            self.entry_fault(id, entry).is_none()
                && entry.state == ENTRY_LIVE
                && u32::from(entry.cell) >= header.cells
        });
        Ok(wrong.map(|(id, entry)| {
            let (cell, cells) = (entry.cell, header.cells);
            format!("vector {id} is in cell {cell}, but there are {cells}")
        }))
    }

    fn entry_fault(&self, id: u64, entry: &Entry) -> Option<Fault> {
        if !entry.is_given() {
            Some(Fault::NeverGiven)
        } else if entry.checksum != entry.expected_checksum(self.uuid, self.inode, id) {
            Some(Fault::Checksum)
        } else if entry.generation != self.generation {
            Some(Fault::Generation)
        } else if ![ENTRY_LIVE, ENTRY_DELETED].contains(&entry.state) {
            Some(Fault::State)
        } else {
            None
        }
    }

    fn check_entries(&mut self) -> Result<(), Failure> {
        let all = std::mem::take(&mut self.entries);
        for (group, entries) in (0..).zip(all.chunks(ENTRIES_PER_BLOCK)) {
            let faults = self.group_faults(group, entries)?;
            if faults.is_empty() {
                continue;
            }
            let repaired = self.repaired_entries(group, entries, &faults);
            for (text, deletes) in describe(&faults) {
                let repair = self.content(self.layout.entries_block(group), repaired.clone());
                self.note(text, repair.filter(|_| deletes));
            }
        }
        Ok(())
    }

    /// The faults of a group's vectors by their ids.
    fn group_faults(&self, group: u64, entries: &[Entry]) -> Result<Vec<(u64, Fault)>, Failure> {
        let mut components = Vec::new();
        let first = self.layout.entries_block(group) + 1;
        for index in first..first + self.layout.component_blocks() {
            components.extend(self.blocks.read(self.device, index)?);
        }
        let vectors = components.chunks(self.layout.vector_size());
        let mut faults = Vec::new();
        for ((id, entry), vector) in (group * ENTRIES_PER_BLOCK as u64..)
            .zip(entries)
            .zip(vectors)
        {
            let fault = self.entry_fault(id, entry).or_else(|| {
                let sum = || vector_checksum(self.uuid, self.inode, id, vector);
                let is_wrong = entry.state == ENTRY_LIVE && entry.data_checksum != sum();
                is_wrong.then(|| Fault::Components)
            });
            faults.extend(fault.map(|fault| (id, fault)));
        }
        Ok(faults)
    }

    /// The block of entries in which what a crash may have left is deleted.
    fn repaired_entries(&self, group: u64, entries: &[Entry], faults: &[(u64, Fault)]) -> Vec<u8> {
        let first = group * ENTRIES_PER_BLOCK as u64;
        let mut bytes = Vec::with_capacity(BLOCK_SIZE);
        for (id, entry) in (first..).zip(entries) {
            let is_deleted = faults
                .iter()
                .any(|&(faulty, fault)| faulty == id && fault.deletes());
            if is_deleted {
                let mut deleted = Entry::deleted(self.generation);
                deleted.seal(self.uuid, self.inode, id);
                bytes.extend(deleted.to_bytes());
            } else {
                bytes.extend(entry.to_bytes());
            }
        }
        bytes.resize(BLOCK_SIZE, 0);
        bytes
    }
}

/// A line for each run of ids with the same fault, and whether a repair deletes them.
fn describe(faults: &[(u64, Fault)]) -> Vec<(String, bool)> {
    let mut lines = Vec::new();
    let mut rest = faults;
    while let [(first, fault), ..] = *rest {
        let length = (first..)
            .zip(rest)
            .take_while(|&(expected, &found)| found == (expected, fault))
            .count();
        let ids = match length {
            1 => format!("vector {first}"),
            _ => format!("vectors {first} to {}", first + length as u64 - 1),
        };
        lines.push((format!("{ids}: {}", fault.text()), fault.deletes()));
        rest = &rest[length..];
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_in_runs() {
        use Fault::{Checksum, State};
        let faults = [
            (3, Checksum),
            (4, Checksum),
            (5, State),
            (6, Checksum),
            (9, Checksum),
        ];
        let lines = describe(&faults);
        let starts: Vec<_> = lines
            .iter()
            .map(|(text, deletes)| (text.split(':').next().unwrap(), *deletes))
            .collect();
        assert_eq!(
            starts,
            [
                ("vectors 3 to 4", true),
                ("vector 5", false),
                ("vector 6", true),
                ("vector 9", true)
            ]
        );
        assert!(describe(&[]).is_empty());
    }
}
