#!/bin/sh
# The sources are without fault as far as compilers know, and what was built is what it should be.
. "$(dirname "$0")/ktap.sh"
. "$(dirname "$0")/vexfs.sh"
. "$(dirname "$0")/checks.sh"

release=${KERNELRELEASE:-$(uname -r)}

module_is_for_this_kernel() {
	expect "first word of vermagic" "$release" "$(modinfo -F vermagic "$module" | cut -d ' ' -f 1)"
}

module_describes_itself() {
	expect name vexfs "$(modinfo -F name "$module")"
	expect license GPL "$(modinfo -F license "$module")"
	expect alias fs-vexfs "$(modinfo -F alias "$module")"
	modinfo -F parm "$module" | grep -q '^debug:.*(bool)$' || fail "no parameter debug"
}

# insmod loads it alone.
module_needs_no_other() {
	expect depends "" "$(modinfo -F depends "$module")"
}

vexctl_explains_itself() {
	"$vexctl" --version | grep -q '^vexctl [0-9]'
	"$vexctl" --help | grep -q '^Usage:'
}

vexctl_refuses_wrong_usage() {
	for arguments in "" "dance" "mkfs" "mkfs --blocks many /dev/null" "stat --colour /dev/null"; do
		status=0
		# shellcheck disable=SC2086 # words on purpose
		"$vexctl" $arguments 2>"$work/message" || status=$?
		expect "exit status of 'vexctl $arguments'" 2 "$status"
		grep -q 'Try: vexctl --help' "$work/message"
	done
	status=0
	"$vexctl" stat "$work/nothing" 2>"$work/message" || status=$?
	expect "exit status for a missing device" 3 "$status"
}

vexctl_checks_what_it_makes() {
	truncate -s 4M "$work/image"
	"$vexctl" mkfs --label "a label" "$work/image"
	"$vexctl" stat "$work/image" | grep -q '^label: *a label$'
	"$vexctl" check "$work/image"
}

vexctl_finds_a_changed_byte() {
	truncate -s 4M "$work/image"
	"$vexctl" mkfs "$work/image"
	data=$("$vexctl" stat "$work/image" | sed -n 's/^data: *block //p')
	printf x | dd of="$work/image" bs=1 seek=$((data * 4096 + 4000)) conv=notrunc status=none
	status=0
	"$vexctl" check "$work/image" >"$work/message" || status=$?
	expect "exit status of check" 1 "$status"
	grep -q 'wrong checksum' "$work/message"
}

# Made by build-checks.sh when the module was built.
checks=$source_tree/tests/build-checks.ktap

checks_are_ours() {
	[ -e "$checks" ] && [ "$(head -n 1 "$checks")" = "# sources: $(checked_sources)" ]
}

# The result of the check that has this case's name: its diagnostics are those before its line.
# shellcheck disable=SC2154 # of ktap.sh
tell_check() {
	awk -v name="$ktap_name" '
		/^# (RUN|tags:|sources:)/ { next }
		/^# / { said = said substr($0, 3) "\n"; next }
		/^(not )?ok [0-9]+ / {
			result = $0
			sub(/^(not )?ok [0-9]+ /, "", result)
			if (index(result, name) == 1 && substr(result, length(name) + 1) ~ /^( # .*)?$/) {
				printf "%s", said
				print "=" $0
				exit
			}
			said = ""
		}' "$checks" >"$work/check"
	line=$(sed -n 's/^=//p' "$work/check")
	case $line in
	"ok "*" # SKIP "*) skip "${line##* # SKIP }" ;;
	"ok "*) ;;
	"") fail "it was not run when the module was built, or did not end" ;;
	*)
		echo "when the module was built:"
		sed '/^=/d' "$work/check"
		exit 1
		;;
	esac
}

clean_up() {
	rm -f "$work"/image "$work"/message "$work"/check
}

if checks_are_ours; then
	add_checks tell_check
else
	add_checks
fi
ktap_case "vermagic names the running kernel" module_is_for_this_kernel
ktap_case "modinfo tells name, license, alias and parameter" module_describes_itself
ktap_case "the module depends on no other module" module_needs_no_other
ktap_case "vexctl tells its version and its usage" vexctl_explains_itself
ktap_case "vexctl refuses wrong usage with status 2" vexctl_refuses_wrong_usage
ktap_case "vexctl check accepts what vexctl mkfs makes" vexctl_checks_what_it_makes
ktap_case "vexctl check finds a changed byte" vexctl_finds_a_changed_byte
ktap_after_each clean_up
ktap_run
