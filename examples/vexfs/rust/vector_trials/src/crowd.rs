//! Several processes use one collection at once.
//!
//! Writers insert and delete and tell what was acknowledged; meanwhile others search, synchronise and
//! make the index anew. Afterwards what was acknowledged has to be there, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use vexfs_ffi::errno::{EINVAL, ENODATA, ENOENT};
use vexfs_ffi::{Access, Collection, Error, Found, Metric};

use crate::definition::{distance, Point};
use crate::inverted_file::InvertedFile;
use crate::model::Model;
use crate::random::Random;

const DIMENSION: usize = 8;
const SHARED: u64 = 90;
const WRITERS: u64 = 3;
const ROUNDS: u64 = 40;
const ROLES: [&str; 6] = ["write", "write", "write", "search", "search", "index"];

/// That of all writers' vectors which tells whose it is.
fn vector(writer: u64, number: u64) -> Vec<i16> {
    let mut random = Random::new((writer << 32) | number);
    random.vector(DIMENSION)
}

pub fn run(path: &Path, metric: Metric, seed: u64) -> Result<(), Error> {
    let mut model = Model::create(path, DIMENSION, metric)?;
    let shared: Vec<_> = (0..SHARED).map(|number| vector(WRITERS, number)).collect();
    model.insert(&shared)?;
    model.collection.build_index(8, 3, seed)?;
    let program = std::env::current_exe().expect("this program");
    let mut members = Vec::new();
    for (number, role) in ROLES.iter().enumerate() {
        let member = Command::new(&program)
            .args(["crowd-member", role, &number.to_string(), &seed.to_string()])
            .arg(path)
            .stdout(Stdio::piped())
            .spawn();
        members.push(member.expect("another process"));
    }
    let said: Vec<String> = members.into_iter().map(end_of).collect();
    check(model, &said)
}

fn end_of(mut member: Child) -> String {
    let mut said = String::new();
    let output = member.stdout.as_mut().expect("a pipe");
    output.read_to_string(&mut said).expect("text");
    let status = member.wait().expect("a process that ends");
    assert!(status.success(), "one of the processes: {status}");
    said
}

/// Puts into the model what the members were told, and compares.
fn check(mut model: Model, said: &[String]) -> Result<(), Error> {
    let mut inserted = BTreeMap::new();
    let mut deleted = Vec::new();
    for (writer, text) in (0..).zip(said) {
        for line in text.lines() {
            let mut words = line.split(' ');
            let kind = words.next();
            let numbers: Vec<u64> = words.map(|word| word.parse().expect("a number")).collect();
            match (kind, &numbers[..]) {
                (Some("inserted"), &[id, number]) => {
                    let other = inserted.insert(id, vector(writer, number));
                    assert_eq!(other, None, "id {id} was given twice");
                }
                (Some("deleted"), &[id]) => deleted.push(id),
                _ => panic!("'{line}'"),
            }
        }
    }
    let ids: Vec<u64> = inserted.keys().copied().collect();
    let expected: Vec<u64> = (SHARED..SHARED + ids.len() as u64).collect();
    assert_eq!(ids, expected, "the ids have gaps");
    model.take(inserted.into_values());
    let shared = deleted.iter().filter(|&&id| id < SHARED).count();
    assert_eq!(shared as u64, SHARED, "vectors that every writer deletes");
    for id in deleted {
        model.take_deletion(id);
    }
    model.check_vectors()?;
    let index = InvertedFile::read(model.collection.path());
    index.check_cells(&model);
    for number in 0..20 {
        let query = vector(WRITERS + 1, number);
        model.search(&query, 10)?;
        index.search(&model, &query, 10, 2)?;
    }
    println!("measure: vectors={} vectors", model.ids());
    Ok(())
}

pub fn member(role: &str, number: u64, seed: u64, path: &Path) -> Result<(), Error> {
    let collection = Collection::open(path, Access::ReadWrite)?;
    let mut random = Random::new(seed + number);
    match role {
        "write" => write(&collection, &mut random, number),
        "search" => search(&collection, &mut random),
        _ => make_index(&collection, &mut random),
    }
}

/// Every writer tries to delete the shared vectors; of each, one succeeds.
fn write(collection: &Collection, random: &mut Random, writer: u64) -> Result<(), Error> {
    let mut own = Vec::new();
    let mut next = 0;
    for round in 0..ROUNDS {
        let count = 1 + random.below(20) as u64;
        let numbers = next..next + count;
        let vectors: Vec<_> = numbers
            .clone()
            .map(|number| vector(writer, number))
            .collect();
        next += count;
        for (id, number) in collection.insert(&vectors.concat())?.zip(numbers) {
            println!("inserted {id} {number}");
            own.push(id);
        }
        let newest = own[own.len() - 1];
        let found = collection.search_exact(&vectors[vectors.len() - 1], 1)?;
        assert_eq!(found.neighbours[0].id, newest, "what was just inserted");
        let id = own.swap_remove(random.below(own.len()));
        collection.delete(id)?;
        println!("deleted {id}");
        for id in SHARED * round / ROUNDS..SHARED * (round + 1) / ROUNDS {
            match collection.delete(id) {
                Ok(()) => println!("deleted {id}"),
                Err(error) => assert_eq!(error.errno(), ENOENT, "{error}"),
            }
        }
    }
    Ok(())
}

fn search(collection: &Collection, random: &mut Random) -> Result<(), Error> {
    for round in 0..3 * ROUNDS {
        let query = random.vector(DIMENSION);
        look_at(collection, &query, &collection.search_exact(&query, 10)?)?;
        match collection.search_index(&query, 10, 2) {
            Ok(found) => look_at(collection, &query, &found)?,
            Err(error) => {
                let is_gone = [ENODATA, EINVAL].contains(&error.errno());
                assert!(is_gone, "{error}");
            }
        }
        if round % 20 == 0 {
            collection.sync()?;
            fs::read(collection.path()).expect("the file");
        }
    }
    Ok(())
}

/// In order, each once, and as near as it is said to be, unless it is deleted by now.
fn look_at(collection: &Collection, query: &[i16], found: &Found) -> Result<(), Error> {
    let is_sorted =
        |two: &[vexfs_ffi::Neighbour]| (two[0].distance, two[0].id) < (two[1].distance, two[1].id);
    assert!(found.neighbours.windows(2).all(is_sorted), "{found:?}");
    let query = Point::new(query.to_vec());
    for one in &found.neighbours {
        match collection.fetch(one.id) {
            Ok(components) => {
                let expected = distance(collection.metric(), &query, &Point::new(components));
                assert_eq!(one.distance, expected, "distance of vector {}", one.id);
            }
            Err(error) => assert_eq!(error.errno(), ENOENT, "{error}"),
        }
    }
    Ok(())
}

/// The last thing that is done with the index is to make it.
fn make_index(collection: &Collection, random: &mut Random) -> Result<(), Error> {
    for _ in 0..8 {
        if random.below(3) == 0 {
            collection.remove_index()?;
        }
        collection.build_index(2 + random.below(7) as u32, 3, random.word())?;
    }
    Ok(())
}
