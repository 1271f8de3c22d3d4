#!/bin/sh
# Turns the root file system into the sysroot: all of it the calling user's, who can build in it
# and delete it without any privilege.
# $1: the root file system  $2: where the sysroot goes (same file system)
set -eu
root=$1
sysroot=$2

find "$root" -xdev \( -type b -o -type c -o -type p -o -type s \) -delete
chown --recursive --no-dereference 0:0 "$root"
chmod --recursive u+rwX,go-s "$root"
rm -rf "$root/var/cache/apt" "$root/var/lib/apt/lists"
mv --no-target-directory "$root" "$sysroot"
