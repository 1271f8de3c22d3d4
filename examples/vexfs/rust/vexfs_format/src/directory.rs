//! Records of a directory block.

use crate::structures::{
    DirentHead, BLOCK_SIZE, DIRENT_ALIGN, DIRENT_SIZE, HEADER_SIZE, ROOT_INODE,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirent {
    /// Of the record in its block.
    pub offset: usize,
    pub inode: u32,
    pub kind: u8,
    pub name: Vec<u8>,
}

/// The names in a directory block, or what is wrong with it.
pub fn dirents(block: &[u8], inode_count: u32) -> Result<Vec<Dirent>, String> {
    let mut found = Vec::new();
    let mut offset = HEADER_SIZE;
    while offset < BLOCK_SIZE {
        let head = DirentHead::from_bytes(&block[offset..]);
        let length = usize::from(head.length);
        if length < DIRENT_SIZE || length % DIRENT_ALIGN != 0 || length > BLOCK_SIZE - offset {
            return Err(format!("record at {offset} has length {length}"));
        }
        if head.inode != 0 {
            let name_length = usize::from(head.name_length);
            if name_length == 0 || DIRENT_SIZE + name_length > length {
                return Err(format!(
                    "record at {offset} has a name of {name_length} bytes"
                ));
            }
            if head.inode == ROOT_INODE || head.inode > inode_count {
                return Err(format!("record at {offset} names inode {}", head.inode));
            }
            let start = offset + DIRENT_SIZE;
            let name = block[start..start + name_length].to_vec();
            if name.contains(&0) || name.contains(&b'/') {
                return Err(format!(
                    "record at {offset} has a zero or a slash in its name"
                ));
            }
            found.push(Dirent {
                offset,
                inode: head.inode,
                kind: head.kind,
                name,
            });
        }
        offset += length;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structures::PAYLOAD_SIZE;

    fn block(records: &[(u32, u16, &[u8])]) -> Vec<u8> {
        let mut block = vec![0; BLOCK_SIZE];
        let mut offset = HEADER_SIZE;
        for &(inode, length, name) in records {
            let head = DirentHead {
                inode,
                length,
                name_length: name.len() as u8,
                kind: 8,
            };
            block[offset..offset + DIRENT_SIZE].copy_from_slice(&head.to_bytes());
            block[offset + DIRENT_SIZE..offset + DIRENT_SIZE + name.len()].copy_from_slice(name);
            offset += usize::from(length);
        }
        block
    }

    const REST: u16 = PAYLOAD_SIZE as u16 - 16;

    #[test]
    fn names_are_read_in_order() {
        let names = dirents(&block(&[(2, 16, b"one"), (3, REST, b"two")]), 16).unwrap();
        let names: Vec<_> = names.iter().map(|d| (d.inode, d.name.as_slice())).collect();
        assert_eq!(names, [(2, b"one".as_slice()), (3, b"two".as_slice())]);
    }

    #[test]
    fn malformed_blocks_are_refused() {
        assert!(dirents(&block(&[(2, 0, b"a")]), 16).is_err(), "no length");
        assert!(dirents(&block(&[(2, 20, b"a")]), 16).is_err(), "odd length");
        assert!(
            dirents(&block(&[(2, REST + 24, b"a")]), 16).is_err(),
            "longer than the block"
        );
        assert!(dirents(&block(&[(2, 16, b"123456789"), (0, REST, b"")]), 16).is_err());
        assert!(
            dirents(&block(&[(17, 16, b"a"), (0, REST, b"")]), 16).is_err(),
            "inode"
        );
        assert!(
            dirents(&block(&[(1, 16, b"a"), (0, REST, b"")]), 16).is_err(),
            "root"
        );
        assert!(
            dirents(&block(&[(2, 16, b"a/b"), (0, REST, b"")]), 16).is_err(),
            "slash"
        );
        assert!(
            dirents(&block(&[(2, 16, b""), (0, REST, b"")]), 16).is_err(),
            "no name"
        );
    }
}
