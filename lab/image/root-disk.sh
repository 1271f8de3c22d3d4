#!/bin/sh
# Makes the root disk of an image: one ext4 file system without a partition table.
# $1: the root file system  $2: the file to write (qcow2)  $3: its label
set -eu
root=$1
disk=$2
label=$3

# Built by mmdebstrap as plain files or device nodes depending on who builds; devtmpfs covers them.
find "$root/dev" -mindepth 1 -delete
rm -f "$root"/boot/initrd.img-*

# A tenth for inodes and block groups, and room for a guest that runs without an overlay; a stack's
# root volume is larger and the file system grows into it at boot.
used=$(du --summarize --block-size=1M --one-file-system "$root" | cut -f1)
size=$((used + used / 10 + 512))

# mke2fs fills the file system itself: no mount, no loop device, no root needed.
# Inode tables are written now (they are zeros and take no room) instead of by a thread of each guest.
mke2fs -q -t ext4 -L "$label" -m 0 -E lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0 \
  -d "$root" "$disk.raw" "${size}M"
qemu-img convert -f raw -O qcow2 -o cluster_size=64k,lazy_refcounts=on "$disk.raw" "$disk"
rm -f "$disk.raw"
