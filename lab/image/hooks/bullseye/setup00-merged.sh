#!/bin/sh
# /bin, /lib and the like as links into /usr, as Debian's installer makes them and as the packages
# themselves do from bookworm on (https://wiki.debian.org/UsrMerge).
# $1: the root file system
set -eu
root=$1

for name in bin sbin lib lib32 lib64 libx32; do
  mkdir -p "$root/usr/$name"
  ln -s "usr/$name" "$root/$name"
done
