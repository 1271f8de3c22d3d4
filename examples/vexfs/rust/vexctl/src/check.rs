//! `vexctl check`: is the file system what it should be?

use std::process::ExitCode;

use vexfs_format::bitmap::Bitmap;
use vexfs_format::STATE_CLEAN;

use crate::arguments::Arguments;
use crate::bitmaps::read_bitmap;
use crate::device::Device;
use crate::failure::Failure;
use crate::{print, Command};

mod blocks;
mod collection;
mod inode;
mod problem;
mod repair;
mod tree;
mod trim;

use problem::{Problem, Repair};
use repair::repair;
use tree::Tree;

pub const COMMAND: Command = Command {
    name: "check",
    summary: "verifies a file system, and repairs it",
    help: "\
Usage: vexctl check [--repair] DEVICE

Verifies every checksum, the tree of directories, link counts, bitmaps and
collections of DEVICE, which is a block device that is not mounted, or a file with
a file system in it.
  --repair  mends what can be mended without a guess. Vectors that were written in
            part are deleted, and a damaged index is removed.
",
    run,
};

/// Each round mends what the one before brought to light; trees that need more are not believed.
const ROUNDS: usize = 4;

/// What a check has found.
pub struct Report {
    pub problems: Vec<Problem>,
    pub inodes: Bitmap,
    pub blocks: Bitmap,
    pub files: usize,
}

fn run(words: &[String]) -> Result<ExitCode, Failure> {
    let arguments = Arguments::parse(words, &[], &["--repair"])?;
    let repairs = arguments.has("--repair");
    let name = arguments.only("device")?;
    let device = if repairs {
        Device::open_writable(name)?
    } else {
        Device::open_unmounted(name)?
    };

    let mut report = check(&device)?;
    let mut mended = 0;
    for _ in 0..ROUNDS {
        if !repairs
            || !report
                .problems
                .iter()
                .any(|problem| problem.repair.is_some())
        {
            break;
        }
        for problem in report
            .problems
            .iter()
            .filter(|problem| problem.repair.is_some())
        {
            print(&format!("repaired: {}\n", problem.text))?;
            mended += 1;
        }
        repair(&device, &report)?;
        report = check(&device)?;
    }
    for problem in &report.problems {
        print(&format!("problem: {}\n", problem.text))?;
    }
    let verdict = match report.problems.len() {
        0 => "good".to_owned(),
        count => format!("{count} problems"),
    };
    print(&format!(
        "{}: {verdict}, {mended} repaired; {} inodes in the tree, {} blocks free\n",
        device.name(),
        report.files,
        report.blocks.count_clear()
    ))?;
    Ok(if report.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

pub fn check(device: &Device) -> Result<Report, Failure> {
    let (superblock, geometry) = device.superblock()?;
    let uuid = &superblock.uuid;
    let tree = Tree::read(device, geometry, *uuid)?;
    let files = tree.len();
    let Tree {
        inodes,
        blocks,
        mut problems,
        partial,
        ..
    } = tree;

    let bits = u64::from(geometry.inodes);
    let mut faults = Vec::new();
    let on_disk = read_bitmap(device, uuid, bits, geometry.inode_bitmap, &mut faults)?;
    faults.extend(difference("inode", 1, &on_disk, &inodes));
    let on_disk = read_bitmap(
        device,
        uuid,
        geometry.blocks,
        geometry.block_bitmap,
        &mut faults,
    )?;
    faults.extend(difference("block", 0, &on_disk, &blocks));
    for text in faults {
        // With a part of the tree unknown, new bitmaps could give its blocks away.
        problems.push(Problem {
            text,
            repair: (!partial).then(|| Repair::Bitmaps),
        });
    }

    if superblock.state != STATE_CLEAN {
        let rest = problems.iter().all(|problem| problem.repair.is_some());
        let text = "not unmounted in good order".to_owned();
        problems.push(Problem {
            text,
            repair: rest.then(|| Repair::State),
        });
    }
    Ok(Report {
        problems,
        inodes,
        blocks,
        files,
    })
}

/// Bits that differ, one line for each run of them.
fn difference(what: &str, first: u64, on_disk: &Bitmap, in_tree: &Bitmap) -> Vec<String> {
    let wrong = |bit: u64| on_disk.get(bit) != in_tree.get(bit);
    let mut lines = Vec::new();
    let mut bit = 0;
    while bit < on_disk.bits() {
        if !wrong(bit) {
            bit += 1;
            continue;
        }
        let start = bit;
        while bit < on_disk.bits() && wrong(bit) && on_disk.get(bit) == on_disk.get(start) {
            bit += 1;
        }
        let text = if on_disk.get(start) {
            "taken, but nothing in the tree holds it"
        } else {
            "free, but the tree holds it"
        };
        lines.push(match (start + first, bit - 1 + first) {
            (one, last) if one == last => format!("{what} {one}: {text}"),
            (one, last) => format!("{what}s {one} to {last}: {text}"),
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_in_runs() {
        let mut on_disk = Bitmap::new(100);
        let mut in_tree = Bitmap::new(100);
        assert!(difference("block", 0, &on_disk, &in_tree).is_empty());
        for bit in 10..20 {
            on_disk.set(bit);
        }
        in_tree.set(20);
        assert_eq!(
            difference("block", 0, &on_disk, &in_tree),
            [
                "blocks 10 to 19: taken, but nothing in the tree holds it",
                "block 20: free, but the tree holds it"
            ]
        );
    }
}
