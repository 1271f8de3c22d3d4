#!/bin/sh
# Writes down where the kernel is from, as long as apt still knows: package, version and suite, one a
# line, in /usr/lib/vexlab/kernel-package.
# $1: the root file system
set -eu
root=$1

set -- "$root"/lib/modules/*
package=linux-image-${1##*/}
# shellcheck disable=SC2016 # dpkg-query's variable, not the shell's
version=$(chroot "$root" dpkg-query --show --showformat '${Version}' "$package")
# NAME | VERSION | URI SUITE/COMPONENT ARCHITECTURE Packages
suite=$(chroot "$root" apt-cache madison "$package" |
  awk -v version="$version" '$3 == version { split($6, part, "/"); print part[1]; exit }')
printf '%s\n' "$package" "$version" "$suite" >"$root/usr/lib/vexlab/kernel-package"
