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

packed=$root/boot/vmlinuz-$release
printf '%s\n' "$release" >"$out/kernel-release"
if [ "$kind" = distribution ]; then
  cp "$packed" "$out/vmlinuz"
  cp "$root/boot/initrd.img-$release" "$out/initrd"
  exit 0
fi

# The kernel unpacked: unpacking itself takes it two seconds under emulation. QEMU starts an ELF file by
# its PVH note (18 is XEN_ELFNOTE_PHYS32_ENTRY). The places are those of the kernel's
# Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length; the payload's last four
# bytes are its unpacked size.
number() {
  od --address-radix=n --format="u$2" --skip-bytes="$1" --read-bytes="$2" "$packed" | tr -d ' '
}
payload() {
  tail --bytes="+$((($(number 0x1f1 1) + 1) * 512 + $(number 0x248 4) + 1))" "$packed" |
    head --bytes="$(($(number 0x24c 4) - 4))"
}
case $(payload | head --bytes=4 | od --address-radix=n --format=x1 | tr -d ' ') in
  fd377a58) unpack="xz --decompress --stdout" ;;
  28b52ffd) unpack="zstd --decompress --stdout" ;;
  1f8b08*) unpack="gzip --decompress --stdout" ;;
  *) unpack=false ;;
esac
# shellcheck disable=SC2086 # words
if payload | chroot "$root" $unpack >"$root/tmp/vmlinux" &&
  chroot "$root" readelf --notes --wide /tmp/vmlinux | grep -q 'Xen .*(0x00000012)'; then
  mv "$root/tmp/vmlinux" "$out/vmlinuz"
else
  rm -f "$root/tmp/vmlinux"
  cp "$packed" "$out/vmlinuz"
fi

# Compiled by the image's own compiler, so that the host needs none.
work=$root/tmp/initrd
mkdir -p "$work/lib"
cp "$here/initrd/init.c" "$work/init.c"
chroot "$root" gcc -Os -static -s -Wall -o /tmp/initrd/init /tmp/initrd/init.c

# Not in a pipe, where a module that is not there would go unnoticed.
depends() {
  chroot "$root" modprobe --set-version "$release" --show-depends "$1"
}
{
  depends virtio_pci
  depends virtio_blk
  # ext4's checksums. Kernels from 6.15 on have no modules for them (lib/crc).
  for module in crc32c_generic crc32c_intel; do
    depends "$module" 2>/dev/null || true
  done
  depends ext4
} >"$work/depends"
sed -n 's/^insmod \([^ ]*\).*/\1/p' "$work/depends" | awk '!seen[$0]++' >"$work/needed"
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
