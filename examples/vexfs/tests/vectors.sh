#!/bin/sh
# Collections of vectors: what searches find, what is there afterwards, and what damage does.
#
# rust/vector_trials has the trials. Random ones follow from a seed, which is told: with VECTORS_SEED
# set to it the same happens again.
. "$(dirname "$0")/ktap.sh"
. "$(dirname "$0")/vexfs.sh"

seed=${VECTORS_SEED:-$(date +%s)}

# trial TRIAL ARGUMENT...: it must succeed; what it measured becomes part of the results.
trial() {
	"$source_tree/rust/target/release/vector_trials" "$@" >"$work/measured"
	while IFS=' =' read -r _ name value unit; do
		ktap_measure "$name" "$value" "$unit"
	done <"$work/measured"
}

# Large enough for all of it, and quickly made and checked.
small() {
	fresh --blocks 2000 --inodes 32
}

# try TRIAL ARGUMENT...: with a path on a fresh file system, which must be in order afterwards.
try() {
	small
	mkdir "$mnt/folder"
	trial "$@" "$mnt/folder"
	unmount_and_check
}

try_file() {
	small
	trial "$@" "$mnt/c"
	unmount_and_check
}

exact_l2() { try exact l2 "$seed"; }
exact_cosine() { try exact cosine "$seed"; }
recall_l2() { try_file recall l2 clustered; }
recall_cosine() { try_file recall cosine clustered; }
recall_uniform() { try_file recall l2 uniform; }
insertions() { try edge insertions "$seed"; }
more_than_there_are() { try edge more-than-there-are "$seed"; }
most_results() { try edge most-results "$seed"; }
empty_collection() { try edge empty-collection "$seed"; }
zero_vectors() { try edge zero-vectors "$seed"; }
duplicates() { try edge duplicates "$seed"; }
other_dimensions() { try edge other-dimensions "$seed"; }
deleted_vectors() { try edge deleted-vectors "$seed"; }
probes() { try edge probes "$seed"; }
cells() { try edge cells "$seed"; }
insertion_into_cells() { try edge insertion-into-cells "$seed"; }
index_made_anew() { try edge index-made-anew "$seed"; }
described_index() { try edge described-index "$seed"; }
crowd_l2() { try_file crowd l2 "$seed"; }
crowd_cosine() { try_file crowd cosine "$seed"; }

# The same once more in another language, by way of vexctl.
python_agrees() {
	small
	for metric in l2 cosine; do
		for dimension in 2 100; do
			name=$metric-$dimension
			mkdir "$work/$name"
			python3 "$source_tree/tests/definition.py" "$metric" "$dimension" "$work/$name"
			"$vexctl" create --dimension "$dimension" --metric "$metric" "$mnt/$name"
			"$vexctl" insert "$mnt/$name" "$work/$name/vectors"
			number=0
			while read -r query; do
				"$vexctl" search -k 5 "$mnt/$name" "$query" </dev/null >"$work/found"
				diff "$work/$name/found.$number" "$work/found"
				number=$((number + 1))
			done <"$work/$name/queries"
		done
	done
	unmount_and_check
}

show_all() {
	for metric in l2 cosine; do
		"$source_tree/rust/target/release/vector_trials" show "$seed" "$mnt/$metric"
	done
}

make_all() {
	small
	for metric in l2 cosine; do
		trial make "$metric" "$mnt/$metric"
	done
	show_all >"$work/before"
	grep -q '^index, [0-9]* distances: [0-9]*=' "$work/before"
}

same_after_a_remount() {
	make_all
	unmount_and_check
	mount -t vexfs "$disk" "$mnt"
	show_all | diff "$work/before" -
	# Once more, with what they have in memory now gone on.
	for metric in l2 cosine; do
		echo "1 2 3 4 5 6" | "$vexctl" insert "$mnt/$metric"
		"$vexctl" delete "$mnt/$metric" 1
	done
	show_all >"$work/before"
	unmount_and_check
	mount -t vexfs "$disk" "$mnt"
	show_all | diff "$work/before" -
	umount "$mnt"
}

