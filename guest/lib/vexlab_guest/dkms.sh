# shellcheck shell=bash
# Builds the modules of a DKMS package in the current folder, as dkms(8) does: its dkms.conf is a
# program in bash's language, which is run here for the one kernel, with the variables that DKMS
# promises. The current folder is a copy that patches may change; nothing is installed.
#
#   dkms.sh build CONF RELEASE HEADERS JOBS   patch and build; the modules are listed in .vexlab-dkms
#   dkms.sh show  CONF RELEASE HEADERS        print what CONF says, run nothing else
#
# .vexlab-dkms and `show` are NAME=VALUE, each ended by a zero byte. Exit status 77, which is also
# DKMS's own, tells that the package does not want this kernel.
#
# CONF's variables live beside ours, so ours begin with vexlab_.
vexlab_verb=$1 vexlab_conf=$2
kernelver=$3
kernel_source_dir=$4
vexlab_jobs=${5:-1}
arch=$(uname -m)
vexlab_build=$PWD

# Where DKMS's trees would be; links lead from there to the current folder.
vexlab_trees=${TMPDIR:-/tmp}/vexlab-dkms
dkms_tree=$vexlab_trees/dkms
source_tree=$vexlab_trees/src
# shellcheck disable=SC2034 # for CONF, as the two above
install_tree=/lib/modules

vexlab_say() { printf '%s: %s\n' "${vexlab_conf##*/}" "$*" >&2; }

vexlab_fail() {
  vexlab_say "$@"
  exit 1
}

# shellcheck disable=SC2034 # as DKMS does, CONF begins without values for these
unset PACKAGE_NAME PACKAGE_VERSION MAKE MAKE_MATCH CLEAN PATCH PATCH_MATCH BUILD_DEPENDS \
  BUILT_MODULE_NAME BUILT_MODULE_LOCATION DEST_MODULE_NAME DEST_MODULE_LOCATION STRIP OBSOLETE_BY \
  BUILD_EXCLUSIVE_KERNEL BUILD_EXCLUSIVE_KERNEL_MIN BUILD_EXCLUSIVE_KERNEL_MAX \
  BUILD_EXCLUSIVE_ARCH BUILD_EXCLUSIVE_CONFIG PRE_BUILD POST_BUILD AUTOINSTALL

[[ -f $vexlab_conf ]] || vexlab_fail "there is no such file"
trap 'vexlab_say "it ended bash by itself, with status $?"; exit 1' EXIT
# shellcheck disable=SC1090 # the user's own file
. "./$vexlab_conf" >&2
trap - EXIT
set +eu
cd "$vexlab_build" || exit 1

[[ -n $PACKAGE_NAME ]] || vexlab_fail "PACKAGE_NAME has no value"
[[ -n $PACKAGE_VERSION ]] || vexlab_fail "PACKAGE_VERSION has no value"

