//! A collection with something wrong on the disk: an error and no wrong answer, whether or not the
//! checksums are right.

use std::fs::{File, OpenOptions};
use std::os::raw::{c_int, c_ulong};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::io::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use disk_trials::mount::Mount;
use vexfs_ffi::errno::{EINVAL, ENODATA, ENOENT, EUCLEAN};
use vexfs_ffi::{Error, Metric};
use vexfs_format::collection::{
    centroid_checksum, vector_checksum, CollectionHeader, CollectionLayout, Entry,
    ENTRIES_PER_BLOCK, ENTRY_DELETED,
};
use vexfs_format::{Superblock, BLOCK_SIZE};

use crate::definition::Point;
use crate::model::Model;
use crate::random::{Clusters, Random};
use crate::raw;

const BLOCKS: usize = 100;
const DIMENSION: usize = 20;
const VECTORS: u64 = 300;
const CELLS: u32 = 7;
/// What is damaged; another one that is not.
const VICTIM: u64 = 9;
const OTHER: u64 = 10;
const GONE: u64 = 3;

/// `FIBMAP` of linux/fs.h: the block of the device that holds a block of a file.
const FIBMAP: c_ulong = 1;

extern "C" {
    fn ioctl(file: c_int, request: c_ulong, ...) -> c_int;
}

/// `None`: it is a hole.
fn place_of(file: &File, index: u64) -> Option<u64> {
    let mut block = index as c_int;
    // SAFETY: the kernel writes an int.
    let status = unsafe { ioctl(file.as_raw_fd(), FIBMAP, &mut block) };
    assert_eq!(status, 0, "block {index} of the file");
    (block > 0).then_some(block as u64)
}

/// A device with a collection, and all that is needed to change a byte of it with care.
struct Disk {
    device: PathBuf,
    mountpoint: PathBuf,
    vexctl: PathBuf,
    /// Before it is damaged.
    image: Vec<u8>,
    uuid: [u8; 16],
    inode: u32,
    /// Block of the device by block of the file.
    places: Vec<Option<u64>>,
    layout: CollectionLayout,
    points: Vec<Option<Point>>,
}

impl Disk {
    fn new(device: &Path, mountpoint: &Path, vexctl: &Path) -> Result<Self, Error> {
        let mut disk = Self {
            device: device.to_owned(),
            mountpoint: mountpoint.to_owned(),
            vexctl: vexctl.to_owned(),
            image: vec![0; BLOCKS * BLOCK_SIZE],
            uuid: [0; 16],
            inode: 0,
            places: Vec::new(),
            layout: CollectionLayout::new(DIMENSION as u32),
            points: Vec::new(),
        };
        let blocks = BLOCKS.to_string();
        let mkfs = ["mkfs", "--blocks", &blocks, "--inodes", "16"];
        disk.vexctl(&mkfs).expect("vexctl mkfs");
        let mount = Mount::new(device, mountpoint).expect("mount");
        disk.fill()?;
        mount.unmount().expect("umount");
        // First, since it empties the device's cache.
        disk.vexctl(&["check"])
            .expect("vexctl check, before there is damage");
        let file = File::open(device).expect("the device");
        file.read_exact_at(&mut disk.image, 0).expect("the device");
        disk.uuid = Superblock::from_bytes(&disk.image).uuid;
        Ok(disk)
    }

    fn path(&self) -> PathBuf {
        self.mountpoint.join("c")
    }

    fn fill(&mut self) -> Result<(), Error> {
        let mut random = Random::new(3);
        let clusters = Clusters::new(&mut random, 9, DIMENSION, 9000, 1000);
        let mut model = Model::create(&self.path(), DIMENSION, Metric::L2)?;
        let vectors: Vec<_> = (0..VECTORS).map(|_| clusters.vector(&mut random)).collect();
        model.insert(&vectors)?;
        model.collection.build_index(CELLS, 5, 1)?;
        model.delete(GONE)?;
        model.collection.sync()?;
        let file = File::open(self.path()).expect("the file");
        let metadata = file.metadata().expect("the file");
        self.inode = metadata.ino() as u32;
        let blocks = 0..metadata.size() / BLOCK_SIZE as u64;
        self.places = blocks.map(|index| place_of(&file, index)).collect();
        self.points = (0..VECTORS).map(|id| model.point(id).cloned()).collect();
        Ok(())
    }