# pages_of FILE: how many of its pages are in memory, by mincore(2); fincore(1) is in a package of its own
# since Debian 13.
pages_of() {
	python3 - "$1" <<-'PYTHON'
		import ctypes, mmap, os, sys
		size = os.path.getsize(sys.argv[1])
		with open(sys.argv[1], "rb") as file:
		    mapping = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
		start = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
		pages = ctypes.create_string_buffer(-(-size // mmap.PAGESIZE))
		libc = ctypes.CDLL(None, use_errno=True)
		if libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(size), pages) != 0:
		    sys.exit(os.strerror(ctypes.get_errno()))
		print(sum(page & 1 for page in pages.raw))
	PYTHON
}

# The content leaves the page cache, for nobody has kept a page of it; then the inode leaves memory.
same_after_leaving_memory() {
	make_all
	exec 3<"$mnt/l2"
	for _ in 1 2 3; do
		echo 1 >/proc/sys/vm/drop_caches
		[ "$(pages_of "$mnt/l2")" -gt 0 ] || break
	done
	expect "pages in memory" 0 "$(pages_of "$mnt/l2")"
	exec 3<&-
	show_all | diff "$work/before" -
	echo 3 >/proc/sys/vm/drop_caches
	show_all | diff "$work/before" -
	unmount_and_check
}

same_after_the_module_is_loaded_anew() {
	make_all
	umount "$mnt"
	rmmod vexfs
	insmod "$module"
	mount -t vexfs "$disk" "$mnt"
	show_all | diff "$work/before" -
	unmount_and_check
}

# All or none of it: what an insertion has taken before the disk was full is given back.
insertion_on_a_full_disk() {
	small
	"$vexctl" create --dimension 1024 "$mnt/c"
	# As many as are in a group, so that the second insertion needs another one.
	awk 'BEGIN { for (i = 0; i < 256; i++) { for (j = 0; j < 1024; j++) printf "%d ", i; print "" } }' \
		>"$work/vectors"
	"$vexctl" insert "$mnt/c" "$work/vectors"
	refuses dd if=/dev/zero of="$mnt/filler" bs=64k
	truncate -s -80K "$mnt/filler"
	sync -f "$mnt"
	blocks=$(free_blocks)
	size=$(stat -c %s "$mnt/c")
	refuses "$vexctl" insert "$mnt/c" "$work/vectors"
	grep -q 'No space left' "$work/refusal"
	expect "size after the refusal" "$size" "$(stat -c %s "$mnt/c")"
	expect "free blocks after the refusal" "$blocks" "$(free_blocks)"
	rm "$mnt/filler"
	"$vexctl" insert "$mnt/c" "$work/vectors" | grep 'ids 256 to 511$'
	unmount_and_check
}

damage() {
	trial damage "$disk" "$mnt" "$vexctl"
	# The first of them; the kernel limits how many messages there are in a time.
	kernel_says "inode 2, collection: wrong magic"
}

random_damage() {
	trial fuzz "$seed" "$disk" "$mnt" "$vexctl"
}

clean_up() {
	(cd "$work" && rm -rf l2-* cosine-* measured found before vectors)
	grep -q '^vexfs ' /proc/modules || insmod "$module"
	leave_file_system
}

echo "# VECTORS_SEED=$seed"
ktap_case "what is inserted in requests of any size is what is fetched" insertions
ktap_case "exact search by L2 equals brute force in 1500 random cases" exact_l2
ktap_case "exact search by the cosine equals brute force in 1500 random cases" exact_cosine
ktap_case "exact search finds what python's exact integers say" python_agrees
ktap_case "the index by L2 finds 9 of 10 in clusters with a fifth of the distances" recall_l2
ktap_case "the index by the cosine finds 9 of 10 in clusters with a fifth of the distances" recall_cosine
ktap_case "the index finds the nearest in the cells that it probes, of uniform vectors" recall_uniform
ktap_case "a search for more than there are finds all" more_than_there_are
ktap_case "a search finds as many as allowed and refuses more" most_results
ktap_case "vectors inserted after the index are in their cells and found" insertion_into_cells
ktap_case "deleted vectors are never found again" deleted_vectors
ktap_case "nothing is found in an empty collection, nor an index made of it" empty_collection
ktap_case "vectors of zeros are found and indexed" zero_vectors
ktap_case "of equal vectors the smaller ids come first" duplicates
ktap_case "vectors of another dimension are refused" other_dimensions
ktap_case "an index is searched with one probe to as many as cells, and no more" probes
ktap_case "an index has no more cells than vectors" cells
ktap_case "an index removed and made anew is the same with the same seed" index_made_anew
ktap_case "the index is the one that the documentation describes" described_index
ktap_case "vectors, deletions and index are the same after a remount" same_after_a_remount
ktap_case "vectors, deletions and index are the same after leaving memory" same_after_leaving_memory
ktap_case "vectors, deletions and index are the same after loading the module anew" same_after_the_module_is_loaded_anew
ktap_case "an insertion that finds the disk full changes nothing" insertion_on_a_full_disk
ktap_case "damage to a collection is an error, whether or not the checksums are right" damage
ktap_case "random damage is an error or harmless, and never a wrong answer" random_damage
ktap_case "several processes change a collection at once, and what was acknowledged is there" crowd_l2
ktap_case "several processes change one with the cosine at once, and what was acknowledged is there" crowd_cosine
ktap_before_each mark_kernel_log
ktap_after_each clean_up
ktap_run
