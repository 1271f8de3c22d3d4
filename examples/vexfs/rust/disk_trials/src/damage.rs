//! Damage that checksums don't show: fields get other values, and the checksum is made right again.

use std::ops::Range;

use vexfs_format::{
    checksum, seal_block, BlockHeader, DirentHead, DiskInode, Geometry, Superblock, BITMAP_MAGIC,
    BLOCK_SIZE, DIRECTORY_MAGIC, DIRENT_SIZE, HEADER_SIZE, INODE_SIZE, POINTERS_MAGIC, ROOT_INODE,
};

use crate::random::Random;

/// Fields that say where something is, how much, or what.
const IMPORTANT: [&str; 8] = [
    "mode", "links", "blocks", "size", "pointers", "inode", "length", "owner",
];

/// A sound file system in memory, and where its structures are.
pub struct Image {
    pub bytes: Vec<u8>,
    uuid: [u8; 16],
    geometry: Geometry,
    inodes: Vec<u32>,
    bitmaps: Vec<u64>,
    directories: Vec<u64>,
    pointers: Vec<u64>,
}

fn block(number: u64) -> Range<usize> {
    let start = number as usize * BLOCK_SIZE;
    start..start + BLOCK_SIZE
}

impl Image {
    /// The blocks with a header are taken for what they say; the image is one that was just made.
    pub fn new(bytes: Vec<u8>) -> Result<Self, String> {
        let superblock = Superblock::from_bytes(&bytes);
        let geometry = Geometry::of(&superblock)?;
        let mut image = Self {
            bytes,
            uuid: superblock.uuid,
            geometry,
            inodes: Vec::new(),
            bitmaps: Vec::new(),
            directories: Vec::new(),
            pointers: Vec::new(),
        };
        image.inodes = (ROOT_INODE..=geometry.inodes)
            .filter(|&number| DiskInode::from_bytes(&image.bytes[image.inode(number)]).magic != 0)
            .collect();
        for number in 1..geometry.blocks {
            let header = BlockHeader::from_bytes(&image.bytes[block(number)]);
            let sum = checksum(&image.uuid, number, &image.bytes[block(number)]);
            match header.magic {
                _ if header.checksum != sum => {}
                BITMAP_MAGIC => image.bitmaps.push(number),
                DIRECTORY_MAGIC => image.directories.push(number),
                POINTERS_MAGIC => image.pointers.push(number),
                _ => {}
            }
        }
        Ok(image)
    }

    /// How many structures of each kind there are.
    pub fn inventory(&self) -> [usize; 4] {
        [
            self.inodes.len(),
            self.bitmaps.len(),
            self.directories.len(),
            self.pointers.len(),
        ]
    }

    fn inode(&self, number: u32) -> Range<usize> {
        let (table, offset) = self.geometry.inode_place(number);
        let start = block(table).start + offset;
        start..start + INODE_SIZE
    }

    /// The image with one to three faults; the same for the same seed. Says what was done.
    pub fn damaged(&self, seed: u64) -> (Vec<u8>, String) {
        let mut random = Random::new(seed);
        let mut bytes = self.bytes.clone();
        let mut told = Vec::new();
        for _ in 0..=random.below(3) {
            told.push(self.damage(&mut bytes, &mut random));
        }
        (bytes, told.join(", "))
    }

    fn damage(&self, bytes: &mut [u8], random: &mut Random) -> String {
        match random.below(16) {
            0 => {
                let part = &mut bytes[..Superblock::SIZE];
                let told = self.change_field(part, Superblock::FIELDS, random);
                let sum = Superblock::from_bytes(part).expected_checksum();
                part[4..8].copy_from_slice(&sum.to_le_bytes());
                format!("superblock: {told}")
            }
            1..=5 => {
                let number = *random.choose(&self.inodes);
                let part = &mut bytes[self.inode(number)];
                let told = self.change_field(part, DiskInode::FIELDS, random);
                let sum = DiskInode::from_bytes(part).expected_checksum(&self.uuid, number);
                part[4..8].copy_from_slice(&sum.to_le_bytes());
                format!("inode {number}: {told}")
            }
            6..=9 => self.change_block(bytes, &self.directories, random, Self::change_record),
            10..=12 if !self.pointers.is_empty() => {
                self.change_block(bytes, &self.pointers, random, Self::change_pointer)
            }
            13 => self.change_block(bytes, &self.bitmaps, random, Self::change_bits),
            14 => {
                let kinds = [&self.directories, &self.pointers, &self.bitmaps];
                let blocks = kinds.iter().copied().flatten().copied().collect::<Vec<_>>();
                self.change_block(bytes, &blocks, random, |image, part, random| {
                    image.change_field(&mut part[..HEADER_SIZE], BlockHeader::FIELDS, random)
                })
            }
            // A wrong checksum, too, now and then.
            _ => {
                let at = random.below(self.geometry.data as usize * BLOCK_SIZE);
                bytes[at] ^= 1 << random.below(8);
                format!("byte {at}: another bit")
            }
        }
    }

    fn change_block(
        &self,
        bytes: &mut [u8],
        blocks: &[u64],
        random: &mut Random,
        change: impl Fn(&Self, &mut [u8], &mut Random) -> String,
    ) -> String {
        let number = *random.choose(blocks);
        let part = &mut bytes[block(number)];
        let told = change(self, part, random);
        seal_block(part, &self.uuid, number);
        format!("block {number}: {told}")
    }

