#!/bin/sh
# The least that makes a stock system start in the same machine as the other images.
# $1: the root file system
set -eu
root=$1

printf 'LABEL=vexlab-root / ext4 rw,relatime 0 1\n' >"$root/etc/fstab"
printf 'vexlab\n' >"$root/etc/hostname"
printf 'datasource_list: [ NoCloud, None ]\n' >"$root/etc/cloud/cloud.cfg.d/90_datasource.cfg"
printf 'en_US.UTF-8 UTF-8\nC.UTF-8 UTF-8\n' >"$root/etc/locale.gen"
chroot "$root" locale-gen
chroot "$root" systemctl enable systemd-networkd.service systemd-resolved.service ssh.service
rm -f "$root"/etc/ssh/ssh_host_*