# The modules' paths in the current folder, without a ./ or // in them.
vexlab_modules=()
[[ ${#BUILT_MODULE_NAME[@]} -gt 0 ]] || BUILT_MODULE_NAME=("$PACKAGE_NAME")
for vexlab_at in "${!BUILT_MODULE_NAME[@]}"; do
  vexlab_path=$(tr -s / <<<"${BUILT_MODULE_LOCATION[vexlab_at]}/${BUILT_MODULE_NAME[vexlab_at]}.ko")
  vexlab_path=${vexlab_path#/}
  vexlab_modules+=("${vexlab_path#./}")
done

# MAKE[0] is the default; of those whose MAKE_MATCH fits, the last one counts.
vexlab_make="make -C $kernel_source_dir M=$vexlab_build"
for vexlab_at in "${!MAKE[@]}"; do
  if [[ -n ${MAKE_MATCH[vexlab_at]} ]]; then
    [[ $kernelver =~ ${MAKE_MATCH[vexlab_at]} ]] || continue
  elif [[ $vexlab_at != 0 ]]; then
    continue
  fi
  [[ -z ${MAKE[vexlab_at]} ]] || vexlab_make=${MAKE[vexlab_at]}
done
# 'make' in quotes is the package's way to do without this.
[[ $vexlab_make =~ ^[[:space:]]*make($|[[:space:]]) ]] &&
  vexlab_make="make -j$vexlab_jobs KERNELRELEASE=$kernelver${vexlab_make#*make}"
# The folder's own name rather than that of a link to it, for debug information.
for vexlab_tree in "$dkms_tree" /var/lib/dkms; do
  vexlab_make=${vexlab_make//"$vexlab_tree/$PACKAGE_NAME/$PACKAGE_VERSION/build"/"$vexlab_build"}
done

vexlab_patches=()
for vexlab_at in "${!PATCH[@]}"; do
  [[ -z ${PATCH_MATCH[vexlab_at]} || $kernelver =~ ${PATCH_MATCH[vexlab_at]} ]] &&
    vexlab_patches+=("${PATCH[vexlab_at]}")
done

# Whether the first version is not newer than the second.
vexlab_ordered() { printf '%s\n' "$1" "$2" | sort -V -C; }

# Why the package does not want this kernel; nothing when it does.
vexlab_exclusion() {
  local word config=$kernel_source_dir/.config
  if [[ -n $BUILD_EXCLUSIVE_KERNEL && ! $kernelver =~ $BUILD_EXCLUSIVE_KERNEL ]]; then
    echo "BUILD_EXCLUSIVE_KERNEL is $BUILD_EXCLUSIVE_KERNEL"
  elif [[ -n $BUILD_EXCLUSIVE_KERNEL_MIN ]] &&
    ! vexlab_ordered "$BUILD_EXCLUSIVE_KERNEL_MIN" "$kernelver"; then
    echo "BUILD_EXCLUSIVE_KERNEL_MIN is $BUILD_EXCLUSIVE_KERNEL_MIN"
  elif [[ -n $BUILD_EXCLUSIVE_KERNEL_MAX ]] &&
    ! vexlab_ordered "$kernelver" "$BUILD_EXCLUSIVE_KERNEL_MAX"; then
    echo "BUILD_EXCLUSIVE_KERNEL_MAX is $BUILD_EXCLUSIVE_KERNEL_MAX"
  elif [[ -n $BUILD_EXCLUSIVE_ARCH && ! $arch =~ $BUILD_EXCLUSIVE_ARCH ]]; then
    echo "BUILD_EXCLUSIVE_ARCH is $BUILD_EXCLUSIVE_ARCH"
  elif [[ -f $config ]]; then
    for word in $BUILD_EXCLUSIVE_CONFIG; do
      if [[ $word == !* ]]; then
        grep -q "^${word#!}=[ym]" "$config" && echo "the kernel has ${word#!}" && return
      else
        grep -q "^$word=[ym]" "$config" || { echo "the kernel has no $word" && return; }
      fi
    done
  fi
}
vexlab_reason=$(vexlab_exclusion)

vexlab_emit() {
  local name=$1
  shift
  [[ $# == 0 ]] || printf "$name=%s\0" "$@"
}

if [[ $vexlab_verb == show ]]; then
  vexlab_emit name "$PACKAGE_NAME"
  vexlab_emit version "$PACKAGE_VERSION"
  vexlab_emit make "$vexlab_make"
  vexlab_emit module "${vexlab_modules[@]}"
  vexlab_emit patch "${vexlab_patches[@]}"
  vexlab_emit patches "${PATCH[@]}"
  vexlab_emit needs "${BUILD_DEPENDS[@]}"
  vexlab_emit before ${PRE_BUILD:+"$PRE_BUILD"}
  vexlab_emit after ${POST_BUILD:+"$POST_BUILD"}
  vexlab_emit excluded ${vexlab_reason:+"$vexlab_reason"}
  exit 0
fi

if [[ -n $vexlab_reason ]]; then
  vexlab_say "the package is not for kernel $kernelver: $vexlab_reason"
  exit 77
fi
[[ ${#BUILD_DEPENDS[@]} == 0 ]] ||
  echo "BUILD_DEPENDS: ${BUILD_DEPENDS[*]}; other packages' modules are not built here" >&2

vexlab_make_links() {
  local of_package=$dkms_tree/$PACKAGE_NAME/$PACKAGE_VERSION
  rm -rf "$vexlab_trees" && mkdir -p "$of_package" "$source_tree" &&
    ln -s "$vexlab_build" "$of_package/build" && ln -s "$vexlab_build" "$of_package/source" &&
    ln -s "$vexlab_build" "$source_tree/$PACKAGE_NAME-$PACKAGE_VERSION"
}
vexlab_make_links || vexlab_fail "$vexlab_trees can't be made"

for vexlab_patch in "${vexlab_patches[@]}"; do
  echo "patch -p1 < patches/$vexlab_patch"
  patch -p1 --batch <"patches/$vexlab_patch" || vexlab_fail "patches/$vexlab_patch does not apply"
done

# A program of the package and its arguments, without a shell's language.
vexlab_script() {
  local words
  [[ -n $2 ]] || return 0
  read -ra words <<<"$2"
  [[ -x ${words[0]} ]] || vexlab_fail "$1 is $2: ${words[0]} can't be run"
  echo "${words[*]}"
  "./${words[0]#./}" "${words[@]:1}" || vexlab_fail "$1 failed with exit status $?"
}

export kernelver kernel_source_dir arch dkms_tree source_tree
vexlab_script PRE_BUILD "$PRE_BUILD"
echo "$vexlab_make"
(eval "$vexlab_make") || exit
vexlab_script POST_BUILD "$POST_BUILD"
vexlab_emit module "${vexlab_modules[@]}" >.vexlab-dkms
