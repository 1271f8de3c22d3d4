//! CRC-32C (Castagnoli), and what of a structure goes into it.

/// The polynomial 0x1edc6f41 with its bits reversed (RFC 3720, appendix B.4).
const POLYNOMIAL: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ POLYNOMIAL
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

fn crc32c(crc: u32, data: &[u8]) -> u32 {
    data.iter().fold(crc, |crc, &byte| {
        (crc >> 8) ^ TABLE[((crc ^ u32::from(byte)) & 0xff) as usize]
    })
}

/// The checksum of plain data that belong to a place.
pub fn data_checksum(uuid: &[u8; 16], place: u64, data: &[u8]) -> u32 {
    let crc = crc32c(!0, uuid);
    !crc32c(crc32c(crc, &place.to_le_bytes()), data)
}

/// The checksum of a structure whose second word is the place for it and counts as zero.
///
/// `place` is the number of the block, or of the inode, so that a copy elsewhere does not pass.
pub fn checksum(uuid: &[u8; 16], place: u64, structure: &[u8]) -> u32 {
    let crc = crc32c(!0, uuid);
    let crc = crc32c(crc, &place.to_le_bytes());
    let crc = crc32c(crc, &structure[..4]);
    let crc = crc32c(crc, &[0; 4]);
    !crc32c(crc, &structure[8..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc_of_the_standard_check_string() {
        assert_eq!(!crc32c(!0, b"123456789"), 0xe306_9283);
    }

    #[test]
    fn checksum_depends_on_everything_but_its_own_field() {
        let uuid = [7; 16];
        let mut block = [1_u8; 64];
        let sum = checksum(&uuid, 5, &block);
        assert_ne!(sum, checksum(&[8; 16], 5, &block));
        assert_ne!(sum, checksum(&uuid, 6, &block));
        for at in 0..block.len() {
            block[at] ^= 0x10;
            assert_eq!(
                sum == checksum(&uuid, 5, &block),
                (4..8).contains(&at),
                "byte {at}"
            );
            block[at] ^= 0x10;
        }
    }
}
