#!/bin/sh
# Ends the commands of a plugin that has died: the plugin writes "add GROUP" and "drop GROUP" lines
# to this program's standard input, one per command, and the input's end is the plugin's.
# Runs in a session of its own, so that what kills the plugin's process group leaves it alive.
groups=' '
while read -r verb group; do
  case $verb in
    add) groups="$groups$group " ;;
    drop) groups="${groups%%" $group "*} ${groups#*" $group "}" ;;
  esac
done
signal_all() {
  for group in $groups; do
    kill -s "$1" -- "-$group" 2>/dev/null
  done
}
[ "$groups" != ' ' ] || exit 0
signal_all TERM
sleep 2
signal_all KILL
exit 0
