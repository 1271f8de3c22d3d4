//! replay_log: what a power cut would leave of a file system, from a log of dm-log-writes.

use std::process::ExitCode;

use disk_trials::survey::Survey;

const HELP: &str = "\
replay_log: what a power cut would leave of a file system, from a log of dm-log-writes

Usage:
  replay_log LOG IMAGE STATE DEVICE MOUNT-POINT PROMISES VEXCTL LIMIT [singly]

Makes each state of the LOG that a power cut can have left, in the file STATE: after each flush and
at each mark, and then with some of the writes that follow it, before the next flush. At most LIMIT
of them are tried, evenly spread; singly: also with each of the writes that follow by itself.

VEXCTL has to repair a state, then it is mounted and has to have what the files of promises say:
PROMISES.M after the mark M of the log, PROMISES. before the first. DEVICE is a loop device over
STATE. IMAGE is what was there before the first write, and gets the last state.

Exit status: 0 all was there; 1 it was not, or this could not be found out; 2 wrong usage.
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words == ["--help"] {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let survey = match words.as_slice() {
        [log, image, state, device, mount_point, promises, vexctl, limit, more @ ..]
            if more.is_empty() || more == ["singly"] =>
        {
            limit.parse().ok().map(|limit| Survey {
                log: log.into(),
                image: image.into(),
                state: state.into(),
                device: device.into(),
                mount_point: mount_point.into(),
                promises: promises.clone(),
                vexctl: vexctl.into(),
                limit,
                singly: !more.is_empty(),
            })
        }
        _ => None,
    };
    let survey = match survey {
        Some(survey) => survey,
        None => {
            eprintln!("replay_log: wrong usage\nTry: replay_log --help");
            return ExitCode::from(2);
        }
    };
    match survey.run() {
        Ok(tried) => {
            println!("{tried}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::from(1)
        }
    }
}
