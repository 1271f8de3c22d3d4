#!/bin/sh
# Makes an image's root disk with a kernel's files from that of another image.
# $1: the other's disk (qcow2)  $2: the file to write (qcow2)  $3: MiB that the files take
# $4: commands for debugfs  $5: what it complains about
set -eu
base=$1
disk=$2
more=$3
commands=$4
complaints=$5

qemu-img convert -f qcow2 -O raw "$base" "$disk.raw"
truncate --size="+${more}M" "$disk.raw"
# 1: it was not quite clean, and is now.
e2fsck -f -p "$disk.raw" >/dev/null || [ $? -eq 1 ]
resize2fs "$disk.raw" >/dev/null 2>&1
debugfs -w -f "$commands" "$disk.raw" >/dev/null 2>"$complaints"
e2fsck -f -n "$disk.raw" >/dev/null
qemu-img convert -f raw -O qcow2 -o cluster_size=64k,lazy_refcounts=on "$disk.raw" "$disk"
rm -f "$disk.raw"
