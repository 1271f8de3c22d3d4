# shellcheck shell=sh
# For people who log in; the other commands (vt, build-kernel, build-vexctl) are programs, so that
# `ssh … vt` finds them too.

# Goes to the source folder that the host shares.
vs() {
  cd /mnt/vexfs-src || return
}
