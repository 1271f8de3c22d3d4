//! The C header and both libraries, seen by a C compiler: the same functions with the same types,
//! the kernel's structures where this crate has them, and a program that uses them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use vexfs_ffi::abi;

const SOURCE: &str = include_str!("../src/c.rs");
const HEADER: &str = include_str!("../include/vexfs_ffi.h");

fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where cargo has put the libraries: beside this test.
fn library_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.parent().unwrap().to_owned()
}

fn shown(output: &Output) -> String {
    format!(
        "{:?}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vexfs_ffi-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn compile(arguments: &[&str]) {
    let output = Command::new("cc")
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g"])
        .arg("-I")
        .arg(crate_folder().join("include"))
        .arg("-I")
        .arg(crate_folder().join("../../kernel/uapi"))
        .args(arguments)
        .output()
        .expect("cc, the C compiler, is needed");
    assert!(output.status.success(), "{}", shown(&output));
}

fn c_type(kind: &str) -> &'static str {
    match kind {
        "c_int" => "int",
        "u32" => "__u32",
        "u64" => "__u64",
        "*const c_char" => "const char *",
        "*const i16" => "const __s16 *",
        "*mut i16" => "__s16 *",
        "*mut u64" => "__u64 *",
        "*mut abi::Info" => "struct vexfs_ioc_info *",
        "*mut abi::SearchResult" => "struct vexfs_result *",
        other => panic!("type {other} has no counterpart in C yet"),
    }
}

/// The C type of each exported function, as the Rust source has it: result and arguments.
fn functions() -> BTreeMap<&'static str, (&'static str, Vec<&'static str>)> {
    let mut found = BTreeMap::new();
    for part in SOURCE.split("#[no_mangle]\n").skip(1) {
        let (_, part) = part.split_once("extern \"C\" fn ").unwrap();
        let (name, part) = part.split_once('(').unwrap();
        let (arguments, part) = part.split_once(')').unwrap();
        let (result, _) = part.strip_prefix(" -> ").unwrap().split_once(" {").unwrap();
        let arguments = arguments
            .split(',')
            .filter_map(|argument| argument.trim().split_once(": "))
            .map(|(_, kind)| c_type(kind))
            .collect();
        found.insert(name, (c_type(result), arguments));
    }
    found
}

#[test]
fn header_declares_each_function_with_its_types() {
    let functions = functions();
    let declared = HEADER
        .lines()
        .filter(|line| line.starts_with("int vexfs_") || line.starts_with("const char *vexfs_"))
        .count();
    assert_eq!(declared, functions.len(), "functions in the header");

    let mut program = "#include <stddef.h>\n#include \"vexfs_ffi.h\"\n".to_owned();
    for (name, (result, arguments)) in &functions {
        let arguments = arguments.join(", ");
        let _ = writeln!(
            program,
            "_Static_assert(__builtin_types_compatible_p(__typeof__({name}), \
             {result}({arguments})), \"{name}\");"
        );
    }
    let folder = Folder::new("types");
    let source = folder.0.join("types.c");
    fs::write(&source, program).unwrap();
    compile(&["-fsyntax-only", source.to_str().unwrap()]);
}

#[test]
fn structures_and_requests_are_the_c_compilers() {
    let mut program = "#include <stddef.h>\n#include \"vexfs.h\"\n".to_owned();
    for (name, fields) in [
        ("vexfs_ioc_create", abi::Create::FIELDS),
        ("vexfs_ioc_info", abi::Info::FIELDS),
        ("vexfs_ioc_insert", abi::Insert::FIELDS),
        ("vexfs_ioc_fetch", abi::Fetch::FIELDS),
        ("vexfs_ioc_delete", abi::Delete::FIELDS),
        ("vexfs_result", abi::SearchResult::FIELDS),
        ("vexfs_ioc_search", abi::Search::FIELDS),
        ("vexfs_ioc_index", abi::Index::FIELDS),
    ] {
        for (field, offset, size) in fields {
            let _ = writeln!(
                program,
                "_Static_assert(offsetof(struct {name}, {field}) == {offset} && \
                 sizeof(((struct {name} *)0)->{field}) == {size}, \"{name}.{field}\");"
            );
        }
        let (_, offset, size) = fields[fields.len() - 1];
        let _ = writeln!(
            program,
            "_Static_assert(sizeof(struct {name}) == {}, \"{name}\");",
            offset + size
        );
    }
    for (name, number) in [
        ("CREATE", abi::IOC_CREATE),
        ("INFO", abi::IOC_INFO),
        ("INSERT", abi::IOC_INSERT),
        ("FETCH", abi::IOC_FETCH),
        ("DELETE", abi::IOC_DELETE),
        ("SEARCH", abi::IOC_SEARCH),
        ("INDEX", abi::IOC_INDEX),
    ] {
        let _ = writeln!(
            program,
            "_Static_assert(VEXFS_IOC_{name} == {number}u, \"{name}\");"
        );
    }
    let folder = Folder::new("layout");
    let source = folder.0.join("layout.c");
    fs::write(&source, program).unwrap();
    compile(&["-fsyntax-only", source.to_str().unwrap()]);
}

/// Compiles `tests/without_kernel.c` with these arguments of the linker and runs it.
fn use_library(name: &str, linking: &[&str]) {
    let folder = Folder::new(name);
    let program = folder.0.join("program");
    let source = crate_folder().join("tests/without_kernel.c");
    let mut arguments = vec![source.to_str().unwrap(), "-o", program.to_str().unwrap()];
    arguments.extend_from_slice(linking);
    compile(&arguments);
    let output = Command::new(&program)
        .arg(folder.0.join("plain"))
        .env("LD_LIBRARY_PATH", library_folder())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", shown(&output));
}

#[test]
fn c_program_uses_the_static_library() {
    let library = library_folder().join("libvexfs_ffi.a");
    let system = ["-lpthread", "-ldl", "-lm", "-lgcc_s"];
    use_library(
        "static",
        &[&[library.to_str().unwrap()], &system[..]].concat(),
    );
}

#[test]
fn c_program_uses_the_shared_library() {
    let folder = library_folder();
    use_library("shared", &["-L", folder.to_str().unwrap(), "-lvexfs_ffi"]);
}

#[test]
fn shared_library_exports_its_functions_and_nothing_else() {
    let output = Command::new("nm")
        .args(["--dynamic", "--defined-only", "--format=posix"])
        .arg(library_folder().join("libvexfs_ffi.so"))
        .output()
        .expect("nm is needed");
    assert!(output.status.success(), "{}", shown(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let exported: Vec<_> = text
        .lines()
        .filter_map(|line| line.split(' ').next())
        // A mark of the compiler's own.
        .filter(|name| !name.starts_with("rust_eh_personality"))
        .collect();
    assert_eq!(exported, functions().into_keys().collect::<Vec<_>>());
}
