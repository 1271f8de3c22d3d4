# shellcheck shell=sh
# Cases of a test suite, reported as KTAP (the kernel's Documentation/dev-tools/ktap.rst).
#
# A suite sources this file, registers each case with `ktap_case NAME FUNCTION` and ends with
# `ktap_run`. A case runs in a shell of its own with `set -e`: it fails at the first command that
# fails, or by `fail`. What it printed is shown when it fails.

ktap_cases=
ktap_before=:
ktap_after=:
ktap_folder=$(mktemp -d)

# A name is a sentence about what holds when the case passes.
ktap_case() {
	ktap_cases="$ktap_cases$2 $1
"
}

# The function to run before each case, in the suite's own shell.
ktap_before_each() {
	ktap_before=$1
}

# The function to run after each case, whatever its result; when it fails, so does the case.
ktap_after_each() {
	ktap_after=$1
}

fail() {
	echo "$*" >&2
	exit 1
}

# The case can't run here, for this reason.
skip() {
	echo "$*" >"$ktap_folder/skip"
	exit 77
}

# expect WHAT EXPECTED FOUND
expect() {
	[ "$2" = "$3" ] || fail "$1: expected '$2', found '$3'"
}

# refuses COMMAND...: it must fail; what it printed is left in $ktap_folder/refusal.
refuses() {
	if "$@" >"$ktap_folder/refusal" 2>&1; then
		fail "accepted, but should have been refused: $*"
	fi
}

# Runs the cases; the exit status is 1 when one has failed.
ktap_run() {
	trap '($ktap_after) >/dev/null 2>&1; rm -rf --one-file-system "$ktap_folder"' EXIT
	trap 'exit 130' INT TERM HUP
	ktap_number=0
	ktap_failed=0
	echo "KTAP version 1"
	echo "1..$(printf %s "$ktap_cases" | wc -l)"
	while read -r ktap_function ktap_name; do
		[ -n "$ktap_function" ] || continue
		ktap_number=$((ktap_number + 1))
		$ktap_before
		(
			set -e
			$ktap_function
		) >"$ktap_folder/output" 2>&1 </dev/null
		ktap_status=$?
		(
			set -e
			$ktap_after
		) >>"$ktap_folder/output" 2>&1 </dev/null
		# shellcheck disable=SC2181 # in a condition, set -e would have no effect
		[ $? -eq 0 ] || ktap_status=1
		case $ktap_status in
		0)
			echo "ok $ktap_number $ktap_name"
			;;
		77)
			echo "ok $ktap_number $ktap_name # SKIP $(cat "$ktap_folder/skip")"
			;;
		*)
			sed 's/^/# /' "$ktap_folder/output"
			echo "not ok $ktap_number $ktap_name"
			ktap_failed=1
			;;
		esac
	done <<-CASES
		$ktap_cases
	CASES
	exit "$ktap_failed"
}
