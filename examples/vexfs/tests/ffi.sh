#!/bin/sh
# Collections of vectors, by way of every interface: requests, libraries, vexctl, the kernel's own.
. "$(dirname "$0")/ktap.sh"
. "$(dirname "$0")/vexfs.sh"

ffi=$source_tree/rust/target/ffi
programs=$source_tree/tests/ffi/build
test_module=${module%/*}/vexfs_ffi_test.ko

# functions_in HEADER PREFIX: the names of its functions, sorted, one a line.
functions_in() {
	sed -n "s/^[a-z_ ]*[ *]\\($2[a-z_]*\\)(.*/\\1/p" "$1" | sort
}

# A folder of its own on a fresh file system.
fresh_folder() {
	fresh
	mkdir "$mnt/folder"
}

# run PROGRAM CASE: it must succeed, and leave a file system in order.
run() {
	fresh_folder
	LD_LIBRARY_PATH=$ffi/lib "$programs/$1" "$2" "$mnt/folder"
	unmount_and_check
}

# under_valgrind COMMAND...: it must succeed, without a mistake or a leak.
under_valgrind() {
	valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite,possible \
		"$@"
}

static_library_has_the_functions_of_the_header() {
	functions_in "$ffi/include/vexfs_ffi.h" vexfs_ >"$work/declared"
	[ "$(wc -l <"$work/declared")" -ge 11 ] || fail "the header can't be read"
	nm --defined-only --extern-only --format=posix "$ffi/lib/libvexfs_ffi.a" |
		sed -n 's/^\([^ ]*\) [A-Z] .*/\1/p' | sort >"$work/defined"
	diff "$work/declared" "$work/defined"
}

shared_library_has_the_functions_of_the_header() {
	functions_in "$ffi/include/vexfs_ffi.h" vexfs_ >"$work/declared"
	nm --dynamic --defined-only --format=posix "$ffi/lib/libvexfs_ffi.so" |
		sed -n 's/^\(vexfs_[^ ]*\) T .*/\1/p' | sort >"$work/defined"
	diff "$work/declared" "$work/defined"
}

# A symbol for other modules has an entry of the table __ksymtab.
module_exports_its_interface() {
	functions_in "$source_tree/kernel/vexfs_ffi.h" vexfs_ffi_ >"$work/declared"
	[ "$(wc -l <"$work/declared")" -ge 7 ] || fail "the header can't be read"
	nm --format=posix "$module" | sed -n 's/^__ksymtab_\([^ ]*\) .*/\1/p' | sort >"$work/defined"
	diff "$work/declared" "$work/defined"
	grep '\[vexfs\]$' /proc/kallsyms | cut -d ' ' -f 3 | cut -f 1 >"$work/loaded"
	while read -r name; do
		for symbol in "$name" "__ksymtab_$name"; do
			grep -qx "$symbol" "$work/loaded" || fail "not in /proc/kallsyms: $symbol"
		done
	done <"$work/declared"
}

request_create() { run requests create; }
request_info() { run requests info; }
request_insert() { run requests insert; }
request_fetch() { run requests fetch; }
request_delete() { run requests delete; }
request_search() { run requests search; }
request_search_index() { run requests search-index; }
request_index() { run requests index; }
bad_pointers() { run requests bad-pointers; }
kernel_memory() { run requests kernel-memory; }
half_pointers() { run requests half-pointers; }
reserved_fields() { run requests reserved-fields; }
wrong_numbers() { run requests wrong-numbers; }
not_open_for_writing() { run requests not-open-for-writing; }
no_collection() { run requests no-collection; }
other_changes() { run requests other-changes; }

static_library() {
	run library life
	run library errors
}

distances_are_the_same() {
	run library distances
}

shared_library() {
	run library-shared all
}

rust_program() {
	fresh_folder
	"$ffi/examples/collection" "$mnt/folder"
	unmount_and_check
}