    /// What it says when it fails is the error.
    fn vexctl(&self, arguments: &[&str]) -> Result<(), String> {
        let mut command = Command::new(&self.vexctl);
        let output = command.args(arguments).arg(&self.device).output();
        let output = output.expect("vexctl");
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(()),
            false => Err(said(&output.stdout) + &said(&output.stderr)),
        }
    }

    /// Offset on the device of a byte of the file.
    fn offset(&self, index: u64, byte: usize) -> usize {
        let place = self.places[index as usize].expect("a block that is no hole");
        place as usize * BLOCK_SIZE + byte
    }

    fn entry_offset(&self, id: u64) -> usize {
        let index = self.layout.entries_block(id / ENTRIES_PER_BLOCK as u64);
        self.offset(index, id as usize % ENTRIES_PER_BLOCK * Entry::SIZE)
    }

    /// Within a block, as that of a vector with a small id is.
    fn components_offset(&self, id: u64) -> usize {
        self.offset(
            self.layout.entries_block(0) + 1,
            id as usize * DIMENSION * 2,
        )
    }

    fn header(&self) -> CollectionHeader {
        CollectionHeader::from_bytes(&self.image[self.offset(0, 0)..])
    }

    fn sealed_header(&self, change: impl Fn(&mut CollectionHeader)) -> Change {
        let mut header = self.header();
        change(&mut header);
        header.seal(&self.uuid, self.inode);
        (self.offset(0, 0), header.to_bytes().to_vec())
    }

    fn sealed_entry(&self, id: u64, change: impl Fn(&mut Entry)) -> Change {
        let offset = self.entry_offset(id);
        let mut entry = Entry::from_bytes(&self.image[offset..]);
        change(&mut entry);
        entry.seal(&self.uuid, self.inode, id);
        (offset, entry.to_bytes().to_vec())
    }

    fn centroids(&self) -> &[u8] {
        let first = self.offset(self.layout.first_centroid_block(), 0);
        &self.image[first..first + CELLS as usize * DIMENSION * 2]
    }

    fn write(&self, changes: &[Change]) {
        let device = OpenOptions::new().write(true).open(&self.device);
        let device = device.expect("the device");
        for (offset, bytes) in changes {
            device.write_all_at(bytes, *offset as u64).expect("a write");
        }
        device.sync_all().expect("a write");
    }

    /// Lets `using` have the file with this damage; returns whether `vexctl check` saw nothing.
    fn with(&self, changes: &[Change], using: impl FnOnce(&File)) -> bool {
        self.write(changes);
        let is_accepted = self.vexctl(&["check"]).is_ok();
        let mount = Mount::new(&self.device, &self.mountpoint).expect("mount");
        let file = OpenOptions::new().read(true).write(true).open(self.path());
        using(&file.expect("the file"));
        mount.unmount().expect("umount");
        self.write(&[(0, self.image.clone())]);
        is_accepted
    }
}

/// Where on the device, and what is there instead.
type Change = (usize, Vec<u8>);

/// What the kernel has to do about it.
#[derive(Clone, Copy)]
enum Effect {
    /// Refuse whatever is asked of the collection.
    Collection,
    /// Refuse what needs the components of the victim, until it is deleted.
    Vector,
}

