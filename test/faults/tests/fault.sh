#!/bin/sh
# fault.sh NAME WORDS: one case that makes a fault by words of the shell, in the folder of the module.
echo 'KTAP version 1'
echo '1..1'
echo "# RUN $1"
cd "$VEXLAB_MODULES" || exit 1
if sh -c "$2"; then
	echo "ok 1 $1"
else
	echo "not ok 1 $1"
	exit 1
fi
