#!/bin/sh
# The first suite, written by `vexlab init` and yours to change: the modules load, unload, load again,
# and the kernel has no error to report. It prints KTAP (docs/verdicts.md of vexlab).
#
# VEXLAB_LOAD has insmod's words for each module, a line a module, in the order of loading. vexlab has
# loaded them when this begins, and unloads what is loaded when it ends.
set -u

count=0
failures=0
mark="vexlab: $0 begins, $$"
echo "<6>$mark" >/dev/kmsg

result() { # STATUS NAME
  count=$((count + 1))
  if [ "$1" = 0 ]; then
    echo "ok $count $2"
  else
    failures=$((failures + 1))
    echo "not ok $count $2"
  fi
}

module_name() { # FILE
  basename "$1" .ko | tr - _
}

names() {
  echo "$VEXLAB_LOAD" | while read -r file _; do module_name "$file"; done
}

all_live() {
  status=0
  for name in $(names); do
    grep -q "^$name .* Live " /proc/modules || {
      echo "# $name is not in lsmod"
      status=1
    }
  done
  return $status
}

# Something, udev perhaps, may have a device of the module open for a moment.
unload() { # NAME
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    said=$(rmmod "$1" 2>&1) && return 0
    sleep 0.5
  done
  echo "# $said"
  return 1
}

unload_all() {
  for name in $(names | tac); do
    unload "$name" || return 1
  done
  for name in $(names); do
    ! grep -q "^$name " /proc/modules || return 1
  done
}

load_all() {
  echo "$VEXLAB_LOAD" | {
    status=0
    while read -r file parameters; do
      # shellcheck disable=SC2086 # insmod puts its words together again
      said=$(insmod "$file" $parameters 2>&1) || {
        echo "# $said"
        status=1
      }
    done
    return $status
  }
}

no_errors() {
  log=$(dmesg --decode | sed -n "/$(echo "$mark" | tr / .)/,\$p")
  [ -n "$log" ] || {
    echo "# the kernel's log no longer has the line of the beginning"
    return 1
  }
  errors=$(echo "$log" | grep -E '^[a-z]+ *:(emerg|alert|crit|err) *:')
  [ -z "$errors" ] && return 0
  echo "$errors" | sed 's/^/# /'
  return 1
}

echo "KTAP version 1"
echo "1..4"
all_live
result $? "the modules are loaded"
unload_all
result $? "they unload"
load_all && all_live
result $? "they load again"
no_errors
result $? "the kernel's log has no error"
[ "$failures" = 0 ]
