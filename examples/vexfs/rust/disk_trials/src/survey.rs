//! Makes each state of a log again, repairs it, mounts it and looks for what was promised.

use std::fs::{self, File, OpenOptions};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::log::{self, Entry, Kind};
use crate::mount::Mount;
use crate::promise;
use crate::replay::{apply, chosen, each, pending, some, states, State};

pub struct Survey {
    pub log: PathBuf,
    /// What was on the device before the first entry; the survey leaves the last state in it.
    pub image: PathBuf,
    /// A loop device over `state`.
    pub device: PathBuf,
    pub state: PathBuf,
    pub mount_point: PathBuf,
    /// For a mark `M` the promises are in `promises.M`, before the first in `promises.`
    pub promises: String,
    pub vexctl: PathBuf,
    pub limit: usize,
    /// Whether each of the writes that follow a state is tried by itself, too.
    pub singly: bool,
}

impl Survey {
    /// Returns what was tried.
    pub fn run(&self) -> Result<String, String> {
        let told = |error: std::io::Error| error.to_string();
        let mut log = File::open(&self.log).map_err(told)?;
        let entries = log::read(&mut log).map_err(told)?;
        let all = states(&entries);
        let mut image = Cursor::new(fs::read(&self.image).map_err(told)?);
        let mut from = 0;
        let mut parts = 0;
        let tried = chosen(&all, self.limit);
        for state in &tried {
            let mut replay = |entries: &[Entry], image: &mut Cursor<Vec<u8>>| {
                apply(&mut log, entries, image).map_err(told)
            };
            replay(&entries[from..state.entries], &mut image)?;
            from = state.entries;
            self.is_survived(state, image.get_ref(), "")?;

            let followed = pending(&entries, from);
            for cached in self.parts(followed, from as u64) {
                let mut mixed = image.clone();
                replay(&cached, &mut mixed)?;
                let weaker = State {
                    entries: from,
                    marks: vec![last_mark(state, followed)],
                };
                self.is_survived(&weaker, mixed.get_ref(), " and a part of what followed")?;
                parts += 1;
            }
        }
        fs::write(&self.image, image.into_inner()).map_err(told)?;
        Ok(format!(
            "{} of {} states, {parts} variants with a part of what followed",
            tried.len(),
            all.len()
        ))
    }

    /// What the disk may have done of the writes that follow a state.
    fn parts(&self, followed: &[Entry], seed: u64) -> Vec<Vec<Entry>> {
        let mut parts: Vec<_> = [1, 2].map(|quarters| some(followed, quarters, seed)).into();
        parts.retain(|part| !part.is_empty());
        if self.singly {
            parts.extend(each(followed));
        }
        parts
    }

    /// Whether a repair gives a file system with all that the state's marks promise.
    fn is_survived(&self, state: &State, image: &[u8], more: &str) -> Result<(), String> {
        self.faults(state, image).map_err(|fault| {
            let entries = state.entries;
            format!("power cut after entry {entries}{more}:\n{fault}")
        })
    }

    fn faults(&self, state: &State, image: &[u8]) -> Result<(), String> {
        overwrite(&self.state, image).map_err(|error| error.to_string())?;
        let output = Command::new(&self.vexctl)
            .args(["check", "--repair"])
            .arg(&self.state)
            .output()
            .map_err(|error| format!("{}: {error}", self.vexctl.display()))?;
        let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        if !output.status.success() {
            return Err(told);
        }
        let mut promises = Vec::new();
        for mark in &state.marks {
            let name = format!("{}.{mark}", self.promises);
            let text = fs::read_to_string(&name).map_err(|error| format!("{name}: {error}"))?;
            promises.extend(promise::parse(&text)?);
        }
        let mount = Mount::new(&self.device, &self.mount_point)
            .map_err(|error| format!("{told}mount: {error}"))?;
        let broken: Vec<String> = promises
            .iter()
            .filter_map(|each| each.broken(&self.mount_point))
            .collect();
        walk(&self.mount_point)
            .and_then(|()| mount.unmount())
            .map_err(|error| format!("{told}in the tree: {error}"))?;
        if broken.is_empty() {
            Ok(())
        } else {
            Err(format!("{told}{}", broken.join("\n")))
        }
    }
}

/// Everything can be looked up and read.
fn walk(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.metadata()?.file_type();
        if kind.is_dir() {
            walk(&entry.path())?;
        } else if kind.is_symlink() {
            fs::read_link(entry.path())?;
        } else {
            fs::read(entry.path())?;
        }
    }
    Ok(())
}

/// What a promise after the state takes back is not asked for when some of what followed is there.
fn last_mark(state: &State, followed: &[Entry]) -> String {
    let last = followed.iter().rev().find_map(|entry| match &entry.kind {
        Kind::Mark(name) => Some(name),
        _ => None,
    });
    last.or_else(|| state.marks.last())
        .cloned()
        .unwrap_or_default()
}

/// Without giving the file's memory back first.
pub fn overwrite(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(bytes)
}
