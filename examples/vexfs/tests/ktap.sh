# shellcheck shell=sh
# Cases of a test suite, reported as KTAP (the kernel's Documentation/dev-tools/ktap.rst).
#
# A suite sources this file, registers its cases with `ktap_case` and ends with `ktap_run`. A case
# runs in a shell of its own with `set -e`: it fails at the first command that fails, or by `fail`.
# What it printed is shown when it fails. When its time is up, it is ended with what it has started.
#
# VEXLAB_CASES, VEXLAB_TAGS, VEXLAB_SEED and VEXLAB_CASE_TIMEOUT choose the cases, their order and
# their time; docs/manifest.md of vexlab describes them. Without them all cases run, as registered.

ktap_cases=
ktap_before=:
ktap_after=:
ktap_group=
ktap_shell=
ktap_folder=$(mktemp -d)

# Seconds that may pass between two results before vexlab ends the whole suite. A case gets two
# thirds of them, what is done after each case a quarter; the rest is for ending what hangs.
ktap_most=${VEXLAB_CASE_TIMEOUT:-60}
ktap_limit=$(((ktap_most * 2 + 2) / 3))
ktap_after_limit=$(((ktap_most + 3) / 4))

# ktap_case [-t SECONDS] NAME FUNCTION [TAG...]: a name is a sentence about what holds when the case
# passes; -t is its own time limit, which the suite's caseTimeout in vexlab.yaml has to leave room for.
ktap_case() {
	ktap_own_limit=$ktap_limit
	if [ "$1" = -t ]; then
		ktap_own_limit=$2
		shift 2
	fi
	ktap_name=$1
	ktap_function=$2
	shift 2
	if [ -n "${VEXLAB_CASE_TIMEOUT-}" ] && [ "$ktap_own_limit" -gt "$ktap_limit" ]; then
		echo "Bail out! case \"$ktap_name\" may take $ktap_own_limit s, a caseTimeout of $ktap_most s leaves it $ktap_limit s"
		exit 1
	fi
	# Tags are one word here, for `read`.
	ktap_cases="$ktap_cases$ktap_function $ktap_own_limit ,$(IFS=, && echo "$*"), $ktap_name
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

# ktap_measure NAME VALUE UNIT: a number that the results keep, whether the case passes or fails.
ktap_measure() {
	echo "# measure: $1=$2 $3" >>"$ktap_folder/measures"
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

# Whether VEXLAB_CASES, a shell pattern a line, has one for this name.
ktap_has_pattern() {
	[ -n "${VEXLAB_CASES-}" ] || return 0
	while IFS= read -r ktap_pattern; do
		# shellcheck disable=SC2254 # it is a pattern
		case $1 in
		$ktap_pattern) return 0 ;;
		esac
	done <<-PATTERNS
		$VEXLAB_CASES
	PATTERNS
	return 1
}

# Whether one of ",TAG,TAG," is in VEXLAB_TAGS.
ktap_has_tag() {
	[ -n "${VEXLAB_TAGS-}" ] || return 0
	for ktap_tag in $VEXLAB_TAGS; do
		case $1 in
		*",$ktap_tag,"*) return 0 ;;
		esac
	done
	return 1
}

# Into $ktap_folder/cases: the chosen ones, in their order.
ktap_choose() {
	printf %s "$ktap_cases" >"$ktap_folder/all"
	while read -r ktap_function ktap_own_limit ktap_tags ktap_name; do
		if ktap_has_tag "$ktap_tags" && ktap_has_pattern "$ktap_name"; then
			echo "$ktap_function $ktap_own_limit $ktap_tags $ktap_name"
		fi
	done <"$ktap_folder/all" >"$ktap_folder/cases"
	[ -z "${VEXLAB_SEED-}" ] || ktap_shuffle
}

