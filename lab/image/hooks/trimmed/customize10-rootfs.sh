#!/bin/sh
# Puts the image's own files in place and the few settings that are made by programs.
# $1: the root file system
set -eu
root=$1
files=$(dirname "$0")/../../rootfs

# The checkout may belong to anyone and have any umask; in the image all of it is root's.
umask 022
cp --recursive --no-preserve=all "$files/." "$root/"
chmod 755 "$root"/usr/lib/vexlab/*

printf 'vexlab\n' >"$root/etc/hostname"
printf '127.0.0.1 localhost vexlab\n::1 localhost\n' >"$root/etc/hosts"
# QEMU's user networking answers for names here; no resolver has to be started.
printf 'nameserver 10.0.2.3\n' >"$root/etc/resolv.conf"

# Without a generated locale cloud-init ends in "error".
printf 'en_US.UTF-8 UTF-8\n' >"$root/etc/locale.gen"
chroot "$root" locale-gen
printf 'LANG=en_US.UTF-8\n' >"$root/etc/default/locale"

# A message of the day, which sshd is told not to print, would be made anew by four programs at each
# login: a twelfth of a second of an emulated guest's.
sed -i '/pam_motd\.so/d' "$root/etc/pam.d/sshd"

# Keys are made in the guest, one set a guest.
rm -f "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"

# The kernel is loaded from files outside of the guest: an initrd made inside is never used.
printf 'update_initramfs=no\n' >"$root/etc/initramfs-tools/update-initramfs.conf"
