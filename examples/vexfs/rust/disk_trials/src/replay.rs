//! Which states a power cut can leave, and making them.

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::log::{Entry, Kind};
use crate::random::Random;

/// A point at which everything before it is on the disk for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Number of entries that lead to it.
    pub entries: usize,
    /// The last mark before it, and those at it.
    pub marks: Vec<String>,
}

/// The states after a flush, and at each mark: it is in the log at once, unlike writes, which get
/// there with the flush that makes them durable.
pub fn states(entries: &[Entry]) -> Vec<State> {
    let mut last = String::new();
    let mut states: Vec<State> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        match (&entry.kind, states.last_mut()) {
            (Kind::Mark(name), Some(state)) if state.entries == index => {
                last.clone_from(name);
                state.entries += 1;
                state.marks.push(name.clone());
                continue;
            }
            (Kind::Mark(name), _) => last.clone_from(name),
            (Kind::Write { durable: true }, _) => {}
            _ => continue,
        }
        states.push(State {
            entries: index + 1,
            marks: vec![last.clone()],
        });
    }
    states
}

/// At most `limit` of the states, evenly spread, with the last one.
pub fn chosen(states: &[State], limit: usize) -> Vec<State> {
    let count = states.len();
    (0..count)
        .filter(|index| count <= limit || (index + 1) * limit / count != index * limit / count)
        .map(|index| states[index].clone())
        .collect()
}

/// Writes that a disk with a cache may have done beyond a state, or not: up to the next flush.
pub fn pending(entries: &[Entry], from: usize) -> &[Entry] {
    let rest = &entries[from..];
    let end = rest.iter().position(Entry::is_durable);
    &rest[..end.unwrap_or(rest.len())]
}

/// About so many quarters of the entries, in their order; the same ones for the same seed.
pub fn some(entries: &[Entry], quarters: usize, seed: u64) -> Vec<Entry> {
    let mut random = Random::new(seed);
    let mut chosen = entries.to_vec();
    chosen.retain(|_| random.below(4) < quarters);
    chosen
}

/// Each write by itself.
pub fn each(entries: &[Entry]) -> Vec<Vec<Entry>> {
    let writes = entries
        .iter()
        .filter(|entry| matches!(entry.kind, Kind::Write { .. }));
    writes.map(|entry| vec![entry.clone()]).collect()
}

/// Does the writes of these entries again.
pub fn apply(
    log: &mut (impl Read + Seek),
    entries: &[Entry],
    image: &mut (impl Write + Seek),
) -> io::Result<()> {
    for entry in entries {
        if !matches!(entry.kind, Kind::Write { .. }) {
            continue;
        }
        let mut data = vec![0; entry.length as usize];
        log.seek(SeekFrom::Start(entry.source))?;
        log.read_exact(&mut data)?;
        image.seek(SeekFrom::Start(entry.target))?;
        image.write_all(&data)?;
    }
    image.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{read, tests::log};
    use std::io::Cursor;

    const FLUSH: u64 = 1;
    const MARK: u64 = 8;

    #[test]
    fn states_are_at_flushes_and_marks() {
        let bytes = log(&[
            (0, 0, &[1; 512]),
            (FLUSH, 0, b""),
            (MARK, 0, b"one"),
            (0, 1, &[2; 512]),
            (FLUSH, 2, &[3; 512]),
            (0, 0, &[4; 512]),
            (MARK, 0, b"two"),
        ]);
        let mut log = Cursor::new(bytes);
        let entries = read(&mut log).unwrap();
        let state = |entries, marks: &[&str]| State {
            entries,
            marks: marks.iter().map(|&mark| mark.to_owned()).collect(),
        };
        assert_eq!(
            states(&entries),
            [
                state(3, &["", "one"]),
                state(5, &["one"]),
                state(7, &["two"])
            ]
        );
        assert_eq!(pending(&entries, 3).len(), 1);
        assert_eq!(pending(&entries, 5).len(), 2);

        let alone = [[entries[4].clone()], [entries[5].clone()]];
        assert_eq!(each(&entries[4..]), alone);

        let mut image = Cursor::new(vec![0; 1536]);
        apply(&mut log, &entries[..3], &mut image).unwrap();
        assert_eq!(image.get_ref()[..513], [vec![1; 512], vec![0]].concat());
        apply(&mut log, &entries[3..], &mut image).unwrap();
        let expected = [[4; 512], [2; 512], [3; 512]].concat();
        assert_eq!(image.into_inner(), expected);
    }

    #[test]
    fn states_are_chosen_evenly() {
        let state = |entries| State {
            entries,
            marks: Vec::new(),
        };
        let all: Vec<_> = (1..=100).map(state).collect();
        let numbers = |limit| -> Vec<usize> {
            let chosen = chosen(&all, limit);
            chosen.iter().map(|state| state.entries).collect()
        };
        assert_eq!(numbers(4), [25, 50, 75, 100]);
        assert_eq!(numbers(100).len(), 100);
        assert_eq!(numbers(1000).len(), 100);
        assert_eq!(numbers(99).len(), 99);
    }

    #[test]
    fn a_choice_depends_on_the_seed_only() {
        let writes = [(0, 0, &[1; 512][..]); 64];
        let entries = read(&mut Cursor::new(log(&writes))).unwrap();
        let chosen = some(&entries, 2, 1);
        assert!((10..54).contains(&chosen.len()), "{}", chosen.len());
        assert_eq!(chosen, some(&entries, 2, 1));
        assert_ne!(chosen, some(&entries, 2, 2));
    }
}
