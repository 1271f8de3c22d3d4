#!/bin/sh
# Makes the kernel and initrd files of an image.
# $1: the root file system  $2: the folder to write vmlinuz and initrd into
# $3: "own" for our initrd (initrd/init.c), "distribution" for the one that the kernel's package made
set -eu
root=$1
out=$2
kind=$3
here=$(dirname "$0")

set -- "$root"/lib/modules/*
if [ $# -ne 1 ]; then
  echo "expected one kernel in the image, found: $*" >&2
  exit 1
fi
release=${1##*/}

cp "$root/boot/vmlinuz-$release" "$out/vmlinuz"
printf '%s\n' "$release" >"$out/kernel-release"
if [ "$kind" = distribution ]; then
  cp "$root/boot/initrd.img-$release" "$out/initrd"
  exit 0
fi

# Compiled by the image's own compiler, so that the host needs none.
work=$root/tmp/initrd
mkdir -p "$work/lib"
cp "$here/initrd/init.c" "$work/init.c"
chroot "$root" gcc -Os -static -s -Wall -o /tmp/initrd/init /tmp/initrd/init.c

for module in virtio_pci virtio_blk crc32c_generic crc32c_intel ext4; do
  chroot "$root" modprobe --set-version "$release" --show-depends "$module"
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' >"$work/needed"
while read -r module; do
  name=${module##*/}
  # Some kernels have compressed modules, which only modprobe can read.
  case $name in
    *.xz) chroot "$root" xz --decompress --stdout "$module" >"$work/lib/${name%.xz}" ;;
    *.ko) cp "$root$module" "$work/lib/" ;;
    *)
      echo "module in an unknown format: $module" >&2
      exit 1
      ;;
  esac
  printf 'lib/%s\n' "${name%.xz}"
done <"$work/needed" >"$work/files"
sed 's|^|/|' "$work/files" >"$work/modules"

# Not compressed: it is small, and unpacking costs more than reading under emulation.
{
  printf '%s\n' . init modules lib
  cat "$work/files"
} >"$work/names"
chroot "$root" cpio --quiet --create --format=newc --owner=0:0 --directory=/tmp/initrd \
  <"$work/names" >"$out/initrd"
rm -rf "$work"
