//! What has to be there after a power cut.

use std::fs;
use std::path::Path;

/// One line of a file of promises: words with blanks between, names relative to the mount point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Promise {
    /// `file NAME COPY`: a file with the content that COPY has.
    File {
        names: Vec<String>,
        copies: Vec<String>,
    },
    /// `link NAME TARGET`: a symbolic link.
    Link { name: String, target: String },
    /// `directory NAME`
    Directory { name: String },
    /// `nothing NAME`: no such name.
    Nothing { name: String },
}

/// `either NAME OTHER COPY` is a file that has one of two names, `replaced NAME COPY OTHER` one with one
/// of two contents.
pub fn parse(text: &str) -> Result<Vec<Promise>, String> {
    text.lines()
        .map(|line| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            match words.as_slice() {
                [kind, name, copy] if kind == "file" => Ok(Promise::File {
                    names: vec![name.clone()],
                    copies: vec![copy.clone()],
                }),
                [kind, name, other, copy] if kind == "either" => Ok(Promise::File {
                    names: vec![name.clone(), other.clone()],
                    copies: vec![copy.clone()],
                }),
                [kind, name, copy, other] if kind == "replaced" => Ok(Promise::File {
                    names: vec![name.clone()],
                    copies: vec![copy.clone(), other.clone()],
                }),
                [kind, name, target] if kind == "link" => Ok(Promise::Link {
                    name: name.clone(),
                    target: target.clone(),
                }),
                [kind, name] if kind == "directory" => {
                    Ok(Promise::Directory { name: name.clone() })
                }
                [kind, name] if kind == "nothing" => Ok(Promise::Nothing { name: name.clone() }),
                _ => Err(format!("malformed promise: {line}")),
            }
        })
        .collect()
}

impl Promise {
    /// What is wrong with it below `root`, if anything.
    pub fn broken(&self, root: &Path) -> Option<String> {
        match self {
            Self::File { names, copies } => {
                let mut faults = Vec::new();
                for name in names {
                    for copy in copies {
                        faults.push(unlike(root, name, copy)?);
                    }
                }
                Some(faults.join("; "))
            }
            Self::Link { name, target } => match fs::read_link(root.join(name)) {
                Ok(found) if found == Path::new(target) => None,
                Ok(found) => Some(format!("{name}: points to {}", found.display())),
                Err(error) => Some(format!("{name}: {error}")),
            },
            Self::Directory { name } => match fs::symlink_metadata(root.join(name)) {
                Ok(metadata) if metadata.is_dir() => None,
                Ok(_) => Some(format!("{name}: no directory")),
                Err(error) => Some(format!("{name}: {error}")),
            },
            Self::Nothing { name } => match fs::symlink_metadata(root.join(name)) {
                Ok(_) => Some(format!("{name}: is there again")),
                Err(_) => None,
            },
        }
    }
}

/// How a file differs from a copy, if at all.
fn unlike(root: &Path, name: &str, copy: &str) -> Option<String> {
    let expected = match fs::read(copy) {
        Ok(content) => content,
        Err(error) => return Some(format!("{copy}: {error}")),
    };
    match fs::read(root.join(name)) {
        Ok(content) if content == expected => None,
        Ok(content) => Some(format!("{name}: {}", difference(&expected, &content))),
        Err(error) => Some(format!("{name}: {error}")),
    }
}

fn difference(expected: &[u8], found: &[u8]) -> String {
    let same = expected.iter().zip(found).take_while(|(a, b)| a == b);
    format!(
        "{} bytes for {}, different from byte {} on",
        found.len(),
        expected.len(),
        same.count()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_kept_or_named() {
        let root = std::env::temp_dir().join(format!("promises-{}", std::process::id()));
        fs::create_dir_all(root.join("dir")).unwrap();
        fs::write(root.join("file"), "content").unwrap();
        fs::write(root.join("copy"), "content").unwrap();
        fs::write(root.join("other"), "another").unwrap();
        std::os::unix::fs::symlink("there", root.join("link")).unwrap();
        let copy = root.join("copy");
        let copy = copy.display();
        let other = root.join("other");
        let other = other.display();
        let faults = |text: String| -> Vec<String> {
            let promises = parse(&text).unwrap();
            promises
                .iter()
                .filter_map(|each| each.broken(&root))
                .collect()
        };
        assert!(faults(format!(
            "file file {copy}\neither gone file {copy}\nreplaced file {other} {copy}\n\
             directory dir\nlink link there\nnothing x"
        ))
        .is_empty());
        fs::write(root.join("file"), "confused").unwrap();
        let found = faults(format!(
            "file file {copy}\neither gone file {copy}\nreplaced file {other} {copy}\n\
             link link here\nnothing dir\ndirectory file"
        ));
        assert_eq!(found.len(), 6, "{found:?}");
        assert_eq!(found[0], "file: 8 bytes for 7, different from byte 3 on");
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn malformed_promises_are_refused() {
        for line in [
            "file x",
            "file x y z",
            "either a b",
            "replaced a b",
            "link a",
            "directory",
            "what a",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
