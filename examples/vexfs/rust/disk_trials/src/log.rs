//! The log of dm-log-writes (the kernel's Documentation/admin-guide/device-mapper/log-writes.rst):
//! a superblock, then each request as a sector that describes it and the sectors it wrote.

use std::io::{self, Read, Seek, SeekFrom};

const MAGIC: u64 = 0x6a_7366_7773_6872;
const VERSION: u64 = 1;
/// The description of a request before the text of a mark.
const ENTRY_SIZE: usize = 32;

const FLUSH: u64 = 1;
const FUA: u64 = 1 << 1;
const DISCARD: u64 = 1 << 2;
const MARK: u64 = 1 << 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sectors written; `durable` when everything before it and itself are on the disk for good.
    Write { durable: bool },
    /// What was there is not needed any more; a replay leaves it.
    Discard,
    /// A name for this point, from `dmsetup message`.
    Mark(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    /// Bytes of the recorded device.
    pub target: u64,
    pub length: u64,
    /// Where in the log the data are.
    pub source: u64,
}

impl Entry {
    /// Whether a power cut just after it leaves all that the log has up to it.
    pub fn is_durable(&self) -> bool {
        self.kind == Kind::Write { durable: true }
    }
}

fn number(bytes: &[u8], offset: usize) -> u64 {
    let mut own = [0; 8];
    own.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(own)
}

fn bad(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn read_at(log: &mut (impl Read + Seek), offset: u64, bytes: &mut [u8]) -> io::Result<()> {
    log.seek(SeekFrom::Start(offset))?;
    log.read_exact(bytes)
}

/// Reads what the log describes, without the data.
pub fn read(log: &mut (impl Read + Seek)) -> io::Result<Vec<Entry>> {
    let mut head = [0; 28];
    read_at(log, 0, &mut head)?;
    if number(&head, 0) != MAGIC || number(&head, 8) != VERSION {
        return Err(bad("no log of dm-log-writes, version 1".into()));
    }
    let count = number(&head, 16);
    let sector = u64::from(u32::from_le_bytes([head[24], head[25], head[26], head[27]]));
    if !sector.is_power_of_two() || !(512..=65536).contains(&sector) {
        return Err(bad(format!("the log has sectors of {sector} bytes")));
    }
    let mut entries = Vec::new();
    let mut position = sector;
    let mut bytes = vec![0; sector as usize];
    for index in 0..count {
        read_at(log, position, &mut bytes)?;
        let entry = parse(&bytes, position, sector)
            .ok_or_else(|| bad(format!("entry {index} of the log is malformed")))?;
        position += sector;
        if let Kind::Write { .. } = entry.kind {
            position += entry.length;
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn parse(bytes: &[u8], position: u64, sector: u64) -> Option<Entry> {
    let flags = number(bytes, 16);
    let kind = if flags & MARK != 0 {
        let length = usize::try_from(number(bytes, 24)).ok()?;
        let text = bytes.get(ENTRY_SIZE..ENTRY_SIZE.checked_add(length)?)?;
        let text = String::from_utf8_lossy(text);
        Kind::Mark(text.trim_end_matches(['\0', '\n']).to_owned())
    } else if flags & DISCARD != 0 {
        Kind::Discard
    } else {
        let durable = flags & (FLUSH | FUA) != 0;
        Kind::Write { durable }
    };
    Some(Entry {
        kind,
        target: number(bytes, 0).checked_mul(sector)?,
        length: number(bytes, 8).checked_mul(sector)?,
        source: position + sector,
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::io::Cursor;

    /// A log with sectors of 512 bytes: flags, target sector, and data or the text of a mark.
    pub fn log(entries: &[(u64, u64, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [MAGIC, VERSION, entries.len() as u64] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&512_u32.to_le_bytes());
        bytes.resize(512, 0);
        for &(flags, target, data) in entries {
            let start = bytes.len();
            let mark = flags & MARK != 0;
            let sectors = if mark { 0 } else { data.len() as u64 / 512 };
            let inline = if mark { data.len() as u64 } else { 0 };
            for word in [target, sectors, flags, inline] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
            if mark {
                bytes.extend_from_slice(data);
            }
            bytes.resize(start + 512, 0);
            if !mark && flags & DISCARD == 0 {
                bytes.extend_from_slice(data);
            }
        }
        bytes
    }

    #[test]
    fn entries_are_read_with_their_data_between() {
        let bytes = log(&[
            (0, 3, &[1; 1024]),
            (MARK, 0, b"here\n"),
            (DISCARD, 8, &[0; 512]),
            (FLUSH, 0, b""),
            (FUA, 7, &[2; 512]),
        ]);
        let entries = read(&mut Cursor::new(bytes)).unwrap();
        assert_eq!(entries.len(), 5);
        assert_eq!(entries[0].kind, Kind::Write { durable: false });
        assert_eq!((entries[0].target, entries[0].length), (1536, 1024));
        assert_eq!(entries[0].source, 1024);
        assert_eq!(entries[1].kind, Kind::Mark("here".into()));
        assert_eq!(entries[2].kind, Kind::Discard);
        assert!(entries[3].is_durable() && entries[4].is_durable());
        assert_eq!(entries[4].source, 512 * 8);
    }

    #[test]
    fn other_devices_and_short_logs_are_refused() {
        assert!(read(&mut Cursor::new(vec![0; 4096])).is_err());
        let mut bytes = log(&[(0, 0, &[1; 512])]);
        bytes.truncate(700);
        assert!(read(&mut Cursor::new(bytes)).is_err());
        let mut bytes = log(&[(MARK, 0, b"x")]);
        bytes[512 + 24] = 0xff;
        bytes[512 + 25] = 0xff;
        assert!(
            read(&mut Cursor::new(bytes)).is_err(),
            "mark beyond its sector"
        );
    }
}