fn damages(disk: &Disk) -> Vec<(&'static str, Effect, Change)> {
    use Effect::{Collection, Vector};
    let header = |change: fn(&mut CollectionHeader)| disk.sealed_header(change);
    let entry = |change: fn(&mut Entry)| disk.sealed_entry(VICTIM, change);
    let flipped = |offset: usize| (offset, vec![disk.image[offset] ^ 0x40]);
    let first_cells = &disk.centroids()[..3 * DIMENSION * 2];
    let sum_of_three = centroid_checksum(&disk.uuid, disk.inode, first_cells);
    let entry_of = |id| {
        let offset = disk.entry_offset(id);
        disk.image[offset..offset + Entry::SIZE].to_vec()
    };
    vec![
        ("wrong magic", Collection, header(|it| it.magic ^= 1)),
        (
            "header: wrong checksum",
            Collection,
            flipped(disk.offset(0, 9)),
        ),
        ("dimension 0", Collection, header(|it| it.dimension = 0)),
        (
            "dimension 1025",
            Collection,
            header(|it| it.dimension = 1025),
        ),
        (
            "largest dimension",
            Collection,
            header(|it| it.dimension = u32::MAX),
        ),
        (
            "dimension that the size denies",
            Collection,
            header(|it| it.dimension = 60),
        ),
        ("metric 0", Collection, header(|it| it.metric = 0)),
        ("metric 3", Collection, header(|it| it.metric = 3)),
        ("257 cells", Collection, header(|it| it.cells = 257)),
        ("a cell more", Collection, header(|it| it.cells += 1)),
        (
            "centroids without cells",
            Collection,
            header(|it| it.cells = 0),
        ),
        (
            "cells of vectors that are not there",
            Collection,
            disk.sealed_header(|it| {
                it.cells = 3;
                it.centroid_checksum = sum_of_three;
            }),
        ),
        (
            "header: of an earlier file",
            Collection,
            header(|it| it.generation ^= 1),
        ),
        (
            "header: reserved",
            Collection,
            header(|it| it.reserved[227] = 1),
        ),
        (
            "behind the header",
            Collection,
            flipped(disk.offset(0, 256)),
        ),
        (
            "at the end of its block",
            Collection,
            flipped(disk.offset(0, 4095)),
        ),
        ("centroid", Collection, flipped(disk.offset(1, 5))),
        (
            "last centroid",
            Collection,
            flipped(disk.offset(1, CELLS as usize * DIMENSION * 2 - 1)),
        ),
        (
            "entry: wrong checksum",
            Collection,
            flipped(disk.entry_offset(VICTIM)),
        ),
        ("entry: state 0", Collection, entry(|it| it.state = 0)),
        ("entry: state 3", Collection, entry(|it| it.state = 3)),
        (
            "entry: of an earlier file",
            Collection,
            entry(|it| it.generation ^= 1 << 31),
        ),
        (
            "entry: cell 7",
            Collection,
            entry(|it| it.cell = CELLS as u16),
        ),
        (
            "entry: last cell",
            Collection,
            entry(|it| it.cell = u16::MAX),
        ),
        (
            "entry: never given",
            Collection,
            (disk.entry_offset(VICTIM), vec![0; Entry::SIZE]),
        ),
        (
            "entry of another",
            Collection,
            (disk.entry_offset(256), entry_of(0)),
        ),
        (
            "entry: wrong sum of components",
            Vector,
            entry(|it| it.data_checksum ^= 1),
        ),
        (
            "component",
            Vector,
            flipped(disk.components_offset(VICTIM) + 1),
        ),
        (
            "last component",
            Vector,
            flipped(disk.components_offset(OTHER) - 1),
        ),
    ]
}

pub fn run(device: &Path, mountpoint: &Path, vexctl: &Path) -> Result<(), Error> {
    let disk = Disk::new(device, mountpoint, vexctl)?;
    for (name, effect, change) in damages(&disk) {
        eprintln!("damage: {name}");
        let is_accepted = disk.with(&[change], |file| match effect {
            Effect::Collection => refuses_everything(&disk, file),
            Effect::Vector => refuses_the_vector(&disk, file),
        });
        assert!(!is_accepted, "vexctl check accepts it");
    }
    // A deleted vector is in no cell: what its entry says there means nothing.
    let gone = disk.sealed_entry(VICTIM, |it| {
        it.state = ENTRY_DELETED;
        it.cell = u16::MAX;
    });
    let is_accepted = disk.with(&[gone], |file| {
        assert_eq!(raw::fetch(file, VICTIM, DIMENSION), Err(ENOENT));
        assert!(raw::search(file, &[0; DIMENSION], 5, CELLS).is_ok());
    });
    assert!(is_accepted, "vexctl check refuses a deleted vector");
    Ok(())
}

