#!/bin/sh
# Programs that do random things to a file system and know what should come of it.
. "$(dirname "$0")/ktap.sh"
. "$(dirname "$0")/vexfs.sh"

exerciser=$source_tree/tests/exerciser
seed=${VEXFS_EXERCISER_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}

one_file_at_random() {
	[ -x "$exerciser" ] || skip "tests/exerciser has not been built"
	fresh
	say "seeds $seed to $((seed + 2))"
	for number in 0 1 2; do
		"$exerciser" "$mnt/file" $((seed + number)) 800
	done
	unmount_and_check
}

several_files_at_random() {
	[ -x "$exerciser" ] || skip "tests/exerciser has not been built"
	fresh
	say "seeds $seed to $((seed + 3))"
	set --
	for number in 0 1 2 3; do
		"$exerciser" "$mnt/file-$number" $((seed + number)) 400 &
		set -- "$@" "$!"
	done
	wait_for "$@"
	unmount_and_check
}

# The disk is nearly full all the time: allocation fails, blocks are taken again at once.
one_file_on_a_small_disk() {
	[ -x "$exerciser" ] || skip "tests/exerciser has not been built"
	fresh --blocks 1500 --inodes 32
	say "seed $seed"
	random_bytes 500000 >"$mnt/kept"
	before=$(hash "$mnt/kept")
	"$exerciser" "$mnt/file" "$seed" 500
	random_bytes 500000 >"$mnt/again"
	rm "$mnt/file"
	"$exerciser" "$mnt/file" "$seed" 500
	expect "hash of the file beside it" "$before" "$(hash "$mnt/kept")"
	unmount_and_check
}

# fio_verifies ENGINE SIZES
fio_verifies() {
	command -v fio >/dev/null || skip "no fio in this image"
	fresh
	fio --name=verify --directory="$mnt" --size=2m --numjobs=2 --rw=randwrite --bsrange="$2" \
		--ioengine="$1" --verify=crc32c --verify_fatal=1 --do_verify=1 --fsync=32 \
		--randseed="$seed" --output="$work/fio" || {
		cat "$work/fio"
		fail "fio"
	}
	unmount_and_check
}

fio_verifies_writes() {
	fio_verifies psync 512-32k
}

fio_verifies_mappings() {
	fio_verifies mmap 4k-32k
}

# stress STRESSOR OPERATIONS: of stress-ng, with two workers, at most 20 seconds.
stress() {
	(cd "$mnt" && stress-ng --"$1" 2 --"$1-ops" "$2" --timeout 20 --verify --temp-path "$mnt" \
		--metrics-brief --no-rand-seed >"$work/stress" 2>&1) || {
		cat "$work/stress"
		fail "stress-ng --$1"
	}
	if grep -E 'fail:|error:' "$work/stress"; then
		fail "stress-ng --$1 has found something"
	fi
}

stressors_find_nothing() {
	command -v stress-ng >/dev/null || skip "no stress-ng in this image"
	fresh
	for stressor in dentry dir filename rename seek fstat touch metamix; do
		stress-ng --"$stressor" 0 --dry-run >/dev/null 2>&1 || continue
		stress "$stressor" 150
	done
	stress hdd 40
	unmount_and_check
}

ktap_case "a file is what it should be after thousands of random operations" one_file_at_random
ktap_case "files that are changed side by side at random do not disturb each other" several_files_at_random
ktap_case "random operations on a disk that is nearly full" one_file_on_a_small_disk
ktap_case "fio verifies what it wrote at random" fio_verifies_writes
ktap_case "fio verifies what it wrote through mappings" fio_verifies_mappings
ktap_case "stress-ng's stressors of file systems find nothing" stressors_find_nothing
ktap_before_each mark_kernel_log
ktap_after_each leave_file_system
ktap_run
