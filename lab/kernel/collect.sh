#!/bin/sh
# Takes from a built kernel tree what an image needs: kernel, modules without debug information, and what
# modules are built against (the selection of the kernel's own scripts/package/builddeb).
# $1: the sources  $2: where they were built (the same, or make's O=)  $3: the folder to fill
set -eu
source=$1
build=$2
out=$3

release=$(cat "$build/include/config/kernel.release")
modules=$out/usr/lib/modules/$release
headers=$out/usr/src/linux-headers-$release
mkdir -p "$out/boot" "$modules/kernel" "$headers"

cp "$build/arch/x86/boot/bzImage" "$out/boot/vmlinuz-$release"
cp "$build/.config" "$out/boot/config-$release"
[ ! -e "$build/System.map" ] || cp "$build/System.map" "$out/boot/System.map-$release"

while read -r name; do
	# Old kernels write kernel/PATH.ko, new ones PATH.o.
	path=${name%.o}
	path=${path%.ko}.ko
	[ -e "$build/$path" ] || path=${path#kernel/}
	mkdir -p "$modules/kernel/${path%/*}"
	cp "$build/$path" "$modules/kernel/$path"
	echo "kernel/$path"
done <"$build/modules.order" >"$modules/modules.order"
find "$modules/kernel" -name '*.ko' -exec strip --strip-debug {} +
cp "$build/modules.builtin" "$modules/"
[ ! -e "$build/modules.builtin.modinfo" ] || cp "$build/modules.builtin.modinfo" "$modules/"
ln -s "/usr/src/linux-headers-$release" "$modules/build"
# depmod looks in lib.
ln -s usr/lib "$out/lib"
depmod --basedir "$out" "$release"
rm "$out/lib"

cd "$source"
{
	find . arch/x86 -maxdepth 1 -name 'Makefile*'
	find include scripts arch/x86/include arch/x86/scripts \( -type f -o -type l \)
	find arch/x86 -name include -type d -exec find {} -type f \;
	find arch/x86 \( -name Kbuild.platforms -o -name Platform \)
} 2>/dev/null | LC_ALL=C sort -u | tar --create --no-recursion --files-from=- |
	tar --extract --directory="$headers"
cd "$build"
{
	find .config Module.symvers include scripts arch/x86/include -type f
	find tools/objtool/objtool tools/bpf/resolve_btfids/resolve_btfids -type f
} 2>/dev/null | LC_ALL=C sort -u | tar --create --no-recursion --files-from=- |
	tar --extract --directory="$headers"

# Programs of the tree that a module's build runs; they may want a C library that is newer than ours.
for program in scripts/basic/fixdep scripts/mod/modpost tools/objtool/objtool; do
	[ -e "$headers/$program" ] || continue
	said=$("$headers/$program" 2>&1 </dev/null) || true
	case $said in
	*"not found"* | *"cannot execute"*)
		echo "$program of the tree does not run in the image: $said" >&2
		exit 1
		;;
	esac
done
printf '%s\n' "$release" >"$out/kernel-release"