read_only_mount_refuses() {
	fresh
	"$vexctl" create --dimension 2 "$mnt/c"
	echo 1 2 | "$vexctl" insert "$mnt/c"
	umount "$mnt"
	mount -t vexfs -o ro "$disk" "$mnt"
	expect "vector 0" "1 2" "$("$vexctl" fetch "$mnt/c" 0)"
	refuses "$vexctl" delete "$mnt/c" 0
	grep -q 'Read-only file system' "$work/refusal"
	umount "$mnt"
}

library_under_valgrind() {
	fresh_folder
	under_valgrind "$programs/library" all "$mnt/folder"
	unmount_and_check
}

library_under_sanitizers() {
	run library-asan all
}

vexctl_works_with_a_collection() {
	fresh
	"$vexctl" create --dimension 3 --metric cosine "$mnt/c" | grep -q 'dimension 3, metric cosine$'
	awk 'BEGIN { for (i = 0; i < 2000; i++) print i % 97, -(i % 89) ",", i % 83 + 1 }' >"$work/vectors"
	"$vexctl" insert "$mnt/c" "$work/vectors" >"$work/message"
	grep -q ': 2000 inserted, ids 0 to 1999$' "$work/message"
	printf '\n7,8,9\n' | "$vexctl" insert "$mnt/c" | grep -q ': 1 inserted, ids 2000$'
	expect "vectors 0 and 1999" "0 0 1
59 -41 8" "$("$vexctl" fetch "$mnt/c" 0 1999)"
	"$vexctl" search -k 1 "$mnt/c" 14,16,18 >"$work/found"
	printf '2000\t0\n# 2001 distances\n' | diff - "$work/found"
	"$vexctl" index "$mnt/c" --cells 30 | grep -q 'an index of 30 cells for 2001 vectors$'
	"$vexctl" search -k 1 --probes 3 "$mnt/c" '7 8 9' | head -n 1 | grep -q '^2000	0$'
	"$vexctl" delete "$mnt/c" 2000 5
	refuses "$vexctl" fetch "$mnt/c" 2000
	grep -q 'fetch vector 2000: there is none with this id, or no more' "$work/refusal"
	remount
	"$vexctl" stat "$mnt/c" >"$work/stat"
	for line in 'dimension: *3' 'metric: *cosine' 'vectors: *1999' 'ids given: *2001' 'index: *30 cells'; do
		grep -qx "$line" "$work/stat" || fail "vexctl stat: no line '$line'"
	done
	"$vexctl" index --remove "$mnt/c"
	refuses "$vexctl" search --probes 3 "$mnt/c" '7 8 9'
	grep -q 'there is no index' "$work/refusal"
	unmount_and_check
}

# The lines of earlier groups are in; the message tells the line and what is allowed.
vexctl_names_a_wrong_line() {
	fresh
	"$vexctl" create --dimension 2 "$mnt/c"
	{
		yes "1 2" | head -n 1030
		echo "3 40000"
	} >"$work/vectors"
	refuses "$vexctl" insert "$mnt/c" "$work/vectors"
	grep -q "vectors:1031: component 2 is '40000'; allowed: integers from -32768 to 32767" "$work/refusal"
	grep -q ': 1024 inserted, ids 0 to 1023$' "$work/refusal"
	"$vexctl" stat "$mnt/c" | grep -qx 'vectors: *1024'
	refuses "$vexctl" search "$mnt/c" 1,2,3
	grep -q "vector '1,2,3': 3 components; allowed: 2" "$work/refusal"
	unmount_and_check
}

# A file system for vexctl under valgrind, which is slow: with a collection and its index.
fresh_collection() {
	fresh --blocks 600 --inodes 16
	"$vexctl" create --dimension 3 "$mnt/c"
	yes "1 2 3" | head -n 50 | "$vexctl" insert "$mnt/c"
	"$vexctl" index --cells 2 "$mnt/c"
	# Without debug information, which takes valgrind seconds to read.
	objcopy --strip-debug "$vexctl" "$work/vexctl"
}

