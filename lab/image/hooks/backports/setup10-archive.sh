#!/bin/sh
# Adds the backports suite of the archive that the image is built from, whichever that is.
# $1: the root file system
set -eu
list=$1/etc/apt/sources.list

line=$(grep -m 1 -E '^deb .*[[:space:]]bookworm[[:space:]]+main' "$list")
printf '%s\n' "$line" | sed -E 's/([[:space:]])bookworm([[:space:]])/\1bookworm-backports\2/' >>"$list"
