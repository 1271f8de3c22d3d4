//! A block device for oneself: without udev, which looks at a device whenever somebody has written to
//! it, and without what it has left in the device's cache.
//!
//! The content of files is written past that cache. What udev reads while a file system is mounted is
//! dropped when it is unmounted (`vexfs_put_super`), except what udev is still busy with: a check would
//! find the block's former content. udev locks what it looks at, and leaves alone what is locked
//! (systemd.io/BLOCK_DEVICE_LOCKING).

use std::fs::File;
use std::io;
use std::os::raw::{c_int, c_ulong};
use std::os::unix::io::AsRawFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// flock(2).
const LOCK_EX: c_int = 2;
const LOCK_NB: c_int = 4;
/// linux/fs.h: `_IO(0x12, 97)`, which writes the device's cache to the disk and empties it.
const BLKFLSBUF: c_ulong = 0x1261;

const DEADLINE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

extern "C" {
    fn flock(file: c_int, operation: c_int) -> c_int;
    fn ioctl(file: c_int, request: c_ulong, ...) -> c_int;
}

/// Locks an open block device and empties its cache. The lock ends with the file.
pub fn take(name: &str, file: &File) -> Result<(), Failure> {
    let begin = Instant::now();
    while !lock(file).map_err(|error| Failure::device(name, &error))? {
        if begin.elapsed() > DEADLINE {
            let text = "locked by another program (flock) for 30 s; end it first";
            return Err(Failure::device(name, &text));
        }
        sleep(PAUSE);
    }
    // Only root may; who else can read the device has to take it as the cache has it.
    // SAFETY: the request has no argument.
    unsafe { ioctl(file.as_raw_fd(), BLKFLSBUF) };
    Ok(())
}

/// Returns whether nobody else has it locked.
fn lock(file: &File) -> io::Result<bool> {
    // SAFETY: the descriptor is open.
    if unsafe { flock(file.as_raw_fd(), LOCK_EX | LOCK_NB) } == 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_it_locked_is_waited_for() {
        let path = std::env::temp_dir().join(format!("vexctl-lock-{}", std::process::id()));
        let first = File::create(&path).unwrap();
        let second = File::open(&path).unwrap();
        assert!(lock(&first).unwrap());
        assert!(!lock(&second).unwrap());
        let end = std::thread::spawn(move || {
            sleep(Duration::from_millis(100));
            drop(first);
        });
        let begin = Instant::now();
        take("a file", &second).unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(80));
        end.join().unwrap();
        std::fs::remove_file(&path).unwrap();
    }
}
