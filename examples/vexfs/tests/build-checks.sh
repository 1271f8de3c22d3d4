#!/bin/sh
# Runs the checks of checks.sh where the module is built. A check that fails does not fail the build:
# its result is in the file that is made, which the suite build-system tells.
#
# usage: build-checks.sh FILE
source_tree=$(cd "$(dirname "$0")/.." && pwd)
if [ $# -eq 1 ]; then
	# The results of one check after the other can take as long as the build may.
	VEXLAB_CASE_TIMEOUT=600 CHECKS_WORK=$source_tree/.vexlab/checks "$0" >"$1.new"
	[ -s "$1.new" ] && mv "$1.new" "$1"
	exit
fi
. "$(dirname "$0")/ktap.sh"
. "$(dirname "$0")/checks.sh"
echo "# sources: $(checked_sources)"
# shellcheck disable=SC2119 # this script's argument is none of its
add_checks
ktap_run
