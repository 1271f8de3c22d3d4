#!/bin/sh
# cloud-init of this release brings ifupdown along, whose start would wait for the network that
# systemd-networkd has set up already; and rsync's daemon starts by itself.
# $1: the root file system
set -eu
root=$1

chroot "$root" systemctl mask networking.service
chroot "$root" systemctl disable rsync.service