fn refuses_everything(disk: &Disk, file: &File) {
    let vector = [1; DIMENSION];
    for _ in 0..2 {
        assert_eq!(
            raw::search(file, &vector, 1, 0),
            Err(EUCLEAN),
            "exact search"
        );
        assert_eq!(
            raw::search(file, &vector, 1, 1),
            Err(EUCLEAN),
            "search by the index"
        );
        assert_eq!(raw::fetch(file, 0, DIMENSION), Err(EUCLEAN), "fetch");
        assert_eq!(raw::insert(file, &vector), Err(EUCLEAN), "insert");
        assert_eq!(raw::delete(file, 0), Err(EUCLEAN), "delete");
        assert_eq!(raw::index(file, 2, 1), Err(EUCLEAN), "index");
        assert_eq!(raw::index(file, 0, 0), Err(EUCLEAN), "removal of the index");
    }
    let mut block = [0; BLOCK_SIZE];
    let read = file.read_exact_at(&mut block, 0);
    read.unwrap_or_else(|error| panic!("read(2) of inode {}: {error}", disk.inode));
}

fn refuses_the_vector(disk: &Disk, file: &File) {
    let query = [0; DIMENSION];
    assert_eq!(raw::fetch(file, VICTIM, DIMENSION), Err(EUCLEAN), "fetch");
    let other = disk.points[OTHER as usize].as_ref().expect("a vector");
    assert_eq!(
        raw::fetch(file, OTHER, DIMENSION).as_ref(),
        Ok(&other.components)
    );
    assert_eq!(
        raw::search(file, &query, 1, 0),
        Err(EUCLEAN),
        "exact search"
    );
    assert_eq!(
        raw::search(file, &query, 1, CELLS),
        Err(EUCLEAN),
        "search by the index"
    );
    assert_eq!(raw::index(file, 2, 1), Err(EUCLEAN), "index");
    assert_eq!(raw::insert(file, &query), Ok(VECTORS), "insert");
    assert_eq!(raw::delete(file, VICTIM), Ok(()), "delete");
    assert_eq!(
        raw::search(file, &query, 1, 0),
        Ok(vec![(VECTORS, 0)]),
        "exact search"
    );
    assert_eq!(raw::search(file, &query, 1, CELLS), Ok(vec![(VECTORS, 0)]));
}

/// Random bits of the collection's blocks; the checksum of what they are in is made right again for
/// every other one.
pub fn fuzz(device: &Path, mountpoint: &Path, vexctl: &Path, seed: u64) -> Result<(), Error> {
    const FLIPS: usize = 24;
    let disk = Disk::new(device, mountpoint, vexctl)?;
    let mut random = Random::new(seed);
    let mut noticed = 0;
    for number in 0..FLIPS {
        let is_sealed = number % 2 == 1;
        let changes = match is_sealed {
            false => vec![random_flip(&disk, &mut random)],
            true => sealed_flip(&disk, &mut random),
        };
        let mut answers = Answers::default();
        let is_accepted = disk.with(&changes, |file| answers = ask(&disk, file));
        let refusals = answers.refusals;
        eprintln!("flip {number} at {changes:x?}: {refusals} refusals, {is_accepted}");
        if is_accepted {
            assert_eq!(refusals, 0, "the kernel refuses what vexctl check accepts");
        } else if !is_sealed {
            assert!(refusals > 0, "the kernel accepts what vexctl check refuses");
        }
        assert!(is_sealed || !answers.is_wrong, "a wrong answer");
        noticed += usize::from(refusals > 0);
    }
    println!("measure: flips={FLIPS} images");
    println!("measure: noticed={noticed} images");
    Ok(())
}

fn flip(random: &mut Random, byte: u8) -> Vec<u8> {
    vec![byte ^ (1 << random.below(8))]
}