    /// Changes one field of a structure that fills `part`.
    fn change_field(
        &self,
        part: &mut [u8],
        fields: &[(&str, usize)],
        random: &mut Random,
    ) -> String {
        let mut index = random.below(fields.len());
        // Nothing depends on most of the others.
        if random.below(4) > 0 {
            index = self.important(fields, random).unwrap_or(index);
        }
        let (name, start) = fields[index];
        let end = fields.get(index + 1).map_or(part.len(), |next| next.1);
        // One number of an array.
        let width = (end - start).min(if end - start > 8 { 4 } else { 8 });
        let start = start + random.below((end - start) / width) * width;
        self.change_number(&mut part[start..start + width], random);
        format!("{name} {:02x?}", &part[start..start + width])
    }

    fn important(&self, fields: &[(&str, usize)], random: &mut Random) -> Option<usize> {
        let found: Vec<usize> = (0..fields.len())
            .filter(|&index| IMPORTANT.contains(&fields[index].0))
            .collect();
        (!found.is_empty()).then(|| *random.choose(&found))
    }

    /// A number of 1, 2, 4 or 8 bytes gets a value at some border, or another bit.
    fn change_number(&self, part: &mut [u8], random: &mut Random) {
        let structures = [&self.directories, &self.pointers];
        let value = match random.below(10) {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => 1 << (8 * part.len() - 1),
            4 => self.geometry.blocks,
            5 => self.geometry.data,
            6 => u64::from(self.geometry.inodes),
            7 => structures
                .iter()
                .find(|blocks| !blocks.is_empty())
                .map_or(2, |blocks| *random.choose(blocks)),
            8 => random.word(),
            _ => {
                part[random.below(part.len())] ^= 1 << random.below(8);
                return;
            }
        };
        let width = part.len();
        part.copy_from_slice(&value.to_le_bytes()[..width]);
    }

    fn change_record(&self, part: &mut [u8], random: &mut Random) -> String {
        let mut records = Vec::new();
        let mut offset = HEADER_SIZE;
        while offset + DIRENT_SIZE <= BLOCK_SIZE {
            records.push(offset);
            let length = usize::from(DirentHead::from_bytes(&part[offset..]).length);
            if length == 0 {
                break;
            }
            offset += length;
        }
        let offset = *random.choose(&records);
        if random.below(5) == 0 {
            let at = offset + random.below(32.min(BLOCK_SIZE - offset));
            part[at] = random.word() as u8;
            return format!("byte {at} {:02x}", part[at]);
        }
        let head = &mut part[offset..offset + DIRENT_SIZE];
        let told = self.change_field(head, DirentHead::FIELDS, random);
        format!("record at {offset}: {told}")
    }

    fn change_pointer(&self, part: &mut [u8], random: &mut Random) -> String {
        let slots = [random.below(8), random.below(1020)];
        let slot = *random.choose(&slots);
        let start = HEADER_SIZE + slot * 4;
        self.change_number(&mut part[start..start + 4], random);
        format!("pointer {slot} {:02x?}", &part[start..start + 4])
    }

    fn change_bits(&self, part: &mut [u8], random: &mut Random) -> String {
        let at = HEADER_SIZE + random.below(BLOCK_SIZE - HEADER_SIZE);
        let start = *random.choose(&[at, HEADER_SIZE, HEADER_SIZE + 8]);
        let end = (start + 1 + random.below(16)).min(BLOCK_SIZE);
        part[start..end].fill(*random.choose(&[0, 0xff, 0x55]));
        format!("bits of bytes {start} to {end}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vexfs_format::{bitmap::Bitmap, block_fault, new_block};

    fn image() -> Image {
        let geometry = Geometry::new(64, 16).unwrap();
        let uuid = [3; 16];
        let mut bytes = vec![0; 64 * BLOCK_SIZE];
        bytes[..256].copy_from_slice(&geometry.superblock(uuid, [0; 32], 0).to_bytes());
        for (first, bits) in [(geometry.inode_bitmap, 16), (geometry.block_bitmap, 64)] {
            bytes[block(first)].copy_from_slice(&Bitmap::new(bits).to_block(0, &uuid, first));
        }
        let mut root = DiskInode::empty(0o040_755);
        root.seal(&uuid, 1);
        let start = block(geometry.inode_table).start;
        bytes[start..start + INODE_SIZE].copy_from_slice(&root.to_bytes());
        let mut directory = new_block(DIRECTORY_MAGIC, 1);
        directory[HEADER_SIZE + 4..HEADER_SIZE + 6].copy_from_slice(&4080_u16.to_le_bytes());
        seal_block(&mut directory, &uuid, geometry.data);
        bytes[block(geometry.data)].copy_from_slice(&directory);
        Image::new(bytes).unwrap()
    }

    #[test]
    fn structures_are_found() {
        assert_eq!(image().inventory(), [1, 2, 1, 0]);
    }

    #[test]
    fn damage_follows_from_the_seed_and_changes_something() {
        let image = image();
        let mut changed = 0;
        for seed in 0..200 {
            let (bytes, told) = image.damaged(seed);
            assert_eq!((bytes.clone(), told), image.damaged(seed));
            changed += usize::from(bytes != image.bytes);
        }
        assert!(changed > 180, "{changed}");
    }

    #[test]
    fn checksums_are_right_again() {
        let image = image();
        let mut seen = 0;
        for seed in 0..2000 {
            let (bytes, told) = image.damaged(seed);
            if told.starts_with("block 4: record") && !told.contains(',') {
                let part = &bytes[block(4)];
                assert_eq!(block_fault(part, &image.uuid, 4, DIRECTORY_MAGIC, 1), None);
                seen += 1;
            }
        }
        assert!(seen > 10, "{seen}");
    }
}
