# shellcheck shell=sh disable=SC2154 # variables of vexfs.sh
# How much memory the kernel holds, so that a leak shows after it has been repeated often enough.

# note_memory FILE: objects of the slab caches that a module can use, and areas of modules.
#
# A slab that a processor allocates from counts as full, whatever is free in it: some hundred objects
# of the smallest caches. Shrinking takes it away until the next allocation by anyone, so the smallest
# number of several is the right one.
note_memory() {
	sync
	echo 3 >/proc/sys/vm/drop_caches
	# Freed inodes and blocks of modules go after a grace period, and a little later.
	sleep 1
	: >"$work/samples"
	for _ in 1 2 3 4 5; do
		for cache in /sys/kernel/slab/kmalloc-[0-9]* /sys/kernel/slab/buffer_head \
			/sys/kernel/slab/vexfs*; do
			[ ! -e "$cache" ] || echo 1 >"$cache/shrink"
		done
		# Without a program: to start one takes memory.
		while read -r name objects _; do
			case $name in
			kmalloc-[0-9]* | buffer_head | vexfs*) echo "slab $name $objects" ;;
			esac
		done </proc/slabinfo >>"$work/samples"
		sleep 0.1
	done
	awk '{ name = $1 " " $2 }
		!(name in least) || $3 < least[name] { least[name] = $3 }
		END { for (name in least) print name, least[name] }' "$work/samples" >"$1"
	# Who asked for them has other names from kernel to kernel.
	awk '/load_module|move_module|module_alloc|execmem/ { areas++; bytes += $2 }
		END { print "module areas", areas + 0; print "module bytes", bytes + 0 }' \
		/proc/vmallocinfo >>"$1"
}

# memory_has_not_grown COUNT BEFORE BETWEEN AFTER: nothing has leaked COUNT times from each note to the
# next. Only growth that goes on counts: the rest of the kernel takes what it needs, too, and keeps it.
memory_has_not_grown() {
	awk -v count="$1" '
		FNR == 1 { note++ }
		{ found[note, $1 " " $2] = $3 + 0 }
		note < 3 { next }
		{ name = $1 " " $2; a = found[1, name] + 0; b = found[2, name] + 0; c = found[3, name] }
		b - a >= count && c - b >= count {
			print name ":", a, "before,", b, "then,", c, "after"
		}' "$2" "$3" "$4" >"$work/growth"
	[ ! -s "$work/growth" ] || {
		cat "$work/growth"
		fail "memory has grown"
	}
}

# kibibytes NAME: of /proc/meminfo.
kibibytes() {
	awk -v name="$1:" '$1 == name { print $2 }' /proc/meminfo
}