/// Half of them where something is, not behind the last vector or the header.
fn random_flip(disk: &Disk, random: &mut Random) -> Change {
    let id = random.below(ENTRIES_PER_BLOCK) as u64;
    let offset = match random.below(8) {
        0 => disk.offset(0, random.below(CollectionHeader::SIZE)),
        1 => disk.offset(1, random.below(disk.centroids().len())),
        2 | 3 => disk.entry_offset(id) + random.below(Entry::SIZE),
        _ => {
            let places: Vec<&u64> = disk.places.iter().flatten().collect();
            **random.choose(&places) as usize * BLOCK_SIZE + random.below(BLOCK_SIZE)
        }
    };
    (offset, flip(random, disk.image[offset]))
}

/// A bit of the header, an entry, the centroids or a vector, and the checksum for it.
fn sealed_flip(disk: &Disk, random: &mut Random) -> Vec<Change> {
    let id = random.below(90) as u64;
    match random.below(4) {
        0 => {
            let mut bytes = disk.header().to_bytes();
            let place = *random.choose(&[0, 8, 9, 10, 11, 12, 16, 17, 20, 24, 255]);
            bytes[place] = flip(random, bytes[place])[0];
            vec![disk.sealed_header(|it| *it = CollectionHeader::from_bytes(&bytes))]
        }
        1 => {
            let place = 4 + random.below(Entry::SIZE - 4);
            let bit = random.below(8);
            vec![disk.sealed_entry(id, |it| {
                let mut bytes = it.to_bytes();
                bytes[place] ^= 1 << bit;
                *it = Entry::from_bytes(&bytes);
            })]
        }
        2 => {
            let mut centroids = disk.centroids().to_vec();
            let place = random.below(centroids.len());
            centroids[place] = flip(random, centroids[place])[0];
            let sum = centroid_checksum(&disk.uuid, disk.inode, &centroids);
            vec![
                (disk.offset(1, 0), centroids),
                disk.sealed_header(|it| it.centroid_checksum = sum),
            ]
        }
        _ => {
            let offset = disk.components_offset(id);
            let mut vector = disk.image[offset..offset + DIMENSION * 2].to_vec();
            let place = random.below(vector.len());
            vector[place] = flip(random, vector[place])[0];
            let sum = vector_checksum(&disk.uuid, disk.inode, id, &vector);
            vec![
                (offset, vector),
                disk.sealed_entry(id, |it| it.data_checksum = sum),
            ]
        }
    }
}

#[derive(Default)]
struct Answers {
    refusals: usize,
    is_wrong: bool,
}

impl Answers {
    /// Damage is the only reason to refuse what would be right without it.
    fn note<T: PartialEq>(&mut self, result: Result<T, i32>, expected: Option<Result<T, i32>>) {
        match result {
            Err(EUCLEAN) => self.refusals += 1,
            Err(errno) if ![EINVAL, ENODATA, ENOENT].contains(&errno) => {
                panic!("error {errno}");
            }
            _ => self.is_wrong |= expected.map_or(false, |expected| result != expected),
        }
    }
}

fn ask(disk: &Disk, file: &File) -> Answers {
    let mut answers = Answers::default();
    let query = [100; DIMENSION];
    let live = (0..).zip(&disk.points);
    let live = live.filter_map(|(id, point)| Some((id, point.as_ref()?)));
    let point = Point::new(query.to_vec());
    let nearest = crate::definition::nearest(Metric::L2, &point, live, 10);
    let nearest: Vec<_> = nearest.iter().map(|one| (one.id, one.distance)).collect();
    for id in 0..VECTORS {
        let point = disk.points[id as usize].as_ref();
        let expected = point.map_or(Err(ENOENT), |point| Ok(point.components.clone()));
        answers.note(raw::fetch(file, id, DIMENSION), Some(expected));
    }
    answers.note(raw::search(file, &query, 10, 0), Some(Ok(nearest.clone())));
    answers.note(raw::search(file, &query, 10, CELLS), Some(Ok(nearest)));
    answers.note(raw::search(file, &query, 10, 1), None);
    answers.note(raw::insert(file, &query), Some(Ok(VECTORS)));
    answers.note(raw::delete(file, OTHER), Some(Ok(())));
    answers.note(raw::index(file, 3, 2), Some(Ok(())));
    answers.note(raw::index(file, 0, 0), Some(Ok(())));
    answers
}
