//! Uses a file system in which anything may be wrong. Errors are expected; the kernel has to live.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// On a damaged disk a directory may be its own child, or have a name a million times.
const MOST_ENTRIES: usize = 200;
const MOST_LEVELS: usize = 8;
/// Of the names found, so many are changed, spread over the tree.
const MOST_CHANGED: usize = 24;
const READ: u64 = 128 * 1024;

/// What was tried, and how much of it the kernel refused.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub done: usize,
    pub refused: usize,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.done += other.done;
        self.refused += other.refused;
    }

    fn note<T>(&mut self, result: std::io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.done += 1;
                Some(value)
            }
            Err(_) => {
                self.refused += 1;
                None
            }
        }
    }
}

/// Looks at everything, then changes everything, as far as it goes.
pub fn use_all(root: &Path) -> Tally {
    let mut tally = Tally::default();
    let mut found = Vec::new();
    walk(root, 0, &mut found, &mut tally);
    let stride = found.len() / MOST_CHANGED + 1;
    for path in found.iter().step_by(stride) {
        change(path, &mut tally);
    }
    add(root, &mut tally);
    for path in found.iter().rev() {
        remove(path, &mut tally);
    }
    tally
}

fn walk(folder: &Path, level: usize, found: &mut Vec<PathBuf>, tally: &mut Tally) {
    let entries = match tally.note(fs::read_dir(folder)) {
        Some(entries) => entries,
        None => return,
    };
    for entry in entries {
        if found.len() >= MOST_ENTRIES {
            return;
        }
        let path = match tally.note(entry) {
            Some(entry) => entry.path(),
            None => return,
        };
        found.push(path.clone());
        let kind = match tally.note(fs::symlink_metadata(&path)) {
            Some(metadata) => metadata.file_type(),
            None => continue,
        };
        if kind.is_symlink() {
            tally.note(fs::read_link(&path));
        } else if kind.is_file() {
            tally.note(read(&path));
        } else if level < MOST_LEVELS {
            walk(&path, level + 1, found, tally);
        }
    }
}

/// The beginning and the end.
fn read(path: &Path) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let mut content = Vec::new();
    let size = file.metadata()?.len();
    (&file).take(READ).read_to_end(&mut content)?;
    file.seek(SeekFrom::Start(size.saturating_sub(READ)))?;
    (&file).take(READ).read_to_end(&mut content)?;
    Ok(())
}

fn change(path: &Path, tally: &mut Tally) {
    let is_dir = fs::symlink_metadata(path).map_or(false, |metadata| metadata.is_dir());
    if is_dir {
        tally.note(File::create(path.join("new")).and_then(|mut file| {
            file.write_all(&[7; 10_000])?;
            file.sync_all()
        }));
        tally.note(fs::create_dir(path.join("new-folder")));
        return;
    }
    let renamed = path.with_extension("renamed");
    tally.note(fs::hard_link(path, path.with_extension("link")));
    tally.note(
        OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| {
                file.write_all(&[1; 5000])?;
                let size = file.seek(SeekFrom::End(0))?;
                file.write_all(&[2; 5000])?;
                file.set_len(size / 2)?;
                file.set_len(size)
            }),
    );
    tally.note(fs::rename(path, &renamed));
    tally.note(fs::rename(&renamed, path));
}

fn add(root: &Path, tally: &mut Tally) {
    for number in 0..8 {
        tally.note(fs::write(
            root.join(format!("a-new-name-{number}")),
            [3; 9000],
        ));
    }
}

fn remove(path: &Path, tally: &mut Tally) {
    let is_dir = fs::symlink_metadata(path).map_or(false, |metadata| metadata.is_dir());
    if is_dir {
        let _ = fs::remove_file(path.join("new"));
        let _ = fs::remove_dir(path.join("new-folder"));
        tally.note(fs::remove_dir(path));
    } else {
        tally.note(fs::remove_file(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_tree_is_used_up() {
        let root = std::env::temp_dir().join(format!("usage-{}", std::process::id()));
        fs::create_dir_all(root.join("dir/below")).unwrap();
        fs::write(root.join("dir/file"), [0; 300_000]).unwrap();
        std::os::unix::fs::symlink("file", root.join("dir/link")).unwrap();
        let tally = use_all(&root);
        assert!(tally.done > 30, "{tally:?}");
        assert!(!root.join("dir/file").exists());
        fs::remove_dir_all(&root).unwrap();
    }
}
