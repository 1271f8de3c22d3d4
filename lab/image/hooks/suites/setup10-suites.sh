#!/bin/sh
# Adds suites of the archive that the image is built from, whichever that is.
# $1: the root file system  VEXLAB_RELEASE: the release's name  VEXLAB_SUITES: the names of the others
set -eu
list=$1/etc/apt/sources.list

line=$(grep -m 1 -E "^deb .*[[:space:]]${VEXLAB_RELEASE}[[:space:]]+main" "$list")
for suite in $VEXLAB_SUITES; do
  printf '%s\n' "$line" | sed -E "s/([[:space:]])${VEXLAB_RELEASE}([[:space:]])/\1$suite\2/" >>"$list"
done