# Side by side, since most of it is valgrind's own start: with what the other does they have nothing to do.
vexctl_changes_under_valgrind() {
	fresh_collection
	yes "1 2 3" | head -n 50 >"$work/vectors"
	under_valgrind "$work/vexctl" create --dimension 3 "$mnt/d" &
	under_valgrind "$work/vexctl" insert "$mnt/c" "$work/vectors"
	wait $!
	unmount_and_check
}

vexctl_searches_under_valgrind() {
	fresh_collection
	"$vexctl" create --dimension 3 "$mnt/d"
	yes "1 2 3" | head -n 50 | "$vexctl" insert "$mnt/d"
	under_valgrind "$work/vexctl" index "$mnt/d" --cells 3 &
	under_valgrind "$work/vexctl" search --probes 1 "$mnt/c" 1,2,3
	wait $!
	unmount_and_check
}

vexctl_checks_under_valgrind() {
	fresh_collection
	components=$(place_of "$mnt/c" 3)
	umount "$mnt"
	dd if="$disk" of="$work/image" bs=4096 count=600 iflag=direct status=none
	printf X | dd of="$work/image" bs=1 seek=$((components * 4096 + 1)) conv=notrunc status=none
	mount -t vexfs "$disk" "$mnt"
	under_valgrind "$work/vexctl" stat "$mnt/c" &
	under_valgrind "$work/vexctl" check --repair "$work/image"
	wait $!
	"$vexctl" check "$work/image"
	unmount_and_check
}

# place_of FILE INDEX: the block of the disk that holds a block of the file (FIBMAP of linux/fs.h).
place_of() {
	python3 - "$1" "$2" <<-PROGRAM
		import fcntl, struct, sys
		with open(sys.argv[1]) as file:
		    place = fcntl.ioctl(file, 1, struct.pack("i", int(sys.argv[2])))
		print(*struct.unpack("i", place))
	PROGRAM
}

# A vector that was written in part is what a power cut leaves of one that was not synced.
check_repairs_a_collection() {
	fresh --blocks 600
	"$vexctl" create --dimension 8 "$mnt/c"
	yes "1 2 3 4 5 6 7 8" | head -n 20 | "$vexctl" insert "$mnt/c"
	"$vexctl" index --cells 3 "$mnt/c"
	centroids=$(place_of "$mnt/c" 1)
	components=$(place_of "$mnt/c" 3)
	umount "$mnt"
	poke "$centroids" 3 X
	poke "$components" 17 X
	mount -t vexfs "$disk" "$mnt"
	refuses "$vexctl" search "$mnt/c" 1,2,3,4,5,6,7,8
	grep 'damaged on the disk: unmount it and run vexctl check' "$work/refusal"
	umount "$mnt"
	refuses "$vexctl" check "$disk"
	grep 'vector 1: wrong checksum of the components; a repair deletes it' "$work/refusal"
	grep 'index: wrong checksum of the centroids; a repair removes it' "$work/refusal"
	"$vexctl" check --repair "$disk"
	mount -t vexfs "$disk" "$mnt"
	"$vexctl" stat "$mnt/c" | grep 'vectors: *19$'
	refuses "$vexctl" fetch "$mnt/c" 1
	"$vexctl" fetch "$mnt/c" 0 2 19
	echo 8 7 6 5 4 3 2 1 | "$vexctl" insert "$mnt/c" | grep 'ids 20$'
	"$vexctl" index --cells 3 "$mnt/c"
	unmount_and_check
}

test_module_is_loaded() {
	grep -q '^vexfs_ffi_test ' /proc/modules
}

kernel_module_uses_the_interface() {
	fresh
	insmod "$test_module" "path=$mnt/c"
	read_kernel_log
	grep 'vexfs_ffi_test: ' "$work/log"
	! grep -q 'vexfs_ffi_test: not ok' "$work/log" || fail "a check has failed"
	grep -Eq 'vexfs_ffi_test: ([0-9]+) of \1 passed' "$work/log" || fail "not all have passed"
	refuses rmmod vexfs
	rmmod vexfs_ffi_test
	"$vexctl" stat "$mnt/c" | grep -q '^vectors: *[1-9]'
	unmount_and_check
}

