//! fuzz_image: mounts damaged copies of a file system and uses them.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use disk_trials::damage::Image;
use disk_trials::mount::Mount;
use disk_trials::survey::overwrite;
use disk_trials::usage::{use_all, Tally};

const HELP: &str = "\
fuzz_image: mounts damaged copies of a vexfs and uses them

Usage:
  fuzz_image IMAGE STATE DEVICE MOUNT-POINT VEXCTL SEED COUNT SECONDS

For the seeds from SEED on, COUNT of them but no longer than SECONDS, writes a damaged copy of IMAGE
into the file STATE, has VEXCTL check it, mounts DEVICE, a loop device over STATE, reads and changes
everything, and unmounts it. Each fourth copy is repaired first. Errors are what should happen; what
must not is for the caller to see: a complaint of the kernel. Prints each seed before its turn to
standard error.

Exit status: 0 done; 1 vexctl died, or a copy can't be unmounted; 2 wrong usage.
";

struct Trial<'a> {
    image: Image,
    state: &'a Path,
    device: &'a Path,
    mount_point: &'a Path,
    vexctl: &'a str,
}

impl Trial<'_> {
    /// Returns what was done when it could be mounted.
    fn run(&self, seed: u64) -> Result<Option<Tally>, String> {
        let (bytes, told) = self.image.damaged(seed);
        eprintln!("seed {seed}: {told}");
        overwrite(self.state, &bytes)
            .map_err(|error| format!("{}: {error}", self.state.display()))?;
        self.check(if seed % 4 == 0 { &["--repair"] } else { &[] })?;
        match Mount::new(self.device, self.mount_point) {
            Ok(mount) => {
                let tally = use_all(self.mount_point);
                let ended = mount.unmount();
                ended.map_err(|error| format!("seed {seed}: unmounting: {error}"))?;
                Ok(Some(tally))
            }
            Err(_) => Ok(None),
        }
    }

    /// Problems are expected of it, but no end by a signal or a panic.
    fn check(&self, options: &[&str]) -> Result<(), String> {
        let output = Command::new(self.vexctl)
            .arg("check")
            .args(options)
            .arg(self.state)
            .output()
            .map_err(|error| format!("{}: {error}", self.vexctl))?;
        match output.status.code() {
            Some(0 | 1 | 3) => Ok(()),
            _ => Err(format!(
                "vexctl check: {}\n{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    }
}

fn run(words: &[String]) -> Result<String, String> {
    let (image, state, device, mount_point, vexctl, numbers) = match words {
        [image, state, device, mount_point, vexctl, numbers @ ..] if numbers.len() == 3 => {
            (image, state, device, mount_point, vexctl, numbers)
        }
        _ => return Err("wrong usage".into()),
    };
    let number = |index: usize| -> Result<u64, String> {
        let text = &numbers[index];
        text.parse().map_err(|_| format!("{text}: not a number"))
    };
    let (first, count, seconds) = (number(0)?, number(1)?, number(2)?);
    let bytes = fs::read(image).map_err(|error| format!("{image}: {error}"))?;
    let trial = Trial {
        image: Image::new(bytes)?,
        state: Path::new(state),
        device: Path::new(device),
        mount_point: Path::new(mount_point),
        vexctl,
    };
    let start = Instant::now();
    let (mut tried, mut mounted) = (0, 0);
    let mut total = Tally::default();
    while tried < count && start.elapsed() < Duration::from_secs(seconds) {
        if let Some(tally) = trial.run(first.wrapping_add(tried))? {
            mounted += 1;
            total.add(tally);
        }
        tried += 1;
    }
    Ok(format!(
        "{tried} damaged copies, seeds from {first} on: {mounted} mounted, {} operations done, {} refused",
        total.done, total.refused
    ))
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words == ["--help"] {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match run(&words) {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(fault) if fault == "wrong usage" => {
            eprintln!("fuzz_image: {fault}\nTry: fuzz_image --help");
            ExitCode::from(2)
        }
        Err(fault) => {
            eprintln!("fuzz_image: {fault}");
            ExitCode::from(1)
        }
    }
}
