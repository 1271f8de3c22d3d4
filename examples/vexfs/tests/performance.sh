#!/bin/sh
# Load for some seconds: what it costs is recorded, what it must not leave behind is checked.
. "$(dirname "$0")/ktap.sh"
. "$(dirname "$0")/vexfs.sh"
. "$(dirname "$0")/memory.sh"

# fio_measures NAME BANDWIDTH LATENCY OPTION...: in which fields of fio's terse output, version 3, the
# two are.
fio_measures() {
	command -v fio >/dev/null || skip "no fio in this image"
	name=$1
	bandwidth=$2
	latency=$3
	shift 3
	fio --name="$name" --directory="$mnt" --filename=data --minimal --terse-version=3 "$@" \
		--output="$work/fio" || {
		cat "$work/fio"
		fail "fio $name"
	}
	ktap_measure "$name-throughput" "$(cut -d ';' -f "$bandwidth" "$work/fio")" KiB/s
	ktap_measure "$name-latency" "$(cut -d ';' -f "$latency" "$work/fio")" us
}

throughput_and_latency() {
	insmod "$module"
	fresh
	fio_measures sequential-write 48 81 --rw=write --bs=64k --size=16m --end_fsync=1
	echo 3 >/proc/sys/vm/drop_caches
	fio_measures sequential-read 7 40 --rw=read --bs=64k --size=16m
	fio_measures random-write 48 81 --rw=randwrite --bs=4k --size=16m --io_size=2m --end_fsync=1
	fio_measures synchronous-write 48 81 --rw=write --bs=4k --size=16m --io_size=256k --fsync=1
	unmount_and_check
}

names() {
	command -v python3 >/dev/null || skip "no python3 in this image"
	insmod "$module"
	fresh
	python3 - "$mnt" >"$work/rates" <<-'PYTHON'
		import os, sys, time
		COUNT = 400
		os.chdir(sys.argv[1])
		def measure(name, work):
		    start = time.monotonic()
		    for number in range(COUNT):
		        work(f"file-{number}")
		    rate = COUNT / (time.monotonic() - start)
		    print(name, round(rate))
		measure("create", lambda name: os.close(os.open(name, os.O_CREAT | os.O_WRONLY)))
		measure("stat", os.stat)
		measure("rename", lambda name: os.rename(name, name + "x"))
		measure("unlink", lambda name: os.unlink(name + "x"))
	PYTHON
	while read -r name rate; do
		ktap_measure "$name" "$rate" /s
	done <"$work/rates"
	unmount_and_check
}

# stress-ng and fio side by side, and the processors busy beside them.
load_for_some_seconds() {
	command -v stress-ng >/dev/null || skip "no stress-ng in this image"
	command -v fio >/dev/null || skip "no fio in this image"
	insmod "$module"
	fresh
	mkdir "$mnt/stress"
	stress-ng --cpu 1 --hdd 1 --hdd-bytes 8m --dentry 1 --dentries 100 --temp-path "$mnt/stress" \
		--timeout 5 --verify >"$work/stress" 2>&1 &
	stress=$!
	fio_measures loaded-random 48 81 --rw=randrw --bs=4k --size=8m --time_based --runtime=5 \
		--fsync=64 --numjobs=1
	wait "$stress" || {
		cat "$work/stress"
		fail "stress-ng"
	}
	unmount_and_check
}

workload() {
	mount -t vexfs "$disk" "$mnt"
	random_bytes 3000000 >"$mnt/large"
	(mkdir "$mnt/dir" && cd "$mnt/dir" && seq -f 'file-%.0f' 1 100 | xargs touch)
	sync "$mnt/large"
	truncate -s 1000 "$mnt/large"
	[ "$1" = last ] || {
		rm -r "$mnt/dir" "$mnt/large"
		umount "$mnt"
	}
}

memory_is_given_back() {
	"$vexctl" mkfs --blocks 16384 "$disk"
	insmod "$module"
	workload first
	rmmod vexfs
	note_memory "$work/before"
	ktap_measure slab-before "$(kibibytes Slab)" KiB
	ktap_measure vmalloc-before "$(kibibytes VmallocUsed)" KiB
	insmod "$module"
	for round in 1 2 3 4 5; do
		workload "$round"
	done
	rmmod vexfs
	note_memory "$work/between"
	insmod "$module"
	for round in 1 2 3 4; do
		workload "$round"
	done
	workload last
	ktap_measure slab-in-use "$(kibibytes Slab)" KiB
	ktap_measure vmalloc-in-use "$(kibibytes VmallocUsed)" KiB
	umount "$mnt"
	rmmod vexfs
	note_memory "$work/after"
	ktap_measure slab-after "$(kibibytes Slab)" KiB
	ktap_measure vmalloc-after "$(kibibytes VmallocUsed)" KiB
	# Less than one for every second of the 500 files each time.
	memory_has_not_grown 250 "$work/before" "$work/between" "$work/after"
}

load_and_use() {
	insmod "$module"
	mount -t vexfs "$disk" "$mnt"
	echo "$1" >"$mnt/file"
	umount "$mnt"
	rmmod vexfs
}

loads_again_and_again() {
	"$vexctl" mkfs --blocks 600 "$disk"
	load_and_use 0
	note_memory "$work/before"
	for number in $(seq 25); do
		load_and_use "$number"
	done
	note_memory "$work/between"
	for number in $(seq 25); do
		load_and_use "$number"
	done
	note_memory "$work/after"
	memory_has_not_grown 25 "$work/before" "$work/between" "$work/after"
}

no_leak_is_found() {
	leaks=/sys/kernel/debug/kmemleak
	[ -e "$leaks" ] || skip "this kernel has no kmemleak (CONFIG_DEBUG_KMEMLEAK)"
	"$vexctl" mkfs "$disk"
	echo clear >"$leaks"
	insmod "$module"
	workload first
	rmmod vexfs
	# What is new is not reported before it is some seconds old.
	sleep 6
	echo scan >"$leaks"
	expect "what kmemleak has found" "" "$(cat "$leaks")"
}

leave_nothing_loaded() {
	leave_nothing_mounted
	! grep -q '^vexfs ' /proc/modules || rmmod vexfs
	no_kernel_complaint
	no_kernel_warning
}

ktap_case "files are written and read at a rate that is recorded" throughput_and_latency
ktap_case "names are made and removed at a rate that is recorded" names
ktap_case "load on processors and disk for some seconds makes the kernel say nothing" load_for_some_seconds
ktap_case "the memory of a workload is given back after unmounting and unloading" memory_is_given_back
ktap_case "50 loads, mounts and unloads leave no memory behind" loads_again_and_again
ktap_case "kmemleak finds nothing" no_leak_is_found
ktap_before_each mark_kernel_log
ktap_after_each leave_nothing_loaded
ktap_run
