#!/bin/sh
# Makes a disk that boots by itself, by BIOS and by UEFI, of a root file system that has GRUB, mtools,
# dosfstools and fdisk in it: no loop device, no mount.
# $1: the root file system  $2: the file to write (raw)
set -eu
root=$1
disk=$2

label=cloud-root
boot=$root/boot/grub
espStart=2048
espSectors=32768
rootStart=$((espStart + espSectors))

find "$root/dev" -mindepth 1 -delete
mkdir -p "$boot"
cp -r "$root/usr/lib/grub/i386-pc" "$root/usr/lib/grub/x86_64-efi" "$boot/"
kernel=$(cd "$root/boot" && printf '%s\n' vmlinuz-* | sort -V | tail -n 1)
cat >"$boot/grub.cfg" <<END
serial --unit=0
terminal_output serial
linux /boot/$kernel root=LABEL=$label ro console=ttyS0
initrd /boot/initrd.img-${kernel#vmlinuz-}
boot
END
cat >"$root/tmp/early.cfg" <<END
search --no-floppy --label $label --set=root
set prefix=(\$root)/boot/grub
END

modules="part_msdos ext2 search search_label normal configfile linux serial"
# shellcheck disable=SC2086 # each module is a word
chroot "$root" grub-mkimage -O i386-pc -p /boot/grub -c /tmp/early.cfg -o /tmp/core.img biosdisk $modules
# shellcheck disable=SC2086
chroot "$root" grub-mkimage -O x86_64-efi -p /boot/grub -c /tmp/early.cfg -o /tmp/BOOTX64.EFI fat $modules
chroot "$root" mkfs.vfat -C /tmp/esp.img $((espSectors / 2)) >&2
chroot "$root" mmd -i /tmp/esp.img ::/EFI ::/EFI/BOOT
chroot "$root" mcopy -i /tmp/esp.img /tmp/BOOTX64.EFI ::/EFI/BOOT/BOOTX64.EFI
mv "$root/tmp/core.img" "$root/tmp/esp.img" "$(dirname "$disk")"
cp "$boot/i386-pc/boot.img" "$(dirname "$disk")/boot.img"
rm -f "$root/tmp/BOOTX64.EFI" "$root/tmp/early.cfg"

used=$(du --summarize --block-size=1M --one-file-system "$root" | cut -f1)
size=$((used + used / 10 + 256))
table=$root/tmp/disk.img
truncate -s "$(((rootStart + size * 2048) * 512))" "$table"
printf 'label: dos\n%s,%s,ef\n%s,,L,*\n' $espStart $espSectors $rootStart |
  chroot "$root" sfdisk --quiet --no-tell-kernel --no-reread /tmp/disk.img
mv "$table" "$disk"

work=$(dirname "$disk")
# The first 440 bytes are GRUB's, which loads what lies in the next sectors; then comes the table.
dd if="$work/boot.img" of="$disk" bs=440 count=1 conv=notrunc status=none
dd if="$work/core.img" of="$disk" bs=512 seek=1 conv=notrunc status=none
dd if="$work/esp.img" of="$disk" bs=512 seek=$espStart conv=notrunc status=none
# GRUB 2.06 doesn't know the newer features.
mke2fs -q -t ext4 -L $label -m 0 -O ^metadata_csum_seed,^orphan_file \
  -E "offset=$((rootStart * 512)),lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0" \
  -d "$root" "$disk" "${size}M"
rm -f "$work/boot.img" "$work/core.img" "$work/esp.img"
