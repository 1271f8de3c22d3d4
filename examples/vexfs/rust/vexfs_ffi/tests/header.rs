//! The crate and the kernel's header say the same.

use std::collections::BTreeMap;
use std::mem::size_of;
use std::ptr::addr_of;

use vexfs_ffi::abi::*;

const HEADER: &str = include_str!("../../../kernel/uapi/vexfs.h");

/// Structures of the header by name: name, offset and size of each field.
type Fields = Vec<(String, usize, usize)>;

fn structures() -> BTreeMap<String, Fields> {
    let mut found = BTreeMap::new();
    for part in HEADER.split("\nstruct ").skip(1) {
        let (name, rest) = part.split_once(" {\n").unwrap();
        let (body, _) = rest.split_once("\n};").unwrap();
        let mut fields = Fields::new();
        let mut at = 0;
        for line in body.lines() {
            let (declaration, _) = line.split_once(';').unwrap();
            let mut words = declaration.split_whitespace();
            let size = match words.next().unwrap() {
                "__u32" => 4,
                "__u64" => 8,
                other => panic!("{name}: unknown type {other}"),
            };
            let field = words.next().unwrap();
            assert_eq!(words.next(), None, "{line}");
            let (field, count) = match field.split_once('[') {
                Some((field, count)) => (field, count.trim_end_matches(']').parse().unwrap()),
                None => (field, 1),
            };
            assert_eq!(at % size, 0, "{name}.{field} would follow a gap");
            fields.push((field.to_owned(), at, size * count));
            at += size * count;
        }
        found.insert(name.to_owned(), fields);
    }
    found
}

fn ours(fields: &[(&str, usize, usize)]) -> Fields {
    fields
        .iter()
        .map(|&(name, offset, size)| (name.to_owned(), offset, size))
        .collect()
}

/// The values of `#define NAME VALUE`, but for the requests.
fn defines() -> BTreeMap<&'static str, u64> {
    let mut found = BTreeMap::new();
    for line in HEADER.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("#define") {
            continue;
        }
        let name = words.next().unwrap();
        let rest: Vec<_> = words.take_while(|&word| word != "/*").collect();
        let value = match rest[..] {
            [] => continue,
            ["(1", "<<", shift] => 1 << shift.trim_end_matches(')').parse::<u32>().unwrap(),
            [number] => match number.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16).unwrap(),
                None => number.parse().unwrap(),
            },
            _ if name.starts_with("VEXFS_IOC_") => continue,
            _ => panic!("can't read: {line}"),
        };
        found.insert(name, value);
    }
    found
}

/// Direction, number and structure of each request.
fn requests() -> BTreeMap<&'static str, (u32, u32, &'static str)> {
    let mut found = BTreeMap::new();
    for line in HEADER.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        if let ["#define", name, macro_call, number, "struct", structure] = words[..] {
            let direction = match macro_call.split_once('(').unwrap() {
                ("_IOW", "VEXFS_IOC_MAGIC,") => 1,
                ("_IOR", "VEXFS_IOC_MAGIC,") => 2,
                ("_IOWR", "VEXFS_IOC_MAGIC,") => 3,
                _ => panic!("can't read: {line}"),
            };
            let number = number.trim_end_matches(',').parse().unwrap();
            found.insert(name, (direction, number, structure.trim_end_matches(')')));
        }
    }
    found
}

#[test]
fn constants_are_the_same() {
    let ours = [
        ("VEXFS_MAX_DIMENSION", u64::from(MAX_DIMENSION)),
        ("VEXFS_MAX_VECTORS", MAX_VECTORS),
        ("VEXFS_MAX_INSERT", u64::from(MAX_INSERT)),
        ("VEXFS_MAX_RESULTS", u64::from(MAX_RESULTS)),
        ("VEXFS_MAX_CELLS", u64::from(MAX_CELLS)),
        ("VEXFS_MAX_ITERATIONS", u64::from(MAX_ITERATIONS)),
        ("VEXFS_METRIC_L2", u64::from(METRIC_L2)),
        ("VEXFS_METRIC_COSINE", u64::from(METRIC_COSINE)),
        ("VEXFS_COSINE_ONE", COSINE_ONE),
        ("VEXFS_SEARCH_EXACT", u64::from(SEARCH_EXACT)),
        ("VEXFS_SEARCH_INDEX", u64::from(SEARCH_INDEX)),
        ("VEXFS_IOC_MAGIC", u64::from(IOC_MAGIC)),
    ];
    assert_eq!(defines(), ours.into_iter().collect());
}

#[test]
fn layouts_are_the_same() {
    let mut theirs = structures();
    for (name, fields) in [
        ("vexfs_ioc_create", Create::FIELDS),
        ("vexfs_ioc_info", Info::FIELDS),
        ("vexfs_ioc_insert", Insert::FIELDS),
        ("vexfs_ioc_fetch", Fetch::FIELDS),
        ("vexfs_ioc_delete", Delete::FIELDS),
        ("vexfs_result", SearchResult::FIELDS),
        ("vexfs_ioc_search", Search::FIELDS),
        ("vexfs_ioc_index", Index::FIELDS),
    ] {
        assert_eq!(theirs.remove(name), Some(ours(fields)), "{name}");
    }
    assert!(theirs.is_empty(), "unknown here: {theirs:?}");
}

#[test]
fn requests_are_the_same() {
    let sizes: BTreeMap<_, _> = structures()
        .into_iter()
        .map(|(name, fields)| {
            let last = fields.last().unwrap();
            (name, (last.1 + last.2) as u32)
        })
        .collect();
    let theirs: BTreeMap<_, _> = requests()
        .into_iter()
        .map(|(name, (direction, number, structure))| {
            let value = (direction << 30) | (sizes[structure] << 16) | (IOC_MAGIC << 8) | number;
            (name, value)
        })
        .collect();
    let ours = [
        ("VEXFS_IOC_CREATE", IOC_CREATE),
        ("VEXFS_IOC_INFO", IOC_INFO),
        ("VEXFS_IOC_INSERT", IOC_INSERT),
        ("VEXFS_IOC_FETCH", IOC_FETCH),
        ("VEXFS_IOC_DELETE", IOC_DELETE),
        ("VEXFS_IOC_SEARCH", IOC_SEARCH),
        ("VEXFS_IOC_INDEX", IOC_INDEX),
    ];
    assert_eq!(theirs, ours.into_iter().collect());
}

/// The compiler's own offsets, which the declarations of the crate work out by themselves.
#[test]
fn offsets_are_the_compilers() {
    macro_rules! is_where_it_is_said {
        ($($structure:ident { $($field:ident)* })*) => { $(
            let value = $structure::default();
            let start = addr_of!(value) as usize;
            let offsets = [$((
                stringify!($field),
                addr_of!(value.$field) as usize - start,
                std::mem::size_of_val(&value.$field),
            )),*];
            assert_eq!(offsets, $structure::FIELDS, stringify!($structure));
            let (_, offset, size) = offsets[offsets.len() - 1];
            assert_eq!(size_of::<$structure>(), offset + size, "{}", stringify!($structure));
        )* };
    }
    is_where_it_is_said! {
        Create { dimension metric reserved }
        Info { dimension metric cells reserved ids vectors }
        Insert { components dimension count first reserved }
        Fetch { id components dimension reserved }
        Delete { id reserved }
        SearchResult { id distance }
        Search { query results dimension k method probes found reserved distances }
        Index { cells iterations seed }
    }
}
