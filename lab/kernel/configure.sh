#!/bin/sh
# Configures a kernel tree: the kernel's own defaults for x86_64 and guests of KVM, then fragments, the
# later over the former.
# $1: the tree  $2: what the kernel's release ends in  then: the fragments' files
set -eu
tree=$1
suffix=$2
shift 2

cd "$tree"
# The tree comes without git: nothing is to be added to the release.
printf 'CONFIG_LOCALVERSION="%s"\n# CONFIG_LOCALVERSION_AUTO is not set\n' "$suffix" >local.config
make -s x86_64_defconfig
KCONFIG_CONFIG=.config sh scripts/kconfig/merge_config.sh -m .config \
	kernel/configs/kvm_guest.config "$@" local.config
make -s olddefconfig
rm local.config