kernel_module_refuses_other_files() {
	fresh
	echo text >"$mnt/file"
	for path in "$mnt/file" "$mnt/no/such/folder" "$mnt"; do
		refuses insmod "$test_module" "path=$path"
		! test_module_is_loaded || fail "loaded with path=$path"
	done
	refuses insmod "$test_module"
	! test_module_is_loaded || fail "loaded without a path"
	expect "content of the file" text "$(cat "$mnt/file")"
	unmount_and_check
}

clean_up() {
	! test_module_is_loaded || rmmod vexfs_ffi_test
	(cd "$work" && rm -f declared defined loaded vectors found stat message vexctl image)
	leave_file_system
}

ktap_case "the static library has the functions of its header and no others" static_library_has_the_functions_of_the_header
ktap_case "the shared library has the functions of its header" shared_library_has_the_functions_of_the_header
ktap_case "the module exports the functions of vexfs_ffi.h and no others" module_exports_its_interface
ktap_case "struct vexfs_ioc_create: round trip of VEXFS_IOC_CREATE" request_create
ktap_case "struct vexfs_ioc_info: round trip of VEXFS_IOC_INFO" request_info
ktap_case "struct vexfs_ioc_insert: round trip of VEXFS_IOC_INSERT" request_insert
ktap_case "struct vexfs_ioc_fetch: round trip of VEXFS_IOC_FETCH" request_fetch
ktap_case "struct vexfs_ioc_delete: round trip of VEXFS_IOC_DELETE" request_delete
ktap_case "struct vexfs_ioc_search and vexfs_result: round trip of VEXFS_IOC_SEARCH, exact" request_search
ktap_case "struct vexfs_ioc_search and vexfs_result: round trip of VEXFS_IOC_SEARCH, by the index" request_search_index
ktap_case "struct vexfs_ioc_index: round trip of VEXFS_IOC_INDEX" request_index
ktap_case "pointers that lead nowhere are refused" bad_pointers
ktap_case "the kernel's own memory is refused" kernel_memory
ktap_case "memory that ends or can't be written to is refused" half_pointers
ktap_case "reserved fields in use are refused" reserved_fields
ktap_case "numbers out of their range and other dimensions are refused" wrong_numbers
ktap_case "changes are refused on a file that is not open for writing" not_open_for_writing
ktap_case "requests are refused on what is no collection" no_collection
ktap_case "a collection is changed by requests only" other_changes
ktap_case "changes are refused on a read-only mount" read_only_mount_refuses
ktap_case "a C program uses the static library" static_library
ktap_case "distances of the library and the kernel are the same integers" distances_are_the_same
ktap_case "a C program uses the shared library" shared_library
ktap_case "a Rust program uses the library" rust_program
ktap_case "vexctl creates, fills, searches and shows a collection" vexctl_works_with_a_collection
ktap_case "vexctl names a wrong line and what is inserted" vexctl_names_a_wrong_line
ktap_case "vexctl check repairs a collection" check_repairs_a_collection
ktap_case "the library makes no mistake under valgrind" library_under_valgrind slow
ktap_case "the library makes no mistake under the sanitizers" library_under_sanitizers
ktap_case "vexctl changes a collection without a mistake under valgrind" vexctl_changes_under_valgrind slow
ktap_case "vexctl searches one without a mistake under valgrind" vexctl_searches_under_valgrind slow
ktap_case "vexctl checks and repairs one without a mistake under valgrind" vexctl_checks_under_valgrind slow
ktap_case "another kernel module uses the interface" kernel_module_uses_the_interface
ktap_case "that module does not load with another file" kernel_module_refuses_other_files
ktap_before_each mark_kernel_log
ktap_after_each clean_up
ktap_run
