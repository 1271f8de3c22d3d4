//! What a check finds, and how it can be mended.

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
    /// The inode should have this size.
    Size { number: u32, size: u64 },
    /// The inode should be that of a file without a form of its own.
    PlainFile { number: u32 },
    /// The inode has blocks beyond its size: a file grew, and the new size was not written.
    Tail { number: u32 },
    /// The name stands for an inode that was never written, or is an older one of a file that was
    /// renamed or made anew. What was synchronised has no such names.
    Name {
        block: u64,
        offset: usize,
        owner: u32,
    },
    /// The block of a file should have this content.
    Content { block: u64, bytes: Vec<u8> },
    /// The bitmaps follow from the tree.
    Bitmaps,
    /// The superblock says that the file system is in use.
    State,
}
