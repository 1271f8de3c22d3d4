# shellcheck shell=sh
# Checks of the sources by compilers and linters. They run where the module is built, as a tool of
# vexlab.yaml (build-checks.sh); the suite build-system tells their results, and runs them itself
# when those are of other sources.
# Sourced after ktap.sh, with $source_tree set.

# What they make; kept between builds by build-checks.sh, so that only what changed is done again.
# shellcheck disable=SC2154 # of ktap.sh
checks_work=${CHECKS_WORK:-$ktap_folder/checks}

# add_checks [FUNCTION]: the checks as cases, or the function for each of them.
# shellcheck disable=SC2120 # not all who call it have one
add_checks() {
	ktap_case "the module compiles without warnings (W=1)" "${1:-module_compiles}" build
	ktap_case "sparse finds nothing in the module (C=2)" "${1:-sparse_is_silent}" lint
	ktap_case "checkpatch finds nothing in the module" "${1:-checkpatch_is_silent}" lint
	ktap_case "libraries, programs and their tests compile without warnings" "${1:-rust_compiles}" build
	ktap_case "the tests of the Rust crates pass" "${1:-rust_tests_pass}" build
	ktap_case "clippy finds nothing in the Rust sources" "${1:-clippy_is_silent}" lint
	ktap_case "the Rust sources are formatted as rustfmt does it" "${1:-rustfmt_agrees}" lint
}

# The hash of all that the checks look at, and of what they are.
# shellcheck disable=SC2154 # of the script that sources this file
checked_sources() {
	(
		cd "$source_tree" &&
			find kernel rust tests/checks.sh tests/build-checks.sh -name target -prune -o -type f \
				\( -name '*.[ch]' -o -name Kbuild -o -name Makefile -o -name '*.rs' \
				-o -name 'Cargo.*' -o -name '*.toml' -o -name '*.sh' \) ! -name '*.mod.c' -print |
			LC_ALL=C sort | xargs sha256sum
	) | sha256sum | cut -d ' ' -f 1
}

# Of the running kernel; where that is another's, as in a build, of the only one whose headers are
# there.
kernel_headers() {
	[ ! -e "/lib/modules/$(uname -r)/build" ] || set -- "/lib/modules/$(uname -r)/build"
	[ $# -eq 1 ] || set -- /lib/modules/*/build
	if [ $# -ne 1 ] || [ ! -e "$1/Makefile" ]; then
		fail "not the headers of one kernel: $*"
	fi
	echo "$1"
}

# make_module [ARGUMENT...]: in a copy, since the tree may hold what others have made.
make_module() {
	mkdir -p "$checks_work/kernel"
	(cd "$source_tree/kernel" && find . -name '*.[ch]' ! -name '*.mod.c' -o -name Kbuild -o -name Makefile) |
		tar -C "$source_tree/kernel" -cf - -T - | tar -C "$checks_work/kernel" -xf -
	headers=$(kernel_headers)
	make -j "$(nproc)" -C "$headers" M="$checks_work/kernel" W=1 KCFLAGS=-Werror "$@" modules
}

module_compiles() {
	make_module
}

# The headers of 7.x use __typeof_unqual__, which sparse 0.6.4 does not know, and have strings of the
# module compared with __builtin_strlen(), which it takes for no constant. Debian's packages of them
# lack the script by which make looks for sparse; without KBUILD_CHECKSRC it would be left out.
sparse_is_silent() {
	command -v sparse >/dev/null || skip "there is no sparse"
	make_module C=2 KBUILD_CHECKSRC=2 \
		CF="-D__typeof_unqual__=__typeof__ '-D__builtin_strlen(text)=(sizeof(text)-1)'" \
		>"$ktap_folder/sparse" 2>&1 || {
		cat "$ktap_folder/sparse"
		fail "the module does not compile"
	}
	grep -q '^ *CHECK ' "$ktap_folder/sparse" || fail "make did not run sparse"
	! grep -E ': (warning|error): ' "$ktap_folder/sparse"
}

# checkpatch_on EXCEPTIONS TEST...: what checkpatch finds in the sources for which find's TEST holds.
checkpatch_on() {
	ignored=$1
	shift
	find kernel -name '*.[ch]' ! -name '*.mod.c' "$@" -exec perl "$checkpatch" --no-tree --terse \
		--no-summary --show-types --ignore "$ignored" --file {} +
}

# A module outside the kernel's tree can't do without some exceptions: compat.h is about versions, and an
# expectation that isn't met ends its check.
checkpatch_is_silent() {
	headers=$(kernel_headers)
	checkpatch=$(find -L "$headers/scripts" "$headers/source/scripts" -maxdepth 1 -name checkpatch.pl 2>/dev/null | head -n 1)
	[ -n "$checkpatch" ] || skip "the kernel's headers have no checkpatch.pl"
	(
		cd "$source_tree" || exit
		found=0
		checkpatch_on NONE ! -name compat.h ! -name ffi_test.c || found=1
		checkpatch_on COMPLEX_MACRO,CONSTANT_COMPARISON,DEPRECATED_API,LINUX_VERSION_CODE,SPACING \
			-name compat.h || found=1
		checkpatch_on MACRO_WITH_FLOW_CONTROL -name ffi_test.c || found=1
		exit "$found"
	)
}

cargo_offline() {
	(cd "$source_tree/rust" && CARGO_TARGET_DIR="$checks_work/target" cargo "$@")
}

rust_compiles() {
	RUSTFLAGS="-D warnings" cargo_offline build --workspace --all-targets --locked --offline
}

# With the flags of rust_compiles, so that nothing is compiled again.
rust_tests_pass() {
	RUSTFLAGS="-D warnings" cargo_offline test --workspace --locked --offline
}

clippy_is_silent() {
	cargo_offline clippy --version >/dev/null 2>&1 || skip "there is no clippy"
	cargo_offline clippy --workspace --all-targets --locked --offline -- -D warnings
}

rustfmt_agrees() {
	cargo_offline fmt --version >/dev/null 2>&1 || skip "there is no rustfmt"
	cargo_offline fmt --all --check
}