# Sorts the cases by the SHA-256 of "SEED NAME": fewer cases keep the order that they had among all.
ktap_shuffle() {
	mkdir "$ktap_folder/names"
	ktap_number=100000
	while read -r _ _ _ ktap_name; do
		ktap_number=$((ktap_number + 1))
		printf %s "$VEXLAB_SEED $ktap_name" >"$ktap_folder/names/$ktap_number"
	done <"$ktap_folder/cases"
	[ "$ktap_number" -gt 100000 ] || return 0
	(cd "$ktap_folder/names" && sha256sum ./*) |
		cut -d ' ' -f 1 |
		paste -d ' ' - "$ktap_folder/cases" |
		LC_ALL=C sort |
		cut -d ' ' -f 2- >"$ktap_folder/shuffled"
	mv "$ktap_folder/shuffled" "$ktap_folder/cases"
}

# Makes a control group for what the cases start, so that nothing gets away; without the rights for
# one (or without cgroup2) only the descendants of a case are known.
ktap_make_group() {
	while read -r _ ktap_mount ktap_type _; do
		[ "$ktap_type" = cgroup2 ] || continue
		ktap_own=$(sed -n 's/^0:://p' /proc/self/cgroup)
		ktap_group=$ktap_mount${ktap_own%/}/ktap-$$
		mkdir "$ktap_group" 2>/dev/null || ktap_group=
		return
	done </proc/mounts
}

# Into $ktap_found: the processes of the case under way. By the shell's own means, as all that is
# done for each case: a program that is started takes an emulated guest a while.
ktap_find() {
	ktap_found=
	[ -z "$ktap_shell" ] || ktap_add_tree "$ktap_shell"
	[ -n "$ktap_group" ] || return 0
	while read -r ktap_process; do
		ktap_found="$ktap_found $ktap_process"
	done <"$ktap_group/cgroup.procs"
}

# ktap_add_tree PID: it and its descendants.
ktap_add_tree() {
	[ -e "/proc/$1" ] || return 0
	ktap_found="$ktap_found $1"
	ktap_children=
	# A file without a line end: `read` takes it and fails.
	read -r ktap_children 2>/dev/null <"/proc/$1/task/$1/children"
	for ktap_child in $ktap_children; do
		ktap_add_tree "$ktap_child"
	done
}

# Ends the case under way, and waits a second at most until it is gone. A process can start another
# one before it is ended: so look again.
ktap_kill() {
	for ktap_pass in 1 2 3 4 5 6 7 8 9 10 11 12; do
		ktap_find
		[ -n "$ktap_found" ] || return 0
		# shellcheck disable=SC2086 # words on purpose
		kill -KILL $ktap_found 2>/dev/null
		[ "$ktap_pass" -lt 3 ] || sleep 0.1
	done
}

# ktap_within SECONDS FUNCTION: the function's exit status. When its time is up it is ended with what
# it has started, and ktap_late is set.
ktap_within() {
	# The outer shell only waits: it dies at once also when what it waits for hangs in the kernel,
	# and nobody waits for that.
	(
		[ -z "$ktap_group" ] || echo 0 >"$ktap_group/cgroup.procs"
		(
			set -e
			"$2"
		)
		exit $?
	) >>"$ktap_folder/output" 2>&1 </dev/null &
	ktap_shell=$!
	(
		sleep "$1"
		: >"$ktap_folder/late"
		ktap_kill
	) >/dev/null 2>&1 </dev/null &
	ktap_clock=$!
	wait "$ktap_shell" 2>/dev/null
	ktap_result=$?
	ktap_shell=
	ktap_stop_clock
	ktap_kill
	if [ -e "$ktap_folder/late" ]; then
		rm "$ktap_folder/late"
		ktap_late=1
		echo "exceeded its time limit of $1 s: ended with all that it had started"
		ktap_stuck
	fi >>"$ktap_folder/output"
	return "$ktap_result"
}

# Ends the clock with its sleep. Other signals than KILL can be lost on a shell that has just begun.
ktap_stop_clock() {
	ktap_found=
	ktap_add_tree "$ktap_clock"
	# shellcheck disable=SC2086 # words on purpose
	kill -KILL $ktap_found 2>/dev/null
	wait "$ktap_clock" 2>/dev/null
}

# The processes that can't be ended, and where they are in the kernel.
ktap_stuck() {
	ktap_find
	for ktap_process in $ktap_found; do
		read -r ktap_stat 2>/dev/null <"/proc/$ktap_process/stat" || continue
		# The program's name may hold spaces and brackets; the state is after it.
		case ${ktap_stat##*)} in
		" D "*)
			echo "process ${ktap_stat%)*}) hangs in the kernel:"
			head -n 8 "/proc/$ktap_process/stack" 2>/dev/null
			;;
		esac
	done
}

# Ends what runs when the suite itself is ended.
ktap_end() {
	if [ -n "$ktap_shell" ]; then
		ktap_kill
		ktap_stop_clock
		ktap_within "$ktap_after_limit" "$ktap_after"
	fi
	rm -rf --one-file-system "$ktap_folder"
	[ -n "$ktap_group" ] || return 0
	# What was killed last may take a moment to be gone.
	for _ in 1 2 3 4 5; do
		! rmdir "$ktap_group" 2>/dev/null || return 0
		sleep 0.2
	done
}

# ",slow,io," as "# tags: slow io"
ktap_print_tags() {
	ktap_words=${ktap_tags#,}
	echo "# tags: $(echo "${ktap_words%,}" | tr , ' ')"
}

# Runs one case and prints its result line with what belongs to it.
ktap_run_case() {
	[ ! -e "$ktap_folder/measures" ] || rm "$ktap_folder/measures"
	: >"$ktap_folder/output"
	echo "# RUN $ktap_name"
	ktap_late=
	$ktap_before
	ktap_within "$ktap_own_limit" "$ktap_function"
	ktap_status=$?
	if [ "$ktap_after" != : ]; then
		ktap_within "$ktap_after_limit" "$ktap_after" || ktap_status=1
	fi
	[ -z "$ktap_late" ] || ktap_status=1
	[ "$ktap_tags" = ,, ] || ktap_print_tags
	[ ! -e "$ktap_folder/measures" ] || cat "$ktap_folder/measures"
	case $ktap_status in
	0)
		echo "ok $ktap_number $ktap_name"
		return 0
		;;
	77)
		echo "ok $ktap_number $ktap_name # SKIP $(cat "$ktap_folder/skip")"
		return 0
		;;
	esac
	sed 's/^/# /' "$ktap_folder/output"
	echo "not ok $ktap_number $ktap_name${ktap_late:+ # TIMEOUT}"
	return 1
}

# Runs the cases; the exit status is 1 when one has failed.
ktap_run() {
	trap ktap_end EXIT
	trap 'exit 130' INT TERM HUP
	ktap_make_group
	ktap_choose
	ktap_count=$(wc -l <"$ktap_folder/cases")
	echo "KTAP version 1"
	if [ -n "${VEXLAB_CASES-}${VEXLAB_TAGS-}" ]; then
		echo "# selected: $ktap_count of $(wc -l <"$ktap_folder/all")"
	fi
	if [ "$ktap_count" -eq 0 ] && [ -s "$ktap_folder/all" ]; then
		echo "1..0 # SKIP no case is selected"
		exit 0
	fi
	echo "1..$ktap_count"
	ktap_number=0
	ktap_failed=0
	while read -r ktap_function ktap_own_limit ktap_tags ktap_name <&3; do
		ktap_number=$((ktap_number + 1))
		ktap_run_case || ktap_failed=1
	done 3<"$ktap_folder/cases"
	exit "$ktap_failed"
}
