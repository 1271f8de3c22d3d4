#!/bin/sh
# The module loads, says what was compiled into it, and goes. Runs in vexlab's guests and virtme-ng's.
# What it should say is read from the source: a module that was built before the edit fails.
folder=$(dirname "$(dirname "$(readlink -f "$0")")")
module=${VEXLAB_MODULES:-$folder}/hello.ko
edit=$(sed -n 's/^#define EDIT "\(.*\)"$/\1/p' "$folder/hello.c")
echo "KTAP version 1"
echo "1..1"
if insmod "$module" && dmesg | grep -qF "hello: loaded, edit $edit" && rmmod hello; then
	echo "ok 1 loads and says so"
else
	echo "not ok 1 loads and says so"
	exit 1
fi
